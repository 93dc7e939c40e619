"""ImageNet's validation set, in each of its common layouts."""

import re
from functools import cache
from pathlib import Path

import numpy as np

from bvg.data.flat_val import (
    DEVKIT_FOLDERS,
    GROUND_TRUTH,
    VAL_IMAGES,
    wnids_in_name,
    wnids_of_flat_val,
)
from bvg.data.image_set import (
    ImageSet,
    existing_folder,
    images_of_class,
    in_class_folders,
    subfolders,
    unused_note,
)
from bvg.data.layouts import check_answerable, check_counts, check_known, contents, one_class
from bvg.errors import UserError

VAL_CLASSES = 1_000
WHERE = "https://image-net.org/download (ILSVRC2012, validation images; a login is needed)"
_MOST_LEVELS = 4  # <group>/<corruption>/<severity>/<wnid>
_WNID = re.compile(r"n\d{8}")
# Where the images are below ImageNet's folder: its own, Kaggle's and Hugging Face's archives.
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
    """Return the classes that a data set's folders speak of, where no model says what it knows.

    ImageNet's where their wnids are found: in the folder, in its `val`, or below folders of groups,
    conditions and severities; else the names of the folders.
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
    """Return the folder of the validation images: below ImageNet's folder, or that itself."""
    return next((given / below for below in _BELOW if (given / below).is_dir()), given)


def are_imagenet(classes: tuple[str, ...]) -> bool:
    """Return whether `classes` are ImageNet-1k's (timm is imported only where they may be)."""
    return len(classes) == VAL_CLASSES and classes == imagenet_classes()


def imagenet_val(
    root: str | Path, classes: tuple[str, ...] | None = None, partial: bool = False
) -> ImageSet:
    """Return ImageNet val, or a data set of the same layout for other `classes`.

    `root` is ImageNet's folder (also as Kaggle's archive has it) or its `val`; inside are
    `<class>/<image>` folders, or files whose names say whose label they have, if need be with the
    ground truth beside them (see data/flat_val.py). Files that are not used are counted in the
    notes. classes: what the models answer with; None: those that the folder names.
    A set whose counts are not those of ImageNet val is refused unless `partial`.
    Raises UserError for any other layout, naming what was found and the right folder.
    """
    given = existing_folder(root, "the ImageNet folder", "--imagenet")
    classes = classes or classes_in(given)
    folder = val_folder(given)
    present = set(subfolders(folder)) & set(classes)
    if present:
        unknown = sorted(set(subfolders(folder)) - set(classes))
        files, labels, names, unused = in_class_folders(folder, classes)
        _refuse_contradictions(folder, files)
    else:
        files, unused = images_of_class(folder, {*GROUND_TRUTH, *DEVKIT_FOLDERS})
        if wnids := [name for name in subfolders(folder) if name in imagenet_classes()]:
            check_answerable(folder, wnids, classes)  # which the model's classes are not
        if not files or (len(folder.name) == 9 and _WNID.fullmatch(folder.name)):
            raise UserError(_wrong_layout(given, folder, classes))
        unknown = []
        wnids = wnids_of_flat_val(folder, files)
        check_answerable(folder, wnids, classes)
        position = {name: label for label, name in enumerate(classes)}
        labels = np.array([position[wnid] for wnid in wnids], dtype=np.int64)
        names = [f"{wnid}/{file}" for wnid, file in zip(wnids, files, strict=True)]
    check_known(folder, unknown)
    images = ImageSet(
        folder, tuple(files), tuple(names), labels, classes, notes=unused_note(unused)
    )
    whole = (VAL_IMAGES, VAL_CLASSES) if are_imagenet(classes) else (len(files), len(classes))
    check_counts(images, whole, partial)
    return images


def _refuse_contradictions(folder: Path, files: list[str]) -> None:
    """Raise UserError where a file's name states another wnid than its folder's."""
    for file in files:
        of_folder, stated = file.partition("/")[0], wnids_in_name(file)
        if _WNID.fullmatch(of_folder) and stated and of_folder not in stated:
            raise UserError(
                f"{folder / file} is of the class {min(stated)} by its name and of {of_folder} by "
                "its folder: move it to its class's folder, or rename it"
            )


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
        f"--imagenet; get it from {WHERE}"
    )
