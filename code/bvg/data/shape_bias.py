"""Cue-conflict stimuli: images with the shape of one category and the texture of another.

Source: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019; 1,280 images
(16 shapes x 80), 80 of them with shape = texture.
"""

import re
from pathlib import Path

import numpy as np

from bvg.data.categories import CATEGORIES
from bvg.data.downloads import data_folder, get, read_catalogue
from bvg.data.folders import (
    existing_folder,
    in_class_folders,
    subfolders,
    unused_note,
    wrong_folder,
)
from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import READY_224
from bvg.errors import UserError, first_few

IMAGES = 1_280
_NAME = re.compile(r"(?P<shape>.+?)\d+-(?P<texture>.+?)\d+")


def download_cue_conflict() -> Path:
    """Return the folder of the published stimuli, downloaded into the cache the first time."""
    return get(read_catalogue()["model-vs-human/cue-conflict"], data_folder())


def cue_conflict(root: str | Path, classes: tuple[str, ...], partial: bool = False) -> ImageSet:
    """Return the stimuli `<shape>/<shape><n>-<texture><m>.png` under `root`.

    Labels are shapes, the column `texture` contains textures, both as indices into `classes` (the
    categories). Another number than 1,280 is noted in the result.
    Raises UserError for other folders or names, or, unless `partial`, if no stimulus has some
    category's shape.
    """
    folder = existing_folder(root, "the folder of cue-conflict stimuli", "--stimuli")
    if (folder / "cue-conflict").is_dir():
        folder = folder / "cue-conflict"
    files, labels, names, unused = in_class_folders(folder, classes)
    if not files:
        layout = f"category folders ({', '.join(classes[:3])}, …) with files like "
        layout += f"{classes[0]}1-{classes[1]}2.png"
        raise wrong_folder(folder, "model-vs-human/cue-conflict", layout, classes)
    unknown = sorted(set(subfolders(folder)) - set(classes))
    if unknown:
        raise UserError(f"{folder / unknown[0]} is not one of the {len(classes)} categories")
    if len(classes) == len(CATEGORIES) and not partial:  # models of other classes are refused
        check_categories(folder, labels, classes)
    textures = [_texture(folder, file, classes) for file in files]
    notes = unused_note(unused)
    if len(files) != IMAGES:
        notes["partial"] = {"images": len(files), "expected_images": IMAGES}
    return ImageSet(
        folder,
        tuple(files),
        tuple(names),
        labels,
        classes,
        {"texture": np.array(textures, dtype=np.int64)},
        notes,
        view=READY_224,
    )


def check_categories(folder: Path, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """Raise UserError when some of the categories have no image in `folder`."""
    there = {int(label) for label in labels}
    missing = [name for label, name in enumerate(classes) if label not in there]
    if missing:
        raise UserError(
            f"{folder} has no images of {first_few(missing)} ({len(missing)} of the {len(classes)} "
            "categories): unpack or download the data set again, or evaluate the existing images "
            "with --partial (recorded in the result)"
        )


def _texture(folder: Path, file: str, classes: tuple[str, ...]) -> int:
    match = _NAME.fullmatch(Path(file).stem)
    shape, texture = (match["shape"], match["texture"]) if match else ("", "")
    if shape != file.partition("/")[0] or texture not in classes:
        raise UserError(
            f"{folder / file} is not named <shape><n>-<texture><m> with two categories, of which "
            f"the shape is its folder's: rename or remove it"
        )
    return classes.index(texture)
