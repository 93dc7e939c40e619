"""Cue-conflict stimuli: images with the shape of one category and the texture of another.

Source: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019; 1,280 images
(16 shapes x 80), 80 of them with shape = texture.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from bvg.data.categories import CATEGORIES
from bvg.data.downloads import data_folder, get, read_catalogue
from bvg.data.folders import check_folders, check_stems, existing_folder, wrong_folder
from bvg.data.image_set import ImageSet, images_of_classes
from bvg.data.preprocessing import READY_224
from bvg.errors import UserError, first_few

IMAGES = 1_280
SHAPES, TEXTURES = 10, 3  # published images of each category, which are numbered from 1
_MANIFEST = "manifest.json"  # of make_cue_conflict.py
_NAME = re.compile(r"(?P<first>.+?)\d+-(?P<second>.+?)\d+")


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
    cues = ("shape", "texture")
    images = in_conflict(folder, "model-vs-human/cue-conflict", classes, cues, partial)
    _warn_if_swapped(images)
    if len(images) != IMAGES:
        images.notes["partial"] = {"images": len(images), "expected_images": IMAGES}
    return images


def _warn_if_swapped(images: ImageSet) -> None:
    """Warn if the numbers in the names are the published ones of textures and shapes, swapped.

    Not for stimuli of make_cue_conflict.py, which may be made of any numbers of pictures.
    """
    if any((place / _MANIFEST).is_file() for place in (images.root, images.root.parent)):
        return
    numbers = [re.findall(r"\d+", Path(file).stem) for file in images.files]
    first, second = (max(int(pair[k]) for pair in numbers) for k in (0, 1))
    if first <= TEXTURES < second <= SHAPES:
        images.notes["cues_may_be_swapped"] = True
        print(
            f"warning: {images.root}: the published stimuli number {SHAPES} images of each shape "
            f"and {TEXTURES} of each texture, and these files as many of each texture and shape: "
            "are they in folders of their shapes, and named <shape><n>-<texture><m>?",
            file=sys.stderr,
            flush=True,
        )


def in_conflict(
    folder: Path, name: str, classes: tuple[str, ...], cues: tuple[str, str], partial: bool
) -> ImageSet:
    """Return the images <a>/<a><n>-<b><m>.<ending> in `folder`, whose two cues are in conflict.

    Labels are the categories <a>; a column named as the second of the `cues` has <b>. name: of the
    data set in the catalogue. Raises UserError as `cue_conflict` does.
    """
    images = images_of_classes(folder, classes)
    if not len(images):
        layout = f"category folders ({', '.join(classes[:3])}, …) with files like "
        layout += f"{classes[0]}1-{classes[1]}2.png"
        raise wrong_folder(folder, name, layout, classes)
    check_folders(folder, classes, "categories")
    check_stems(folder, images.files)
    if len(classes) == len(CATEGORIES) and not partial:  # models of other classes are refused
        check_categories(folder, images.labels, classes)
    second = np.array([_second(folder, file, classes, cues) for file in images.files], np.int64)
    return replace(images, columns={cues[1]: second}, view=READY_224)


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


def cues_of(name: str) -> tuple[str, str]:
    """Return the two categories in the name <a><n>-<b><m>; empty ones for other names."""
    match = _NAME.fullmatch(Path(name).stem)
    return (match["first"], match["second"]) if match else ("", "")


def _second(folder: Path, file: str, classes: tuple[str, ...], cues: tuple[str, str]) -> int:
    first, second = cues_of(file)
    if first != file.partition("/")[0] or second not in classes:
        raise UserError(
            f"{folder / file} is not named <{cues[0]}><n>-<{cues[1]}><m> with two categories, of "
            f"which the {cues[0]} is its folder's: rename or remove it"
        )
    return classes.index(second)
