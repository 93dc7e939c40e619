"""LAION-C: its 16 superclasses of ImageNet's classes, its files, and images to make it from.

Source: Li, Klein, Brendel, Geirhos & Zimmermann, "LAION-C: An Out-of-Distribution Benchmark for
Web-Scale Vision Models", ICML 2025; the superclasses are those of laionc/mappings/
category_mapping.json in https://github.com/FanfeiLi/LAION-C (MIT licence), in its order.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from bvg.data.categories import expand
from bvg.data.folders import (
    check_known,
    existing_folder,
    found_twice,
    subfolders,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, by_condition, class_balanced, found_in, images_of_classes
from bvg.data.imagenet import VAL_CLASSES, are_imagenet
from bvg.data.imagenet_c import CorruptionSet, condition_folders
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import SQUASHED_224
from bvg.errors import UserError, first_few

# Class indices in sorted-wnid order; "a-b" includes both ends.
_INDICES = {
    "fruit": "948-951 953 954",
    "fish": "0-4 147 148 393-397",
    "tools": "491 499 587 596 740 784 792",
    "instruments": "401 402 420 432 546 558 566 579 593 594 776 881 889",
    "ball": "429 430 768 805 852 890",
    "primate": "365-382",
    "snakes": "52-55 57-68",
    "timekeeping": "409 530 531 826 835 892",
    "chair": "423 559 703 765 831 857",
    "butterfly": "321-326",
    "boat": "472 510 554 576 625 814 914",
    "cat": "281-286",
    "bottle": "440 720 737 898 899 901 907",
    "car_truck": "436 511 555 569 656 675 717 734 817 864 867",
    "bird": "8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145",
    "dog": "152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268",
}
SUPERCLASS_INDICES: dict[str, tuple[int, ...]] = {
    name: expand(ranges) for name, ranges in _INDICES.items()
}
SUPERCLASSES: tuple[str, ...] = tuple(SUPERCLASS_INDICES)

SEVERITIES = (1, 2, 3, 4, 5)  # "intensity levels" in the paper
CORRUPTIONS = (
    "glitched",
    "mosaic",
    "stickers",
    "vertical_lines",
    "geometric_shapes",
    "luminance_checkerboard",
)
LAION_C = CorruptionSet(
    name="laion-c",
    key="laion-c",
    corruptions=CORRUPTIONS,
    levels={name: tuple(f"intensity_level_{s}" for s in SEVERITIES) for name in CORRUPTIONS},
)
# What the published program appends to an image's name: the corruption, in short, and the level.
_ENDING = re.compile(
    r"\.?_(glitched|mosaic|sticker|vertical_lines|geometric_shapes|luminance)(s|_checkerboard)?_([1-5])$"
)
_TILE_BATCH = 64  # images decoded at a time for stickers


def superclasses_of(model_classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the superclasses, or of a model with other classes than ImageNet's these classes."""
    return SUPERCLASSES if are_imagenet(model_classes) else model_classes


def laion_c(
    root: str | Path,
    classes: tuple[str, ...],
    corruptions: Sequence[str] = CORRUPTIONS,
    severities: Sequence[int] = SEVERITIES,
    partial: bool = False,
) -> ImageSet:
    """Return the files `<corruption>/intensity_level_<1..5>/<superclass>/<image>` under `root`.

    classes: the superclasses. An image is called `<superclass>/<file>`, without the file's ending
    and without what the published program appends, so that it has the same name under all
    conditions. Files are squashed to 224 x 224 pixels, as published.
    Raises UserError for another layout and, unless `partial`, for folders with files of another
    condition by their names, superclasses without images and conditions with different numbers of
    images.
    """
    given = existing_folder(root, "the LAION-C folder", "--laion_c")
    folders = condition_folders(given, LAION_C, tuple(corruptions), tuple(severities))
    parts = {
        condition: _of_condition(given / folder, condition, folder, classes)
        for condition, folder in folders.items()
    }
    images = by_condition(given, parts, folders, classes)
    if mixed := _mixed_up(parts, folders):
        if not partial:
            raise UserError(
                f"{mixed} in {given}: unpack or download LAION-C again, or evaluate the files as "
                "they are with --partial (recorded in the result)"
            )
        images.notes["mixed_up"] = mixed
    if differing := _incomplete(given, parts, partial):
        images.notes["partial"] = differing
    return replace(images, view=SQUASHED_224["pillow"])


def _of_condition(folder: Path, condition: str, inner: str, classes: tuple[str, ...]) -> ImageSet:
    present = subfolders(folder)
    if not set(present) & {*classes, *SUPERCLASSES}:
        layout = f"folders of superclasses, such as {inner}/{classes[0]}/"
        raise wrong_folder(folder, LAION_C.name, layout, classes)
    check_known(folder, sorted(set(present) - set(classes)))
    images = images_of_classes(folder, classes)
    found_in(images)
    plain = tuple(_ENDING.sub("", name.rpartition(".")[0]) for name in images.names)
    file_of: dict[str, str] = {}
    for name, file in zip(plain, images.files, strict=True):
        if other := file_of.get(name):
            raise found_twice(folder, other, file)
        file_of[name] = file
    return replace(images, names=plain)


def _mixed_up(parts: dict[str, ImageSet], folders: dict[str, str]) -> str:
    """Return which two conditions' folders have files of one condition by their names, if any."""
    folder_of: dict[tuple[str, ...], str] = {}
    for condition, part in parts.items():
        endings = (_ENDING.search(file.rpartition(".")[0]) for file in part.files)
        for ending in sorted({match.groups("") for match in endings if match}):
            other = folder_of.setdefault(ending, folders[condition])
            if other != folders[condition]:
                return (
                    f"both {other} and {folders[condition]} have files of {ending[0]}, level "
                    f"{ending[2]}, by their names"
                )
    return ""


def _incomplete(root: Path, parts: dict[str, ImageSet], partial: bool) -> dict[str, object]:
    """Return what the conditions lack, for the record; raises UserError unless `partial`."""
    counts = {name: len(part) for name, part in parts.items()}
    lacking = {}
    for name, part in parts.items():
        there = {part.classes[label] for label in part.labels}
        if absent := [one for one in part.classes if one not in there]:
            lacking[name] = absent
    if not lacking and len({*counts.values()}) == 1:
        return {}
    if not partial:
        remedy = (
            "unpack or download LAION-C again, or allow a subset with --partial (recorded in the "
            "result)"
        )
        for name, absent in lacking.items():
            raise UserError(f"{root} has no images of {first_few(absent)} in {name}: {remedy}")
        least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        raise UserError(
            f"{root} holds {counts[least]:,} images in {least} but {counts[most]:,} in {most}: "
            f"{remedy}"
        )
    return {"images": counts, "without": lacking}


def of_superclasses(images: ImageSet, seed: int) -> ImageSet:
    """Return ImageNet's images of the superclasses, labelled by them, as many of each.

    That is as many as the smallest superclass has: 300 of ImageNet's validation images, 4,800
    together. Images of other classes than ImageNet's keep their labels. The choice is keyed by
    (seed, image). Raises UserError if there is none.
    """
    if are_imagenet(images.classes):
        superclass_of = np.full(VAL_CLASSES, -1)
        for label, indices in enumerate(SUPERCLASS_INDICES.values()):
            superclass_of[list(indices)] = label
        labels = superclass_of[images.labels]
        chosen = np.flatnonzero(labels >= 0)
        if not len(chosen):
            raise UserError(
                f"{images.root} has no image of LAION-C's superclasses ({first_few(SUPERCLASSES)})"
                ": give the complete validation set with --imagenet"
            )
        images = replace(images, labels=labels, classes=SUPERCLASSES).select(chosen)
    counts = np.bincount(images.labels)
    present = counts[counts > 0]
    return class_balanced(images, int(len(present) * present.min()), seed)


@dataclass(frozen=True)
class Stickers:
    """Photographs shrunk to stickers.

    names: of the photographs, (N,). tiles: (N, side, side, 3) uint8.
    """

    names: tuple[str, ...]
    tiles: np.ndarray

    @property
    def digest(self) -> str:
        """Return a short hash of the stickers, for the record."""
        return hashlib.sha256(self.tiles.tobytes()).hexdigest()[:16]


def read_stickers(images: ImageSet, count: int, side: int, seed: int) -> Stickers:
    """Return `count` of the images (or all) as stickers of side x side pixels.

    The choice is keyed by (seed, image), with classes as equally represented as possible. Images
    that cannot be decoded are left out. Raises UserError if fewer than two are left.
    """
    chosen = class_balanced(images, count, seed)
    names: list[str] = []
    tiles: list[np.ndarray] = []
    for batch in decoded_batches(chosen, (chosen.view,), 0, _TILE_BATCH, 0, pin_memory=False):
        names += [chosen.names[index] for index in batch.indices]
        for crop in batch.views[0].numpy():
            shrunk = Image.fromarray(crop).resize((side, side), Image.Resampling.BILINEAR)
            tiles.append(np.asarray(shrunk))
    if len(tiles) < 2:
        raise UserError(
            f"the stickers on an image are other images, but {images.root} has only {len(tiles)} "
            "that can be decoded: give more images with --imagenet, or leave stickers out of "
            "--corruptions"
        )
    return Stickers(tuple(names), np.stack(tiles))
