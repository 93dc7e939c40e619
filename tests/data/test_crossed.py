"""Every image under every condition, without a list of all of them."""

import pickle

import numpy as np
import pytest

from bvg.data.image_set import Crossed, ImageSet, class_balanced, crossed
from conftest import draw


@pytest.fixture
def base(tmp_path):
    names = tuple(f"{label}/{number}.png" for label in "ab" for number in range(4))
    for folder in ("fog/1", "fog/2", "snow/1"):
        for seed, name in enumerate(names):
            draw(tmp_path / folder / name, seed)
    return ImageSet(
        tmp_path, names, names, np.repeat([0, 1], 4), ("a", "b"), {"odd": np.arange(8) % 2}
    )


FOLDERS = {"fog_1": "fog/1", "fog_2": "fog/2", "snow_1": "snow/1"}


def test_every_image_is_there_under_every_condition(base):
    images = crossed(base, FOLDERS)
    assert len(images) == 24
    assert list(images.files[8:10]) == ["fog/2/a/0.png", "fog/2/a/1.png"]
    assert [images.conditions[i] for i in (0, 7, 8, 16, 23)] == [
        "fog_1",
        "fog_1",
        "fog_2",
        "snow_1",
        "snow_1",
    ]
    assert list(images.names) == list(base.names) * 3
    assert images.labels.tolist() == base.labels.tolist() * 3
    assert images.columns["odd"].tolist() == base.columns["odd"].tolist() * 3
    assert all(images.path(i).is_file() for i in range(24))


def test_a_limit_keeps_the_same_images_in_each_condition(base):
    images = class_balanced(crossed(base, FOLDERS), 4, seed=3)
    assert len(images) == 12
    kept = [images.names[i : i + 4] for i in (0, 4, 8)]
    assert kept[0] == kept[1] == kept[2]
    assert images.labels.tolist() == [0, 0, 1, 1] * 3
    assert images.conditions == ("fog_1",) * 4 + ("fog_2",) * 4 + ("snow_1",) * 4
    assert class_balanced(base, 4, seed=3).names == kept[0]
    assert len(class_balanced(crossed(base, FOLDERS), 8, seed=3)) == 24


def test_the_fingerprint_knows_the_conditions(base):
    images = crossed(base, FOLDERS)
    assert images.fingerprint == crossed(base, FOLDERS).fingerprint
    fewer = crossed(base, {"fog_1": "fog/1"})
    renamed = crossed(base, {"fog_3": "fog/1"})
    assert len({images.fingerprint, fewer.fingerprint, renamed.fingerprint}) == 3


def test_a_fingerprint_of_many_files_asks_for_the_size_of_some(base, monkeypatch):
    from bvg.data import image_set

    asked = []
    monkeypatch.setattr(image_set, "_size", lambda path: asked.append(path) or 1)
    monkeypatch.setattr(image_set, "MOST_SIZES", 8)
    assert crossed(base, FOLDERS).fingerprint
    assert len(asked) == 8
    assert len({path.parts[-4:-2] for path in asked}) == 3  # of every condition


def test_strings_are_made_when_asked_for():
    pairs = Crossed(["x/", "y/"], ["a", "b", "c"])
    assert list(pairs) == ["x/a", "x/b", "x/c", "y/a", "y/b", "y/c"]
    assert pairs[-1] == "y/c"
    assert pairs[np.int64(3)] == "y/a"
    assert pairs[1:6:2] == ("x/b", "y/a", "y/c")
    assert list(pickle.loads(pickle.dumps(pairs))) == list(pairs)
    for index in (6, -7):
        with pytest.raises(IndexError):
            pairs[index]
