"""The images below any folder, and the files of their stylized copies."""

import os
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from bvg.data.folders import kinds_of, unused_note
from bvg.data.image_set import ImageSet
from bvg.data.imagenet import VAL_CLASSES, VAL_IMAGES
from bvg.data.imagenet_train import TRAIN_IMAGES
from bvg.data.preprocessing import image_endings
from bvg.errors import UserError

FIRST = ("val", "train")  # folders that come first, in Stylized-ImageNet's order


def images_below(root: Path, flag: str) -> ImageSet:
    """Return all images below `root`, at any depth, labelled by their folder.

    Endings count in any case. Those in val/ come first, then those in train/, then others; folders
    and files are sorted, which is torchvision's order in ImageFolder. Hidden files and folders are
    ignored, other files counted in the notes.
    Raises UserError if there is no image; flag: that which gives the folder.
    """
    endings = image_endings()
    found: list[tuple[str, ...]] = []
    others: Counter[str] = Counter()
    for place, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        parts = Path(place).relative_to(root).parts
        shown = [name for name in names if not name.startswith(".")]
        images = [name for name in shown if os.path.splitext(name)[1].lower() in endings]  # noqa: PTH122
        found += [(*parts, name) for name in images]
        others += kinds_of(set(shown) - set(images))
    if not found:
        raise UserError(f"there is no image in {root} or below it: give another folder with {flag}")
    found.sort(key=_place)
    files = ["/".join(parts) for parts in found]
    folders_of = ["/".join(parts[:-1]) for parts in found]
    classes = tuple(dict.fromkeys(folders_of))
    position = {name: label for label, name in enumerate(classes)}
    labels = np.array([position[name] for name in folders_of], dtype=np.int64)
    return ImageSet(root, files, files, labels, classes, notes=unused_note(others))


def _place(parts: tuple[str, ...]) -> tuple[int, tuple[str, ...], str]:
    first = FIRST.index(parts[0]) if len(parts) > 1 and parts[0] in FIRST else len(FIRST)
    return first, parts[:-1], parts[-1]


def begins_as_published(images: ImageSet) -> bool:
    """Return whether these are the images that Stylized-ImageNet's styles were drawn for, in order.

    Those are ImageNet's validation images, alone or before all training images, in class folders.
    """
    found = len(images), len(images.classes)
    if found == (VAL_IMAGES, VAL_CLASSES):
        return True
    with_train = VAL_IMAGES + TRAIN_IMAGES, 2 * VAL_CLASSES
    return found == with_train and images.names[VAL_IMAGES - 1].startswith(f"{FIRST[0]}/")


def copies_of(files: list[str], ending: str) -> list[str]:
    """Return the names of the copies: the same with another ending.

    Where two images differ in their endings only, all copies keep them: a.jpg.png, a.webp.png.
    """
    copies = [str(PurePosixPath(file).with_suffix(ending)) for file in files]
    if len(set(copies)) < len(copies):
        copies = [file + ending for file in files]
    return copies


def existing(out: Path, copies: list[str]) -> set[str]:
    """Return those of the copies below `out` that exist and are not empty."""
    found: set[str] = set()
    for folder in {os.path.dirname(copy) for copy in copies}:  # noqa: PTH120
        place = out / folder
        if place.is_dir():
            with os.scandir(place) as entries:
                found |= {
                    f"{folder}/{entry.name}" if folder else entry.name
                    for entry in entries
                    if entry.is_file() and entry.stat().st_size
                }
    return found.intersection(copies)
