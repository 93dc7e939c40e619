"""The folder of suppressed stimuli that the lab's page can show."""

import numpy as np
from PIL import Image

from conftest import draw
from lab.make_suppressed import main
from lab.stimuli import stimuli_in


def test_every_photograph_is_there_without_each_cue(tmp_path):
    draw(tmp_path / "photos" / "cat" / "a.png", 1, (300, 200))
    draw(tmp_path / "photos" / "dog" / "b.jpg", 2, (224, 224))
    assert main([str(tmp_path / "photos"), "--out", str(tmp_path / "out")]) == 0
    found = stimuli_in(tmp_path / "out")
    conditions = ["colour", "global-shape", "local-shape", "original", "texture"]
    assert [(s.condition, s.category, s.file) for s in found] == [
        (condition, category, file)
        for condition in conditions
        for category, file in (("cat", "a.png"), ("dog", "b.png"))
    ]
    images = {s.key: np.asarray(Image.open(s.path)).astype(int) for s in found}
    original, grey = images["original/dog/b.png"], images["colour/dog/b.png"]
    assert np.ptp(grey, axis=2).max() == 0 and np.ptp(original, axis=2).max() > 0
    for condition in ("global-shape", "local-shape"):
        changed = images[f"{condition}/dog/b.png"]
        assert (changed != original).any()
        assert sorted(map(tuple, changed.reshape(-1, 3))) == sorted(
            map(tuple, original.reshape(-1, 3))
        )


def test_a_folder_without_photographs_is_refused(tmp_path, capsys):
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "airplane" in capsys.readouterr().err
