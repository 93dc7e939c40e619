"""LAION-C: its layout and superclasses, and the images to make it from."""

import shutil

import numpy as np
import pytest

from bvg.data.image_set import ImageSet
from bvg.data.imagenet import imagenet_classes
from bvg.data.laion_c import (
    CORRUPTIONS,
    SEVERITIES,
    SUPERCLASS_INDICES,
    SUPERCLASSES,
    laion_c,
    of_superclasses,
    read_stickers,
    superclasses_of,
)
from bvg.data.preprocessing import STUDY, decode
from conftest import CLASSES, draw, refusal
from variant_helpers import jpeg, lay_out

# How the published program calls the corruptions, in the files' names.
CALLED = {"stickers": "sticker", "luminance_checkerboard": "luminance"}


@pytest.fixture
def files(tmp_path):
    """Return two images of each superclass under all conditions, named as published."""
    root, content = tmp_path / "laion-c", jpeg()
    for corruption in CORRUPTIONS:
        for severity in SEVERITIES:
            for name in SUPERCLASSES:
                folder = root / corruption / f"intensity_level_{severity}" / name
                folder.mkdir(parents=True)
                end = f"_{CALLED.get(corruption, corruption)}_{severity}.JPEG"
                (folder / f"img_1.{end}").write_bytes(content)
                (folder / f"n02_2{end}").write_bytes(content)
    return root


def test_the_complete_set(files):
    images = laion_c(files, SUPERCLASSES)
    assert len(images) == 6 * 5 * 32
    assert list(dict.fromkeys(images.conditions)) == [
        f"{name}_{severity}" for name in CORRUPTIONS for severity in SEVERITIES
    ]
    assert all(images.path(index).is_file() for index in range(len(images)))
    for name, label in zip(images.names, images.labels, strict=True):
        assert SUPERCLASSES[label] == name.partition("/")[0]
    assert images.names[:2] == ("fruit/img_1", "fruit/n02_2")
    assert images.names[:32] == images.names[-32:]  # the same images under all conditions
    assert images.view.squash == "pillow" and images.notes == {}


def test_superclasses_are_disjoint_and_of_285_classes():
    members = [index for indices in SUPERCLASS_INDICES.values() for index in indices]
    assert len(members) == len({*members}) == 285
    assert len(SUPERCLASSES) == 16
    assert superclasses_of(imagenet_classes()) == SUPERCLASSES
    assert superclasses_of(CLASSES) == CLASSES


def test_some_conditions_alone(files):
    shutil.rmtree(files / "mosaic")
    shutil.rmtree(files / "stickers" / "intensity_level_3")
    assert "mosaic" in refusal(laion_c, files, SUPERCLASSES)
    assert "--severities" in refusal(laion_c, files, SUPERCLASSES, ["stickers"])
    images = laion_c(files, SUPERCLASSES, ["glitched", "stickers"], [2, 5])
    assert {*images.conditions} == {"glitched_2", "glitched_5", "stickers_2", "stickers_5"}


def test_an_incomplete_set_needs_partial(files):
    lost = files / "stickers" / "intensity_level_2" / "dog"
    (lost / "n02_2_sticker_2.JPEG").unlink()
    sentence = refusal(laion_c, files, SUPERCLASSES)
    assert "--partial" in sentence and "stickers_2" in sentence
    shutil.rmtree(lost)
    assert "dog" in refusal(laion_c, files, SUPERCLASSES)
    images = laion_c(files, SUPERCLASSES, partial=True)
    assert images.notes["partial"]["without"] == {"stickers_2": ["dog"]}
    assert images.notes["partial"]["images"]["stickers_2"] == 30


def test_other_folders_are_refused(files, tmp_path):
    assert f"it, {files}" in refusal(laion_c, files / "stickers", SUPERCLASSES)
    assert f"but {files} does" in refusal(laion_c, files.parent, SUPERCLASSES)
    (tmp_path / "empty").mkdir()
    assert "--laion_c" in refusal(laion_c, tmp_path / "empty", SUPERCLASSES)
    assert "--laion_c" in refusal(laion_c, tmp_path / "nothing", SUPERCLASSES)
    (files / "glitched" / "intensity_level_1" / "hamster").mkdir()
    assert "hamster" in refusal(laion_c, files, SUPERCLASSES)


def test_a_condition_without_superclasses_is_named(files):
    shutil.rmtree(files / "glitched" / "intensity_level_1")
    lay_out(files, ["glitched/intensity_level_1"], 2, jpeg())
    sentence = refusal(laion_c, files, SUPERCLASSES)
    assert "intensity_level_1" in sentence and "--laion_c" in sentence


def test_files_in_the_folder_of_another_level_are_noticed(files):
    shutil.rmtree(files / "mosaic" / "intensity_level_5")
    shutil.copytree(files / "mosaic" / "intensity_level_3", files / "mosaic" / "intensity_level_5")
    sentence = refusal(laion_c, files, SUPERCLASSES)
    assert "mosaic/intensity_level_3" in sentence and "mosaic/intensity_level_5" in sentence
    assert (
        "mosaic/intensity_level_5" in laion_c(files, SUPERCLASSES, partial=True).notes["mixed_up"]
    )
    assert len(laion_c(files, SUPERCLASSES, ["mosaic"], [4, 5])) == 2 * 32  # it is not known which


def test_an_image_twice_is_refused(files):
    folder = files / "mosaic" / "intensity_level_4" / "cat"
    (folder / "n02_2_mosaic_4.png").write_bytes(jpeg())
    assert "twice" in refusal(laion_c, files, SUPERCLASSES)


def test_a_model_of_other_classes_is_refused(files):
    assert "classes of the model" in refusal(laion_c, files, CLASSES)


def validation(labels, classes, tmp_path) -> ImageSet:
    names = tuple(f"{classes[label]}/{number}.png" for number, label in enumerate(labels))
    return ImageSet(tmp_path, names, names, np.array(labels, dtype=np.int64), classes)


def test_images_of_superclasses_are_as_many_of_each(tmp_path):
    classes = imagenet_classes()
    images = validation([index for index in range(1000) for _ in range(50)], classes, tmp_path)
    chosen = of_superclasses(images, seed=0)
    assert len(chosen) == 4_800 and chosen.classes == SUPERCLASSES
    assert np.bincount(chosen.labels).tolist() == [300] * 16
    for name, label in zip(chosen.names, chosen.labels, strict=True):
        index = classes.index(name.partition("/")[0])
        assert index in SUPERCLASS_INDICES[SUPERCLASSES[label]]
    assert len({*chosen.names}) == 4_800
    assert chosen.names == of_superclasses(images, seed=0).names
    assert chosen.names != of_superclasses(images, seed=1).names


def test_images_of_other_classes_keep_their_labels(tmp_path):
    chosen = of_superclasses(validation([0, 0, 0, 1, 1, 3, 3, 3], CLASSES, tmp_path), seed=0)
    assert chosen.classes == CLASSES
    assert np.bincount(chosen.labels).tolist() == [2, 2, 0, 2]


def test_images_of_no_superclass_are_refused(tmp_path):
    images = validation([999, 998], imagenet_classes(), tmp_path)
    assert "--imagenet" in refusal(of_superclasses, images, 0)


def test_stickers_are_shrunken_images(tmp_path):
    images = validation([0, 1, 2, 3, 3], CLASSES, tmp_path)
    for number in range(5):
        draw(images.path(number), number)
    images.path(1).write_bytes(b"no image")
    stickers = read_stickers(images, 4, 16, seed=0)
    assert len(stickers.names) == 3 and stickers.tiles.shape == (3, 16, 16, 3)
    for name, tile in zip(stickers.names, stickers.tiles, strict=True):
        crop = STUDY(decode(tmp_path / name)).astype(float)
        means = crop.reshape(16, 14, 16, 14, 3).mean(axis=(1, 3))
        assert np.abs(means - tile).mean() < 4  # Pillow's filter is a triangle, not a box
    assert read_stickers(images, 9, 16, seed=0).digest != stickers.digest


def test_a_single_image_has_no_stickers(tmp_path):
    images = validation([0], CLASSES, tmp_path)
    draw(images.path(0), 0)
    assert "--corruptions" in refusal(read_stickers, images, 4, 16, 0)
