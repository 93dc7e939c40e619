"""What is said of folders that are not laid out as they should be."""

import numpy as np
import pytest

from bvg.data.folders import check_answerable, contents, holds_class_folders
from bvg.data.image_set import ImageSet, check_counts
from bvg.data.imagenet import imagenet_val
from bvg.errors import first_few
from conftest import refusal
from variant_helpers import lay_out


def test_some_names_the_first_and_counts_the_rest():
    assert first_few(["a", "b", "c"]) == "a, b, c"
    assert first_few(("a", "b", "c", "d", "e")) == "a, b, c and 2 more"


def test_class_folders_are_folders_with_images_in_them(tmp_path):
    assert not holds_class_folders(tmp_path)
    (tmp_path / "loose.JPEG").write_bytes(b"")
    assert not holds_class_folders(tmp_path)
    assert contents(tmp_path) == "1 image(s) in no class folders"
    lay_out(tmp_path, ["a/b"])
    assert not holds_class_folders(tmp_path)
    assert holds_class_folders(tmp_path / "a")
    assert contents(tmp_path) == "the folders a"


@pytest.fixture
def three(tmp_path) -> ImageSet:
    files = ("ant/0.JPEG", "ant/1.JPEG", "bee/0.JPEG")
    return ImageSet(tmp_path, files, files, np.array([0, 0, 1]), ("ant", "bee", "cat"))


def test_a_balanced_set_has_as_many_images_of_each_class(three):
    assert "1 to 2 images" in refusal(check_counts, three, (3, 2), False, True)
    check_counts(three, (3, 2), True, True)
    assert three.notes["partial"]["images"] == 3
    check_counts(three.select(np.array([0, 2])), (2, 2), False, True)


def test_other_counts_are_refused_or_noted(three):
    check_counts(three, (3, 2), partial=False)
    assert not three.notes
    sentence = refusal(check_counts, three, (9, 3), False)
    assert "holds 3 images of 2 classes, not 9 of 3" in sentence
    check_counts(three, (9, 3), partial=True)
    assert three.notes["partial"] == {
        "images": 3,
        "classes": 2,
        "expected_images": 9,
        "expected_classes": 3,
    }


def test_a_model_must_have_the_classes_that_images_are_of(tmp_path):
    check_answerable(tmp_path, ["b", "a"], ("a", "b", "c"))
    sentence = refusal(check_answerable, tmp_path, ["b", "d", "e"], ("a", "b"))
    assert "2 classes (a, b) lack d, e" in sentence


def test_flat_images_of_classes_that_the_model_lacks(tmp_path):
    lay_out(tmp_path, ["."], 0)
    (tmp_path / "ILSVRC2012_val_00000001.JPEG").write_bytes(b"")
    (tmp_path / "imagenet_2012_validation_synset_labels.txt").write_text("n01440764\n")
    sentence = refusal(imagenet_val, tmp_path, ("ant", "bee"))
    assert "2 classes (ant, bee) lack n01440764" in sentence
