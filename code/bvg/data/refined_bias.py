"""REFINED-BIAS: stimuli of shape and stimuli of texture, with ten classes each.

Source: Kim et al., "On the Reliability of Cue Conflict and Beyond", arXiv 2603.10834, 2026; 300
images per class. A class is one of ImageNet's, or two or three that the stimuli do not distinguish.
"""

from pathlib import Path

import numpy as np

from bvg.data.folders import (
    check_answerable,
    existing_folder,
    in_class_folders,
    subfolders,
    unused_note,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, check_counts
from bvg.errors import UserError

IMAGES = 300  # of each class
SHAPE, TEXTURE = "shape", "texture"
# By cue, the wnids of each class; the first one is the label in the predictions.
CLASSES = {
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
WNIDS = {name: wnids for classes in CLASSES.values() for name, wnids in classes.items()}
_FOLDERS = {SHAPE: "refined_bias_shape", TEXTURE: "refined_bias_texture"}
_BELOW = ("refined_bias/datasets", "datasets", "refined_bias")  # in the repository


def refined_bias(root: str | Path, classes: tuple[str, ...], partial: bool = False) -> ImageSet:
    """Return the stimuli `refined_bias_<cue>/<class>/<image>` under `root`.

    The condition is the cue, "shape" or "texture"; labels are the first wnid of each class, as an
    index into `classes` (the models').
    Raises UserError for another layout, for models without these classes of ImageNet, and, unless
    `partial`, for other numbers of images or classes than the published ones.
    """
    given = existing_folder(root, "the folder of REFINED-BIAS", "--refined_bias")
    folder = next((given / b for b in _BELOW if (given / b / _FOLDERS[SHAPE]).is_dir()), given)
    if not all((folder / inner).is_dir() for inner in _FOLDERS.values()):
        layout = f"the folders {' and '.join(_FOLDERS.values())}"
        raise wrong_folder(given, "refined-bias", layout, _FOLDERS.values())
    check_answerable(folder, [wnid for wnids in WNIDS.values() for wnid in wnids], classes)
    parts = {cue: _of_cue(folder / _FOLDERS[cue], cue, classes, partial) for cue in CLASSES}
    notes = {cue: part.notes for cue, part in parts.items() if part.notes}
    return ImageSet(
        folder,
        tuple(f"{_FOLDERS[cue]}/{file}" for cue, part in parts.items() for file in part.files),
        tuple(name for part in parts.values() for name in part.names),
        np.concatenate([part.labels for part in parts.values()]),
        classes,
        notes=notes,
        conditions=tuple(cue for cue, part in parts.items() for _ in part.files),
    )


def _of_cue(folder: Path, cue: str, classes: tuple[str, ...], partial: bool) -> ImageSet:
    known = CLASSES[cue]
    unknown = sorted(set(subfolders(folder)) - set(known))
    if unknown:
        raise UserError(
            f"{folder / unknown[0]} is not one of the {len(known)} classes of {cue} "
            f"({', '.join(known)}): remove it, or download the data set again"
        )
    files, positions, names, unused = in_class_folders(folder, known)
    first = np.array([classes.index(wnids[0]) for wnids in known.values()], dtype=np.int64)
    notes = unused_note(unused)
    images = ImageSet(folder, tuple(files), tuple(names), first[positions], classes, notes=notes)
    check_counts(images, (IMAGES * len(known), len(known)), partial)
    return images
