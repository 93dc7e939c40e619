"""ImageNet's validation set, in each of the layouts that people keep it in."""

import re
from functools import cache
from pathlib import Path

import numpy as np

from basics.errors import UserError
from images.flat_val import wnids_of_flat_val
from images.image_set import ImageSet, existing_folder, image_files, in_class_folders, subfolders
from images.layouts import check_answerable, check_counts, check_known, contents, one_class

VAL_IMAGES, VAL_CLASSES = 50_000, 1_000
WHERE = "https://image-net.org/download (ILSVRC2012, validation images; a login is needed)"
_MOST_LEVELS = 4  # <group>/<corruption>/<severity>/<wnid>
_WNID = re.compile(r"n\d{8}")


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the 1000 wnids of ImageNet-1k in sorted order, the order of the models' logits."""
    from timm.data import ImageNetInfo  # here, because importing timm takes seconds

    return tuple(ImageNetInfo("imagenet-1k").label_names())


def classes_in(folder: Path) -> tuple[str, ...]:
    """Return the classes that a data set's folders speak of, where no model says what it knows.

    ImageNet's where their wnids are found: in the folder, in its `val`, or below folders of groups,
    conditions and severities; else the names of the folders.
    """
    top = folder / "val" if (folder / "val").is_dir() else folder
    level = top
    for _ in range(_MOST_LEVELS):
        inside = subfolders(level)
        if not inside:
            break
        if set(inside) <= set(imagenet_classes()):
            return imagenet_classes()
        level = level / inside[0]
    return tuple(subfolders(top)) or imagenet_classes()


def are_imagenet(classes: tuple[str, ...]) -> bool:
    """Return whether `classes` are ImageNet-1k's (timm is imported only where they may be)."""
    return len(classes) == VAL_CLASSES and classes == imagenet_classes()


def imagenet_val(root: str | Path, classes: tuple[str, ...], partial: bool = False) -> ImageSet:
    """Return ImageNet val, or a data set of the same layout for other `classes`.

    `root` is ImageNet's folder or its `val`; inside are `<class>/<image>` folders, or the 50,000
    files of the original archive with the ground truth beside them (see images/flat_val.py).
    A set whose counts are not those of ImageNet val is refused unless `partial`.
    Raises UserError for any other layout, naming what was found and the right folder.
    """
    given = existing_folder(root, "the ImageNet folder", "--imagenet")
    folder = given / "val" if (given / "val").is_dir() else given
    present = set(subfolders(folder)) & set(classes)
    if present:
        unknown = sorted(set(subfolders(folder)) - set(classes))
        files, labels = in_class_folders(folder, classes)
        names = files
    else:
        files = image_files(folder)
        if wnids := [name for name in subfolders(folder) if name in imagenet_classes()]:
            check_answerable(folder, wnids, classes)  # which the model's classes are not
        if not files or (len(folder.name) == 9 and _WNID.fullmatch(folder.name)):
            raise UserError(_wrong_layout(given, folder, classes))
        unknown = []
        wnids = wnids_of_flat_val(folder, files)
        check_answerable(folder, wnids, classes)
        labels = np.array([classes.index(wnid) for wnid in wnids], dtype=np.int64)
        names = [f"{wnid}/{file}" for wnid, file in zip(wnids, files, strict=True)]
    check_known(folder, unknown)
    images = ImageSet(folder, tuple(files), tuple(names), labels, classes)
    whole = (VAL_IMAGES, VAL_CLASSES) if are_imagenet(classes) else (len(files), len(classes))
    check_counts(images, whole, partial)
    return images


def _wrong_layout(given: Path, folder: Path, classes: tuple[str, ...]) -> str:
    """Return the sentence for a folder that is not a validation set, with the right one if seen."""
    layout = f"class folders (such as {classes[0]}/) with images in them"
    if folder.name in classes or _WNID.fullmatch(folder.name):
        return one_class(given)
    for inner in subfolders(folder):
        for candidate in (folder / inner, folder / inner / "val"):
            if candidate.is_dir() and set(subfolders(candidate)) & set(classes):
                return f"{given} holds no {layout}, but {candidate} does: give that with --imagenet"
    return (
        f"{folder} holds {contents(folder)}, but ImageNet val is {layout}; give its folder with "
        f"--imagenet; it can be had from {WHERE}"
    )
