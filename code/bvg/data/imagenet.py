"""ImageNet's validation set, in each of its common layouts."""

import re
from functools import cache
from pathlib import Path

import numpy as np

from bvg.data.folders import (
    check_answerable,
    check_known,
    existing_folder,
    images_of_class,
    in_class_folders,
    subfolders,
    unused_note,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, check_counts
from bvg.data.imagenet_labels import (
    DEVKIT_FOLDERS,
    GROUND_TRUTH,
    VAL_IMAGES,
    wnids_in_name,
    wnids_of_flat_val,
)
from bvg.errors import UserError

VAL_CLASSES = 1_000
_MOST_LEVELS = 4  # <group>/<corruption>/<severity>/<wnid>
_WNID = re.compile(r"n\d{8}")
# The images' folder inside ImageNet's, in the original, Kaggle's and Hugging Face's archives.
_BELOW = (
    "val",
    "ILSVRC/Data/CLS-LOC/val",
    "Data/CLS-LOC/val",
    "CLS-LOC/val",
    "val_images",
    "data/val_images",
)


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the 1000 wnids of ImageNet-1k in sorted order, the order of the models' logits."""
    from timm.data import ImageNetInfo  # here, because importing timm takes seconds

    return tuple(ImageNetInfo("imagenet-1k").label_names())


def classes_in(folder: Path) -> tuple[str, ...]:
    """Return the classes of a data set, for calls without a model.

    ImageNet's if the folder contains folders named by wnid, directly, in `val`, or below folders of
    groups, conditions and severities; else the names of its folders.
    """
    top = level = val_folder(folder)
    for _ in range(_MOST_LEVELS):
        inside = subfolders(level)
        if not inside:
            break
        if set(inside) <= set(imagenet_classes()):
            return imagenet_classes()
        level = level / inside[0]
    folders = tuple(name for name in subfolders(top) if name not in DEVKIT_FOLDERS)
    return folders or imagenet_classes()


def val_folder(given: Path) -> Path:
    """Return the folder of the validation images: one inside ImageNet's folder, or that itself."""
    return next((given / below for below in _BELOW if (given / below).is_dir()), given)


def are_imagenet(classes: tuple[str, ...]) -> bool:
    """Return whether `classes` are ImageNet-1k's (timm is only imported if there are 1000)."""
    return len(classes) == VAL_CLASSES and classes == imagenet_classes()


def expected_counts(classes: tuple[str, ...], found: int) -> tuple[int, int]:
    """Return how many images and classes a complete validation set has.

    Of other classes than ImageNet's, any number of images, `found`, is complete.
    """
    return (VAL_IMAGES, VAL_CLASSES) if are_imagenet(classes) else (found, len(classes))


def imagenet_val(
    root: str | Path, classes: tuple[str, ...] | None = None, partial: bool = False
) -> ImageSet:
    """Return ImageNet's validation set, or a data set of the same layout for other `classes`.

    root: ImageNet's folder (also in the layout of Kaggle's archive) or its `val`, with class
    folders <class>/<image>, or with images whose labels follow from their names and the ground
    truth next to them (see data/imagenet_labels.py). Unused files are counted in the notes.
    classes: those of the models; None: those of the folder.
    Raises UserError for any other layout, with the right folder if it is nearby, and, unless
    `partial`, for other counts than ImageNet's.
    """
    given = existing_folder(root, "the ImageNet folder", "--imagenet")
    classes = classes or classes_in(given)
    folder = val_folder(given)
    present = subfolders(folder)
    if set(present) & set(classes):
        files, labels, names, unused = in_class_folders(folder, classes)
        _refuse_contradictions(folder, files)
        check_known(folder, sorted(set(present) - set(classes)))
    else:
        files, unused = images_of_class(folder, {*GROUND_TRUTH, *DEVKIT_FOLDERS})
        if wnids := [name for name in present if name in imagenet_classes()]:
            check_answerable(folder, wnids, classes)
        if not files or _WNID.fullmatch(folder.name):
            layout = f"class folders (such as {classes[0]}/) with images in them"
            raise wrong_folder(folder, "imagenet", layout, {*classes, *imagenet_classes()})
        wnids = wnids_of_flat_val(folder, files)
        check_answerable(folder, wnids, classes)
        position = {name: label for label, name in enumerate(classes)}
        labels = np.array([position[wnid] for wnid in wnids], dtype=np.int64)
        names = [f"{wnid}/{file}" for wnid, file in zip(wnids, files, strict=True)]
    images = ImageSet(
        folder, tuple(files), tuple(names), labels, classes, notes=unused_note(unused)
    )
    check_counts(images, expected_counts(classes, len(files)), partial)
    return images


def _refuse_contradictions(folder: Path, files: list[str]) -> None:
    """Raise UserError for a file whose name states another wnid than its folder's."""
    for file in files:
        of_folder, stated = file.partition("/")[0], wnids_in_name(file)
        if _WNID.fullmatch(of_folder) and stated and of_folder not in stated:
            raise UserError(
                f"{folder / file} is of the class {min(stated)} by its name and of {of_folder} by "
                "its folder: move it to its class's folder, or rename it"
            )
