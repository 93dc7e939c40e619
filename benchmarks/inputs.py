"""What is measured on: the miniature world, or a model and photographs of yours."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.data.folders import existing_folder
from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.errors import UserError
from bvg.files import make_folder
from bvg.run.batches import as_batch
from bvg.stimuli.batch import Batch
from miniature import draw, world

MINIATURE = "miniature world"


@dataclass(frozen=True)
class Inputs:
    """A model and a folder of images, and how they are used.

    name: in the table. classes: of the model and the folders. limit: images, of as many classes as
    possible. turns: how often each side is measured.
    """

    name: str
    model: str
    imagenet: Path
    classes: tuple[str, ...]
    device: torch.device
    limit: int
    batch_size: int
    turns: int

    def images(self) -> ImageSet:
        """Return the images that are measured on."""
        images = imagenet_val(self.imagenet, self.classes, partial=True)
        return class_balanced(images, self.limit, 0)

    def batches(self) -> list[Batch]:
        """Return the images as the evaluation hands them to stimuli."""
        images = self.images()
        return [
            as_batch(images, decoded.views[0], decoded.indices, self.device, 0)
            for decoded in decoded_batches(images, (STUDY,), 0, self.batch_size, 0, False)
        ]

    def words(self) -> list[str]:
        """Return the words of a script that evaluates the model on the images."""
        return [
            *("--model", self.model, "--imagenet", str(self.imagenet), "--partial"),
            *("--limit", str(self.limit), "--batch_size", str(self.batch_size)),
            *("--device", str(self.device), "--wandb", "disabled"),
        ]


def all_inputs(model: str | None, imagenet: str | None, folder: Path, **sizes: Any) -> list[Inputs]:
    """Return the miniature world, drawn into the folder, and the model on its images, if given.

    sizes: the other fields of Inputs. Raises UserError for a model without images, or the reverse.
    """
    if bool(model) != bool(imagenet):
        raise UserError(
            "--model and --imagenet belong together: give both, or neither for the miniature world"
        )
    chosen = [miniature(folder, **sizes)]
    if model and imagenet:
        images = existing_folder(imagenet, "the ImageNet folder", "--imagenet")
        chosen.append(Inputs(model, model, images, imagenet_classes(), **sizes))
    return chosen


def miniature(folder: Path, **sizes: Any) -> Inputs:
    """Return the plain model of the miniature world, which is drawn into the folder."""
    world_folder = draw_miniature(folder, sizes["limit"], "imagenet")
    images, classes = world_folder / "imagenet", tuple(world.CATEGORIES)
    return Inputs(MINIATURE, "miniature_plain", images, classes, **sizes)


def draw_miniature(folder: Path, limit: int, name: str) -> Path:
    """Return the folder of a miniature world with so many images that has the data set `name`."""
    per_class = -(-limit // len(world.CATEGORIES))
    place = folder / f"miniature-{per_class}"
    make_folder(place, "--results")
    draw.make(place, 0, per_class, os.cpu_count() or 1, [name])
    return place
