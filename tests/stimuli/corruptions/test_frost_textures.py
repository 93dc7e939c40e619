import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from bvg.stimuli.corruptions.frost_textures import (
    PUBLISHED,
    load_frost,
    procedural_frost,
    published_frost,
)
from conftest import draw, refusal


def test_photographs_are_read_in_the_order_of_their_names(tmp_path):
    for number, name in enumerate(("b.jpg", "a.png", "c.JPEG")):
        draw(tmp_path / name, number, (240 + number, 230))
    (tmp_path / "notes.txt").write_text("not a photograph")
    photographs = load_frost(tmp_path)
    assert [tuple(x.shape) for x in photographs] == [(3, 230, 241), (3, 230, 240), (3, 230, 242)]
    first = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    assert np.array_equal(photographs[0].permute(1, 2, 0).numpy(), first)


def test_of_the_six_published_photographs_the_five_are_used(tmp_path):
    for number, name in enumerate((*PUBLISHED, "frost6.jpg")):
        draw(tmp_path / name, number, (230 + number, 230))
    assert [x.shape[2] for x in load_frost(str(tmp_path))] == [230, 231, 232, 233, 234]


def test_the_published_photographs_are_read_from_a_package_that_is_not_imported(
    tmp_path, monkeypatch
):
    package = tmp_path / "imagecorruptions"
    (package / "frost").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('it needs another NumPy')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "imagecorruptions", raising=False)
    assert published_frost() is None  # a package without them, or something else of that name
    for number, name in enumerate((*PUBLISHED, "frost6.jpg")):
        draw(package / "frost" / name, number, (230 + number, 230))
    photographs = published_frost()
    assert [x.shape[2] for x in photographs] == [230, 231, 232, 233, 234]
    assert all(map(torch.equal, photographs, load_frost(package / "frost")))


def test_without_the_package_there_are_no_published_photographs(monkeypatch):
    monkeypatch.setattr("bvg.stimuli.corruptions.frost_textures.find_spec", lambda name: None)
    assert published_frost() is None


def test_grey_and_transparent_photographs_become_rgb(tmp_path):
    Image.new("L", (225, 225), 90).save(tmp_path / "a.png")
    Image.new("RGBA", (225, 225), (1, 2, 3, 255)).save(tmp_path / "b.png")
    grey, colour = load_frost(tmp_path)
    assert (grey == 90).all() and colour[:, 0, 0].tolist() == [1, 2, 3]


def test_a_folder_without_usable_photographs_is_refused(tmp_path):
    assert "no frost photographs" in refusal(load_frost, tmp_path)
    assert "not a folder" in refusal(load_frost, tmp_path / "missing")
    draw(tmp_path / "small.png", 0, (600, 224))
    assert "600 x 224" in refusal(load_frost, tmp_path)
    (tmp_path / "small.png").write_bytes(b"no image")
    assert "small.png cannot be read" in refusal(load_frost, tmp_path)


@pytest.mark.parametrize("number", range(5))
def test_drawn_frost_has_the_photographs_mean_and_contrast(number):
    texture = procedural_frost()[number]
    assert texture.shape == (3, 448, 448)
    grey = texture.float().mean(0) / 255
    mean, deviation = [(0.51, 0.08), (0.81, 0.09), (0.81, 0.09), (0.60, 0.11), (0.48, 0.17)][number]
    assert float(grey.mean()) == pytest.approx(mean, abs=0.02)
    assert float(grey.std()) == pytest.approx(deviation, abs=0.02)


def test_drawn_frost_has_structure_of_many_sizes():
    """Neither a smooth cloud nor white noise: contrast falls slowly as the picture shrinks."""
    for texture in procedural_frost():
        grey = texture.float().mean(0)[None, None]
        deviations = []
        for _ in range(4):
            deviations.append(float(grey.std()))
            grey = grey.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        shares = [small / large for large, small in pairwise(deviations)]
        assert all(0.6 < share < 0.995 for share in shares)  # white noise: 0.5
