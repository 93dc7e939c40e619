"""REFINED-BIAS: stimuli of shape and stimuli of texture, with ten classes each.

Source: Kim et al., "On the Reliability of Cue Conflict and Beyond", arXiv 2603.10834, 2026; 300
images per class. A class is one of ImageNet's, or two or three that the stimuli do not distinguish.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from bvg.data.folders import (
    check_answerable,
    check_folders,
    check_names,
    check_stems,
    existing_folder,
    subfolders,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, by_condition, check_counts, images_of_classes

IMAGES = 300  # of each class
SHAPE, TEXTURE = "shape", "texture"
# By cue, the wnids of each class; the first one is the label in the predictions.
Classes = Mapping[str, Mapping[str, tuple[str, ...]]]
CLASSES: Classes = {
    SHAPE: {
        "cassette": ("n02978881",),
        "ipod": ("n03584254",),
        "balloon": ("n02782093",),
        "revolver": ("n04086273",),
        "clock": ("n03196217", "n02708093", "n04548280"),
        "mouse": ("n03793489",),
        "camera": ("n03976467", "n04069434"),
        "book": ("n06596364",),
        "soccer_ball": ("n04254680",),
        "hourglass": ("n03544143",),
    },
    TEXTURE: {
        "brain_coral": ("n01917289",),
        "dishrag": ("n03207743",),
        "tiger": ("n02129604",),
        "porcupine": ("n02346627",),
        "zebra": ("n02391049",),
        "broccoli": ("n07714990",),
        "cheetah": ("n02130308",),
        "elephant": ("n02504458", "n02504013"),
        "strawberry": ("n07745940",),
        "honeycomb": ("n03530642",),
    },
}
_FOLDERS = {SHAPE: "refined_bias_shape", TEXTURE: "refined_bias_texture"}
_BELOW = ("refined_bias/datasets", "datasets", "refined_bias")  # in the repository


def refined_bias(root: str | Path, classes: tuple[str, ...], partial: bool = False) -> ImageSet:
    """Return the stimuli `refined_bias_<cue>/<class>/<image>` under `root`.

    The condition is the cue, "shape" or "texture"; labels are the first wnid of each class, as an
    index into `classes` (the models'). For other classes than ImageNet's, see `classes_of`.
    Raises UserError for another layout, for models without these classes of ImageNet, and, unless
    `partial`, for other numbers of images or classes than the published ones.
    """
    given = existing_folder(root, "the folder of REFINED-BIAS", "--refined_bias")
    folder = next((given / b for b in _BELOW if (given / b / _FOLDERS[SHAPE]).is_dir()), given)
    if not all((folder / inner).is_dir() for inner in _FOLDERS.values()):
        layout = f"the folders {' and '.join(_FOLDERS.values())}"
        raise wrong_folder(given, "refined-bias", layout, _FOLDERS.values())
    known = classes_of(folder, classes)
    needed = [name for members in members_of(known).values() for name in members]
    check_answerable(folder, needed, classes)
    parts = {cue: _of_cue(folder / _FOLDERS[cue], cue, own, classes) for cue, own in known.items()}
    if known is CLASSES:
        for cue, part in parts.items():
            check_counts(part, (IMAGES * len(known[cue]), len(known[cue])), partial)
    return by_condition(folder, parts, _FOLDERS, classes)


def classes_of(folder: Path, classes: tuple[str, ...]) -> Classes:
    """Return, by cue, the model's classes that belong to each class of the stimuli in `folder`.

    These are the published ones, unless all class folders have names of the model's `classes` and
    the model does not know the published ones.
    """
    published = {name for own in CLASSES.values() for members in own.values() for name in members}
    if published <= {*classes}:
        return CLASSES
    names = {cue: subfolders(folder / inner) for cue, inner in _FOLDERS.items()}
    if all(own and {*own} <= {*classes} for own in names.values()):
        return {cue: {name: (name,) for name in own} for cue, own in names.items()}
    return CLASSES


def members_of(known: Classes) -> dict[str, tuple[str, ...]]:
    """Return the model's classes of each class of the stimuli, of either cue."""
    return {name: members for own in known.values() for name, members in own.items()}


def _of_cue(
    folder: Path, cue: str, known: Mapping[str, tuple[str, ...]], classes: tuple[str, ...]
) -> ImageSet:
    check_folders(folder, known, f"classes of {cue}")
    images = images_of_classes(folder, known)
    check_stems(folder, images.files)
    if known is CLASSES[cue]:
        check_names(folder, images.files, known)
    first = np.array([classes.index(members[0]) for members in known.values()], dtype=np.int64)
    return replace(images, labels=first[images.labels], classes=classes)
