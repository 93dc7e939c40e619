"""What all layouts of image folders share: the class folders, and what to say of wrong ones."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bvg.data.image_set import (
    ImageSet,
    image_files,
    images_of_class,
    kinds_in_words,
    subfolders,
    unused_sentence,
)
from bvg.errors import UserError


def holds_class_folders(folder: Path) -> bool:
    """Return whether some folder in `folder` holds images as a class's folder does."""
    return any(_holds_images(folder / name) for name in subfolders(folder))


def _holds_images(folder: Path) -> bool:
    try:
        return bool(image_files(folder)) or any(
            inner in ("images", folder.name) and image_files(folder / inner)
            for inner in subfolders(folder)
        )
    except UserError:  # a folder that may not be read, such as lost+found
        return False


def check_known(folder: Path, unknown: list[str]) -> None:
    """Raise UserError when `folder` has folders that are not classes of the model."""
    if unknown:
        raise UserError(
            f"{folder} has {len(unknown):,} folder(s) that are not classes of the model "
            f"({first_few(unknown)}): evaluate a model that knows these classes and lists their "
            "names in its attribute `classes`, or remove these folders from the data set"
        )


def check_answerable(folder: Path, needed: Iterable[str], classes: tuple[str, ...]) -> None:
    """Raise UserError when the model's `classes` lack some that the images in `folder` are of."""
    lacking = sorted(set(needed) - set(classes))
    if lacking:
        raise UserError(
            f"images in {folder} are labelled as ImageNet's classes, but the model's "
            f"{len(classes):,} classes ({first_few(classes)}) lack {first_few(lacking)}: evaluate "
            "a model of ImageNet's 1000 classes; if it is one, name them by their wnids in the "
            "model's attribute `classes`, in the order of its logits"
        )


def found_in(images: ImageSet) -> tuple[int, int]:
    """Return the numbers of images and of classes; raises UserError when there is no image."""
    if not len(images):
        unused = unused_sentence(images)
        raise UserError(
            f"{images.root} has class folders, but no readable image in them"
            f"{f' ({unused})' if unused else ''}: give another folder, or convert the images"
        )
    return len(images), len(np.unique(images.labels))


def check_counts(images: ImageSet, expected: tuple[int, int], partial: bool) -> None:
    """Refuse a set of other (images, classes) than expected, or note it as partial if allowed."""
    found = found_in(images)
    if found == expected:
        return
    if not partial:
        raise UserError(
            f"{images.root} holds {found[0]:,} images of {found[1]:,} classes, not "
            f"{expected[0]:,} of {expected[1]:,}: give all images, or allow a subset with "
            "--partial (recorded in the result)"
        )
    images.notes["partial"] = {
        "images": found[0],
        "classes": found[1],
        "expected_images": expected[0],
        "expected_classes": expected[1],
    }


def one_class(given: Path) -> str:
    """Return the sentence for a folder that is one level too low."""
    return f"{given} is one class's folder: give the folder above it, {given.parent}"


def contents(folder: Path) -> str:
    """Return a description of the contents of `folder`, for an error message."""
    inside = subfolders(folder)
    if inside:
        return f"the folders {first_few(inside)}"
    loose, others = images_of_class(folder)
    if loose:
        return f"{len(loose):,} image(s) in no class folders"
    return f"no images ({kinds_in_words(others)})" if others else "no images or class folders"


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
