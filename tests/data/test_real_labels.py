"""real.json: which labels belong to which image, and files that are something else."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bvg.data.image_set import ImageSet
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_real import packaged_real, read_real, with_real_labels
from conftest import CLASSES, refusal

WNIDS = imagenet_classes()
LISTS = {1: [], 2: [970, 795], 3: [230, 231, 4], 4: [809], 50_000: [7]}


@pytest.fixture
def real(tmp_path):
    """Return a function that writes a real.json of the published shape with some changes."""

    def write(changes=None, length=50_000):
        lists = [[0] for _ in range(length)]
        for number, labels in {**LISTS, **(changes or {})}.items():
            lists[number - 1] = labels
        path = tmp_path / "real.json"
        path.write_text(json.dumps(lists))
        return path

    return write


def photos(root, *names, classes=WNIDS) -> ImageSet:
    return ImageSet(root, names, names, np.arange(len(names)), classes, notes={"a": 1})


def name(number: int) -> str:
    return f"{WNIDS[number % 1000]}/ILSVRC2012_val_{number:08d}.JPEG"


def test_entry_k_belongs_to_the_image_of_number_k_plus_one(real, tmp_path):
    table = read_real(real())
    assert table.shape == (50_000, 3)
    assert table[1].tolist() == [970, 795, -1]
    images = with_real_labels(photos(tmp_path, *map(name, (50_000, 3, 1, 2))), table)
    assert images.names == tuple(map(name, (50_000, 3, 2)))
    assert [images.columns[f"real_{k}"].tolist() for k in (1, 2, 3)] == [
        [7, 230, 970],
        [-1, 231, 795],
        [-1, 4, -1],
    ]
    assert images.labels.tolist() == [0, 1, 3]
    assert images.notes == {"a": 1, "real": {"scored": 3, "without_label": 1}}


def test_the_names_that_hugging_face_gives(real, tmp_path):
    own = f"{WNIDS[2]}/ILSVRC2012_val_00000002_{WNIDS[2]}.JPEG"
    images = with_real_labels(photos(tmp_path, own), read_real(real()))
    assert images.columns["real_1"].tolist() == [970]


def test_labels_are_positions_in_the_models_classes(real, tmp_path):
    other = ("entity", *reversed(WNIDS))
    images = with_real_labels(photos(tmp_path, name(3), classes=other), read_real(real()))
    named = [other[images.columns[f"real_{k}"][0]] for k in (1, 2, 3)]
    assert named == [WNIDS[230], WNIDS[231], WNIDS[4]]
    images = with_real_labels(photos(tmp_path, name(4), classes=other), read_real(real()))
    assert images.columns["real_2"].tolist() == [-1]


@pytest.mark.parametrize(
    "bad", ["n0/holiday.JPEG", "n0/ILSVRC2012_val_00050001.JPEG", "n0/ILSVRC2012_val_00000000.JPEG"]
)
def test_images_of_other_names_are_refused(real, tmp_path, bad):
    sentence = refusal(with_real_labels, photos(tmp_path, name(2), bad), read_real(real()))
    assert bad in sentence
    assert "is not named like ILSVRC2012_val_00000001.JPEG" in sentence


def test_other_classes_and_no_labels_at_all_are_refused(real, tmp_path):
    table = read_real(real())
    sentence = refusal(with_real_labels, photos(tmp_path, name(2), classes=CLASSES), table)
    assert "evaluate a model of ImageNet's 1000 classes" in sentence
    sentence = refusal(with_real_labels, photos(tmp_path, name(1)), table)
    assert "none of the 1 images" in sentence


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html></html>", "it is not JSON"),
        (b"\xff\xfe\x00\x80", "it is not JSON"),
        (b"", "it is not JSON"),
        (b'{"a": 1}', "it is not a list of lists"),
        (b"[1, 2]", "it is not a list of lists"),
    ],
)
def test_files_of_something_else(tmp_path, content, found):
    path = tmp_path / "real.json"
    path.write_bytes(content)
    sentence = refusal(read_real, path)
    assert found in sentence
    assert "download real.json again" in sentence


@pytest.mark.parametrize("label", [1000, -1, 3.0, "3", None, True])
def test_labels_that_are_no_classes(real, label):
    sentence = refusal(read_real, real({77: [5, label]}))
    assert "list 77 is [5, " in sentence
    assert "not classes from 0 to 999" in sentence


def test_a_table_in_another_order_is_refused(tmp_path):
    table = read_real(packaged_real())
    numbers = np.flatnonzero(table[:60, 0] >= 0) + 1
    images = replace(photos(tmp_path, *map(name, numbers)), labels=table[numbers - 1, 0])
    assert len(with_real_labels(images, table)) == len(numbers)
    assert "--real" in refusal(with_real_labels, images, table[::-1])
    few = images.select(np.arange(19))
    shifted = np.roll(table, 1, axis=0)
    assert len(with_real_labels(few, shifted)) > 10  # they prove nothing
    assert "--real" in refusal(with_real_labels, images, shifted)


def test_labels_of_other_images_are_refused_for_a_model_of_imagenets_classes(real, tmp_path):
    path = real()
    for lists, count in (("[[1], [2]]", "2"), (json.dumps([[0]] * 49_999), "49,999"), ("[]", "0")):
        path.write_text(lists)
        sentence = refusal(with_real_labels, photos(tmp_path, name(1)), read_real(path))
        assert f"the ReaL labels are {count} lists, not ImageNet's 50,000" in sentence


def test_another_data_sets_labels_are_positions_in_its_models_classes(tmp_path):
    path = tmp_path / "real.json"
    path.write_text("[[3], [], [1, 2]]")
    names = [f"ant/ILSVRC2012_val_{number:08d}.JPEG" for number in (3, 2, 1)]
    images = with_real_labels(photos(tmp_path, *names, classes=CLASSES), read_real(path))
    assert images.names == (names[0], names[2])
    assert [images.columns[f"real_{k}"].tolist() for k in (1, 2)] == [[1, 3], [2, -1]]
    fourth = photos(tmp_path, "ant/ILSVRC2012_val_00000004.JPEG", classes=CLASSES)
    assert "which are of 3 images" in refusal(with_real_labels, fourth, read_real(path))
    path.write_text("[[4]]")
    sentence = refusal(
        with_real_labels, photos(tmp_path, names[2], classes=CLASSES), read_real(path)
    )
    assert "classes up to 4, but the model has 4 classes" in sentence


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "no.json", tmp_path):
        assert "give the right file with --real" in refusal(read_real, path)


def test_the_copy_that_comes_with_timm_has_the_published_shape():
    path = packaged_real()
    if path is None:
        pytest.skip("this timm has no copy of real.json")
    table = read_real(path)
    assert table.shape == (50_000, 9)
    assert (table[:, 0] >= 0).sum() == 46_837
