"""ReaL: several labels for each ImageNet validation image, or none where nothing fits.

Source: Beyer et al., "Are we done with ImageNet?", 2020; real.json in
https://github.com/google-research/reassessed-imagenet. Entry k of its list belongs to
ILSVRC2012_val_<k + 1>.JPEG; 3,163 of the 50,000 lists are empty.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from bvg.data.downloads import data_sets
from bvg.data.finding import find_data, look_for
from bvg.data.folders import check_answerable
from bvg.data.image_set import ImageSet
from bvg.data.imagenet import VAL_CLASSES, VAL_IMAGES, imagenet_classes, timm_file, val_number
from bvg.errors import UserError, reason_of

FEWEST = 20  # images that are enough to tell whether the labels are of the same images


def packaged_real() -> Path | None:
    """Return the copy of real.json in the installed timm, or None."""
    return timm_file("imagenet_real_labels.json")


def real_file(given: str | None) -> Path:
    """Return the file of labels: the flag's, the variable's, the downloaded one, or timm's copy.

    Raises UserError if the given one does not exist, or if there is none.
    """
    found = look_for("imagenet-real", given)
    if found and found.is_dir():
        found = found / "real.json"
    return found or packaged_real() or find_data("imagenet-real")


def read_real(path: Path) -> np.ndarray:
    """Return the labels in a real.json, (images, most labels of an image) int16, -1 for none.

    Row k is image number k + 1; ImageNet's has 50,000. Raises UserError for a file of any other
    shape.
    """
    lists = _json(path)
    if not isinstance(lists, list) or not all(isinstance(labels, list) for labels in lists):
        raise _not_real(path, "it is not a list of lists")
    for number, labels in enumerate(lists, start=1):
        if not all(type(label) is int and 0 <= label < VAL_CLASSES for label in labels):
            raise _not_real(path, f"list {number:,} is {labels!r:.60}, not classes from 0 to 999")
    table = np.full((len(lists), max([1, *map(len, lists)])), -1, dtype=np.int16)
    for row, labels in zip(table, lists, strict=True):
        row[: len(labels)] = labels
    return table


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"cannot read the ReaL labels {path}: {reason_of(error)}; give the right file with "
            "--real"
        ) from error
    except ValueError as error:  # not JSON, or not text
        raise _not_real(path, "it is not JSON; perhaps it is a web page") from error


def _not_real(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} is not the file of ReaL labels ({reason}): download real.json again from "
        f"{data_sets()['imagenet-real'].about}, and give it with --real"
    )


def with_real_labels(images: ImageSet, table: np.ndarray) -> ImageSet:
    """Return the images that have ReaL labels, with these in the columns real_1 to real_<most>.

    table: from `read_real`. Labels are positions in `images.classes`; -1 follows an image's last
    label. Images without a label are excluded, and counted in the notes. A table that does not have
    ImageNet's 50,000 rows belongs to another data set; its labels are positions in the classes of
    models of that data set. Raises UserError if an image's number is not in its name, or if the
    model lacks some of the classes, or if the table is in another order (see `check_order`).
    """
    positions = _positions(images, table)
    rows = [_number(images, index, len(table)) - 1 for index in range(len(images))]
    labels = positions[table[rows]]
    scored = np.flatnonzero(labels[:, 0] >= 0)
    if not len(scored):
        raise UserError(
            f"none of the {len(images):,} images in {images.root} has a ReaL label: give more of "
            "ImageNet's validation images"
        )
    check_order(images.labels[scored], labels[scored])
    columns = {f"real_{k}": labels[scored, k - 1] for k in range(1, labels.shape[1] + 1)}
    counts = {"scored": len(scored), "without_label": len(images) - len(scored)}
    return replace(images.select(scored), columns=columns, notes={**images.notes, "real": counts})


def check_order(labels: np.ndarray, real: np.ndarray) -> None:
    """Raise UserError if hardly an original label is among the ReaL labels of the same image.

    labels: (N,). real: (N, K), as the same positions. Of the published ones 90 % are.
    """
    right = int((real == labels[:, None]).any(axis=1).sum())
    if len(labels) >= FEWEST and 10 * right < len(labels):
        raise UserError(
            f"only {right:,} of {len(labels):,} images have their original label among their ReaL "
            "labels, where 90 % should: the file of ReaL labels is in another order or of other "
            f"classes; give the published one with --real ({data_sets()['imagenet-real'].about})"
        )


def _positions(images: ImageSet, table: np.ndarray) -> np.ndarray:
    """Return the position in `images.classes` of each label, followed by -1 for no label."""
    classes = images.classes
    if len(table) == VAL_IMAGES:
        check_answerable(images.root, imagenet_classes(), classes)
        position = {name: label for label, name in enumerate(classes)}
        return np.array([*(position[name] for name in imagenet_classes()), -1])
    if set(imagenet_classes()) <= set(classes) or table.max(initial=-1) >= len(classes):
        raise UserError(
            f"the ReaL labels are {len(table):,} lists, not ImageNet's {VAL_IMAGES:,}, with "
            f"classes up to {table.max(initial=-1)}, but the model has {len(classes):,} "
            f"classes: give the labels of the images in {images.root} with --real, or evaluate a "
            "model of their classes"
        )
    return np.array([*range(len(classes)), -1])


def _number(images: ImageSet, index: int, most: int) -> int:
    """Return an image's number in the validation set, from 1 to `most`."""
    number = val_number(Path(images.names[index]).stem)
    if number is None or not 1 <= number <= most:
        raise UserError(
            f"{images.path(index)} is not named like ILSVRC2012_val_00000001.JPEG, so its ReaL "
            f"labels, which are of {most:,} images, cannot be found: keep the archive's names"
        )
    return number
