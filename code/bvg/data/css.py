"""Visual anagrams: pairs of images of the same pieces, whose arrangement shows another animal.

Source: Doshi et al., "Visual anagrams reveal hidden differences in holistic shape processing across
vision models", NeurIPS 2025; https://huggingface.co/datasets/visionlab/visual-anagrams. Two sets,
neither of which contains the other: 72 pairs, one for each ordered pair of nine classes, and 1,440.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.data.downloads import data_sets
from bvg.data.folders import contents
from bvg.data.image_set import ImageSet, check_counts
from bvg.data.imagenet import are_imagenet
from bvg.data.parquet import FILE, read_image, read_rows
from bvg.data.preprocessing import SQUASHED_224
from bvg.errors import UserError, first_few

DATA_SET = "visual-anagrams"
PAIRS = (72, 1440)
# Indices of ImageNet's classes; 101 is the tusker, and 286 to 293 are all big cats (the paper's
# table 2).
CLASSES: dict[str, Sequence[int]] = {
    "bear": range(294, 298),
    "bunny": range(330, 333),
    "cat": range(281, 286),
    "elephant": (101, 385, 386),
    "frog": range(30, 33),
    "lizard": range(38, 49),
    "tiger": range(286, 294),
    "turtle": range(33, 38),
    "wolf": range(269, 276),
}
_OBJECTS = ("object0", "object1")
_COLUMNS = ("filename", "anagram_id", "position", "label", "foil", *_OBJECTS)


def members_of(names: Sequence[str], classes: tuple[str, ...]) -> Mapping[str, Sequence[int]]:
    """Return the indices in a model's `classes` that count as each of the images' classes.

    For a model of other classes than ImageNet's, each class is that of the same name.
    """
    if are_imagenet(classes):
        return CLASSES
    return {name: (classes.index(name),) for name in names}


def visual_anagrams(
    root: str | Path, pairs: int, classes: tuple[str, ...], partial: bool = False
) -> ImageSet:
    """Return the images of pairs-<pairs>.parquet, or of pairs-<pairs>/*.parquet, under `root`.

    Labels, and the column `foil` (the class of the pair's other image), are indices into the set's
    classes; the column `pair` numbers the pairs, `position` is 0 or 1. `classes`: the models'.
    Raises UserError for other files, columns or labels, for models without these classes, and,
    unless `partial`, for other numbers of images or pairs than the published ones.
    """
    files = _files(Path(root).expanduser(), pairs)
    rows = read_rows(files, _COLUMNS, DATA_SET)
    names = _classes_of(rows, files[0], classes)
    _check_rows(rows, files[0])
    numbers = {name: number for number, name in enumerate(names)}
    pair, anagrams = pd.factorize(rows["anagram_id"])
    images = ImageSet(
        files[0].parent,
        tuple(rows[FILE]),
        tuple(rows["filename"].astype(str)),
        rows["label"].map(numbers).to_numpy(dtype=np.int64),
        names,
        {
            "foil": rows["foil"].map(numbers).to_numpy(dtype=np.int64),
            "pair": pair,
            "position": rows["position"].to_numpy(dtype=np.int64),
        },
        reader=read_image,
        view=SQUASHED_224["pillow"],
    )
    if len(anagrams) != pairs and not partial:
        raise UserError(
            f"{files[0].parent} has images of {len(anagrams):,} pairs, not of {pairs:,}: "
            f"{data_sets()[DATA_SET].remedy}, or allow a subset with --partial (recorded in the "
            "result)"
        )
    check_counts(images, (2 * pairs, len(names)), partial)
    return images


def _files(root: Path, pairs: int) -> list[Path]:
    name, data_set = f"pairs-{pairs}", data_sets()[DATA_SET]
    if (root / f"{name}.parquet").is_file():
        return [root / f"{name}.parquet"]
    if found := sorted((root / name).glob("*.parquet")):
        return found
    inside = contents(root) if root.is_dir() else "only a file"
    raise UserError(
        f"{root} contains {inside} instead of {name}.parquet, or of {name}/*.parquet: give the "
        f"folder of {data_set.title} with {data_set.flag}, or {data_set.remedy}"
    )


def _classes_of(rows: pd.DataFrame, file: Path, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the images' classes, in alphabetical order as published."""
    names = tuple(sorted({str(name) for name in (*rows["label"], *rows["foil"])}))
    if {*names} <= {*CLASSES}:
        names = tuple(CLASSES)  # among fewer, the same model would be right more often
    known = {*CLASSES} if are_imagenet(classes) else {*classes}
    if lacking := [name for name in names if name not in known]:
        raise UserError(
            f"{file} has images of {first_few(lacking)}, which a model of these {len(classes):,} "
            "classes cannot answer: evaluate a model of ImageNet's 1000 classes with the published "
            "images"
        )
    return names


def _check_rows(rows: pd.DataFrame, file: Path) -> None:
    """Raise UserError where rows contradict themselves or each other."""
    first = rows["position"] == 0
    shown = rows["object0"].where(first, rows["object1"])
    other = rows["object1"].where(first, rows["object0"])
    wrong = ~rows["position"].isin([0, 1]) | (rows["label"] != shown) | (rows["foil"] != other)
    wrong |= rows["label"] == rows["foil"]
    wrong |= rows.duplicated("filename") | rows.duplicated(["anagram_id", "position"])
    wrong |= rows.groupby("anagram_id")["object0"].transform("nunique") != 1
    wrong |= rows.groupby("anagram_id")["object1"].transform("nunique") != 1
    if wrong.any():
        named = first_few([*rows["filename"][wrong].astype(str)])
        raise UserError(
            f"{file.parent} is not a set of visual anagrams (the row of {named} contradicts itself "
            f"or another one): {data_sets()[DATA_SET].remedy}"
        )
