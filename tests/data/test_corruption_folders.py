"""Corrupted images in folders: what is read, and what is refused in which words."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bvg.data.image_set import class_balanced
from bvg.data.imagenet_c import (
    CorruptionSet,
    corruption_condition,
    corruption_folders,
)
from conftest import CLASSES, draw, refusal
from eval_imagenet_cbar import IMAGENET_CBAR

NAMES = ("fog", "snow", "contrast")
DATA = CorruptionSet(
    name="imagenet-c",
    key="imagenet-c",
    corruptions=(*NAMES, "spatter"),
    groups=("weather", "digital"),
)


def write_corrupted(root: Path, places: dict[str, str], severities=("1", "3")) -> Path:
    """Draw two images of four classes under each corruption, whose folder is at places[name]."""
    for place in places.values():
        for severity in severities:
            for label, name in enumerate(CLASSES):
                for number in range(2):
                    path = root / place / severity / name / f"{number}.JPEG"
                    draw(path, 10 * label + number)
    return root


@pytest.fixture
def root(tmp_path) -> Path:
    return write_corrupted(tmp_path / "c", {name: name for name in NAMES})


def read(root, corruptions=NAMES, severities=(1, 3), classes=CLASSES, partial=False, data=DATA):
    return corruption_folders(root, data, classes, corruptions, severities, partial)


def test_images_are_the_same_under_every_condition(root):
    images = read(root)
    assert len(images) == 3 * 2 * 8
    assert list(images.conditions) == [f"{c}_{s}" for c in NAMES for s in (1, 3) for _ in range(8)]
    assert list(images.names) == 6 * [f"{name}/{k}.JPEG" for name in CLASSES for k in range(2)]
    assert images.labels.tolist() == 6 * [0, 0, 1, 1, 2, 2, 3, 3]
    assert images.path(8 + 3) == root / "fog" / "3" / "bee" / "1.JPEG"
    assert all(images.path(index).is_file() for index in range(len(images)))
    assert "partial" not in images.notes


def test_a_subset_of_conditions_is_read_alone(root):
    shutil.rmtree(root / "fog" / "1")
    assert set(read(root, ("fog", "contrast"), (3,)).conditions) == {"fog_3", "contrast_3"}


def test_groups_of_the_published_archives_may_lie_between(tmp_path, root):
    places = {"fog": "weather/fog", "snow": "snow", "contrast": "digital/contrast"}
    grouped = write_corrupted(tmp_path / "grouped", places)
    images = read(grouped)
    assert images.path(0) == grouped / "weather/fog/1/ant/0.JPEG"
    assert images.fingerprint == read(root).fingerprint


def test_a_limit_keeps_the_same_images_in_every_condition(root):
    images = class_balanced(read(root), 3, seed=1)
    by_condition: dict[str, list[str]] = {}
    for name, condition in zip(images.names, images.conditions, strict=True):
        by_condition.setdefault(condition, []).append(name)
    assert len(by_condition) == 6 and len({*map(tuple, by_condition.values())}) == 1
    assert len(by_condition["fog_1"]) == 3


def test_missing_corruptions_and_severities_are_named(root):
    sentence = refusal(read, root, (*NAMES, "spatter"))
    assert "lacks spatter of ImageNet-C" in sentence
    assert "--corruptions fog snow contrast" in sentence
    shutil.rmtree(root / "snow" / "3")
    sentence = refusal(read, root)
    assert "lacks snow/3" in sentence and "--severities" in sentence


def test_packed_archives_are_pointed_out(root):
    (root / "extra.tar").write_bytes(b"")
    assert "extra.tar: unpack it first" in refusal(read, root, (*NAMES, "spatter"))


def test_conditions_with_other_images_are_refused(root):
    (root / "contrast" / "3" / "bee" / "1.JPEG").unlink()
    (root / "contrast" / "3" / "cat" / "0.JPEG").unlink()
    sentence = refusal(read, root)
    assert "contrast/3 lacks 2 image(s) that fog/1 has, the first bee/1.JPEG" in sentence
    assert sentence == refusal(read, root, NAMES, (1, 3), CLASSES, True)  # also with --partial


def test_additional_images_in_a_condition_are_refused(root):
    draw(root / "snow" / "1" / "dog" / "2.JPEG", 3)
    assert "fog/1 lacks 1 image(s) that snow/1 has, the first dog/2.JPEG" in refusal(read, root)


def test_the_right_folder_is_named_one_level_too_high_or_too_low(root):
    assert f"but {root} does" in refusal(read, root.parent)
    for inside in ("fog", "fog/1", "fog/1/ant"):
        assert f"give the folder that contains it, {root}" in refusal(read, root / inside)


def test_one_group_alone_is_pointed_to_the_folder_above(tmp_path):
    grouped = write_corrupted(tmp_path / "grouped", {"fog": "weather/fog", "snow": "weather/snow"})
    sentence = refusal(read, grouped / "weather")
    assert f"give the folder above it, {grouped}" in sentence


def test_any_other_folder_is_refused(tmp_path):
    sentence = refusal(read, tmp_path)
    assert "the folder of ImageNet-C with --imagenet_c" in sentence
    assert "code/download.py imagenet-c" in sentence
    assert "--imagenet_c" in refusal(read, tmp_path / "nowhere")


def test_subsets_of_the_classes_must_be_allowed(root):
    for condition in root.glob("*/*"):
        shutil.rmtree(condition / "dog")
    sentence = refusal(read, root)
    assert "6 images of 3 classes, not 6 of 4" in sentence and "--partial" in sentence
    images = read(root, partial=True)
    assert images.notes["partial"]["classes"] == 3 and len(images) == 36


def test_classes_that_the_model_does_not_know_are_refused(root):
    sentence = refusal(read, root, NAMES, (1,), CLASSES[:3])
    assert "not classes of the model" in sentence and "dog" in sentence


def test_severities_named_after_their_parameters_are_read(tmp_path):
    corruptions = ("sparkles", "perlin_noise")
    root = tmp_path / "bar"
    write_corrupted(root, {"sparkles": "sparkles"}, ("1.00", "2.00", "3.00", "5.00", "6.00"))
    write_corrupted(root, {"perlin_noise": "perlin_noise"}, ("1", "2", "3", "4", "5"))
    images = read(root, corruptions, (1, 4, 5), data=IMAGENET_CBAR)
    place = dict(zip(images.conditions, images.files, strict=True))
    assert place[corruption_condition("sparkles", 4)].startswith("sparkles/5.00/")
    assert place[corruption_condition("sparkles", 5)].startswith("sparkles/6.00/")
    assert place[corruption_condition("perlin_noise", 5)].startswith("perlin_noise/5/")


def test_every_corruption_of_cbar_has_five_rising_levels():
    assert len(IMAGENET_CBAR.corruptions) == 10
    for levels in IMAGENET_CBAR.levels.values():
        numbers = [float(level) for level in levels]
        assert len(numbers) == 5 and numbers == sorted(set(numbers))


def test_conditions_with_the_same_files_are_noticed(root, capsys):
    for corruption in NAMES:
        for severity in ("1", "3"):
            for number, path in enumerate(sorted((root / corruption / severity).glob("*/*"))):
                draw(path, 1000 * NAMES.index(corruption) + 100 * int(severity) + number, (96, 96))
    assert "conditions_with_same_files" not in read(root).notes
    assert capsys.readouterr().err == ""
    shutil.rmtree(root / "fog" / "3")
    (root / "fog" / "3").symlink_to("1")
    assert read(root).notes["conditions_with_same_files"] == [["fog_1", "fog_3"]]
    assert "fog_1 and fog_3" in capsys.readouterr().err


def test_the_fingerprint_depends_on_the_conditions(root):
    assert read(root).fingerprint != read(root, NAMES[:2]).fingerprint
    renamed = replace(DATA, corruptions=NAMES[::-1])
    assert read(root, data=renamed).fingerprint != read(root, NAMES[::-1]).fingerprint
