"""What the benchmarks on ImageNet's validation images share: their flags and their images."""

import argparse
import os
from pathlib import Path

from basics.errors import UserError
from images.image_set import ImageSet, existing_folder
from images.imagenet import WHERE, imagenet_val


def imagenet_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say where ImageNet is."""
    group.add_argument("--imagenet", metavar="DIR", help="ImageNet's folder (else $BVG_IMAGENET)")
    group.add_argument("--partial", action="store_true", help="allow a subset of the images")


def imagenet_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of the images; raises UserError when it is not given or not there."""
    given = arguments.imagenet or os.environ.get("BVG_IMAGENET")
    if not given:
        raise UserError(f"give ImageNet's folder with --imagenet (or BVG_IMAGENET); {WHERE}")
    return existing_folder(given, "the ImageNet folder", "--imagenet")


def imagenet_images(
    folder: Path, classes: tuple[str, ...], arguments: argparse.Namespace
) -> ImageSet:
    """Return the validation images."""
    return imagenet_val(folder, classes, arguments.partial)
