"""Ordered, labelled lists of files, and class-balanced subsets of them."""

from pathlib import Path

import numpy as np
import pytest

from bvg.data.folders import existing_folder, image_files
from bvg.data.image_set import ImageSet, class_balanced
from bvg.errors import UserError
from conftest import draw


def _set(per_class: list[int]) -> ImageSet:
    names = [f"{label}/{n}.png" for label, count in enumerate(per_class) for n in range(count)]
    labels = np.repeat(np.arange(len(per_class)), per_class)
    classes = tuple(f"class{k}" for k in range(len(per_class)))
    return ImageSet(Path(), tuple(names), tuple(names), labels, classes)


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 12, 17])
def test_a_limit_takes_the_classes_equally_often(limit):
    chosen = class_balanced(_set([5, 5, 5, 2]), limit, seed=0)
    assert len(chosen) == limit
    counts = np.bincount(chosen.labels, minlength=4)
    assert counts[:3].max() - counts[:3].min() <= 1
    assert counts[3] >= min(2, limit // 4)  # the small class gives all it has
    assert list(chosen.names) == sorted(chosen.names)  # the order stays


def test_a_larger_limit_contains_a_smaller_one_and_the_seed_chooses():
    images = _set([50, 50])
    small, large = (class_balanced(images, n, seed=3).names for n in (10, 30))
    assert set(small) < set(large)
    assert class_balanced(images, 10, seed=4).names != small
    assert class_balanced(images, 10, seed=3).names == small


def test_a_limit_beyond_the_set_is_the_set():
    images = _set([2, 3])
    assert class_balanced(images, 99, seed=0) is images


def test_columns_go_with_their_images():
    images = _set([3, 3])
    images.columns["twice"] = 2 * np.arange(6)
    chosen = images.select(np.array([4, 1]))
    assert chosen.names == ("1/1.png", "0/1.png")
    assert chosen.columns["twice"].tolist() == [8, 2]


def test_the_fingerprint_sees_names_sizes_labels_and_columns(tmp_path):
    for number in range(3):
        draw(tmp_path / "a" / f"{number}.png", number)
    files = tuple(f"a/{n}.png" for n in range(3))

    def fingerprint(**changes) -> str:
        values = {"files": files, "names": files, "labels": np.array([0, 0, 1]), **changes}
        return ImageSet(tmp_path, classes=("x", "y"), **values).fingerprint

    same = fingerprint()
    assert fingerprint() == same
    assert fingerprint(labels=np.array([0, 1, 1])) != same
    assert fingerprint(names=("a", "b", "c")) != same
    assert fingerprint(columns={"texture": np.array([1, 2, 3])}) != same
    draw(tmp_path / "a" / "1.png", 99, size=(41, 32))
    assert fingerprint() != same


def test_only_images_are_listed(tmp_path):
    for name in ("b.JPEG", "a.png", "c.jpg"):
        draw(tmp_path / name, 1)
    for name in (".hidden.png", "notes.txt", "Thumbs.db"):
        (tmp_path / name).write_text("x")
    assert image_files(tmp_path) == ["a.png", "b.JPEG", "c.jpg"]


def test_a_folder_that_is_not_there_names_the_flag(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"nowhere does not exist: give the right one with --data"):
        existing_folder(tmp_path / "nowhere", "the folder", "--data")
    with pytest.raises(UserError, match="is not a folder"):
        existing_folder(tmp_path / "file", "the folder", "--data")
