"""Data sets that would make the results of a training mean something else."""

import shutil
from pathlib import Path

import pytest

from bvg.data.imagenet import imagenet_val
from bvg.data.imagenet_train import imagenet_train
from bvg.training.curve import IMAGENET, STYLIZED
from bvg.training.job import check_distinct
from bvg.training.recipe import IN, SIN
from conftest import refusal
from training_helpers import CLASSES, draw_world


@pytest.fixture
def world(tmp_path) -> Path:
    return draw_world(tmp_path / "world")


def sets_of(world: Path) -> tuple[dict, dict]:
    """Return the training and the validation sets in a world."""
    folders = {IN: world / "imagenet", SIN: world / "sin"}
    training = {name: imagenet_train(folder, CLASSES) for name, folder in folders.items()}
    names = {IN: IMAGENET, SIN: STYLIZED}
    validation = {names[name]: imagenet_val(folder, CLASSES) for name, folder in folders.items()}
    return training, validation


def test_different_images_of_the_same_names_are_taken(world):
    check_distinct(*sets_of(world))


@pytest.mark.parametrize(
    ("source", "target", "flags"),
    [
        ("imagenet", "sin", ("--imagenet (train/)", "--stylized_imagenet (train/)")),
        ("imagenet/train", "imagenet/val", ("--imagenet (train/)", "--imagenet (val/)")),
        ("sin/val", "sin/train", ("--stylized_imagenet (train/)", "--stylized_imagenet (val/)")),
        ("imagenet/val", "sin/val", ("--imagenet (val/)", "--stylized_imagenet (val/)")),
    ],
)
def test_a_link_to_other_images_is_refused(world, source, target, flags):
    shutil.rmtree(world / target)
    (world / target).symlink_to(world / source, target_is_directory=True)
    sentence = refusal(check_distinct, *sets_of(world))
    assert all(flag in sentence for flag in flags)


def test_a_copy_of_a_few_images_is_refused(world):
    name = f"{CLASSES[7]}/2.png"
    shutil.copy(world / "imagenet" / "train" / name, world / "imagenet" / "val" / name)
    assert name in refusal(check_distinct, *sets_of(world))


def test_stylized_images_given_as_imagenet_are_refused(world):
    (world / "imagenet" / "manifest.json").write_text('{"stylizer": {"engine": "adain"}}')
    training, validation = sets_of(world)
    assert "--stylized_imagenet" in refusal(check_distinct, training, validation)
    assert "--imagenet" in refusal(check_distinct, {SIN: training[SIN]}, validation)
