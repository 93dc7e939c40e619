"""Which content picture meets which texture picture: categories, designs and names of stimuli.

Source of the balanced design: the 1,280 stimuli of Geirhos et al., "ImageNet-trained CNNs are
biased towards texture", ICLR 2019: each ordered pair of categories five times, also a category with
itself; a content picture meets a texture category at most once.
"""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bvg.data.folders import (
    holds_class_folders,
    image_files,
    in_class_folders,
    subfolders,
    unused_note,
)
from bvg.data.image_set import ImageSet
from bvg.data.shape_bias import cues_of
from bvg.errors import UserError, first_few, reason_of

NUMBER = "number"  # the column of the pictures' numbers
_MOST_DIGITS = 18  # that a 64-bit integer always holds
_NUMBERED = re.compile(r"(?P<category>.*?[^\d _-])[ _-]*(?P<number>\d*)")


class Pair(NamedTuple):
    """The positions of a content picture and a texture picture."""

    content: int
    texture: int


def by_category(root: Path, flag: str) -> ImageSet:
    """Return the pictures in `root` by category, each with a number in the column NUMBER.

    Categories are folders; or, where pictures are directly in `root`, their names without the
    digits at the end: cat1.png, cat2.png. The number is that at the end of the name where these
    differ within a category, else it counts the category's files.
    Raises UserError if there is no picture; flag: that which gives the folder.
    """
    if holds_class_folders(root):
        classes = tuple(subfolders(root))
        files, labels, names, unused = in_class_folders(root, classes)
        classes = tuple(name for k, name in enumerate(classes) if k in labels)
        labels = np.unique(labels, return_inverse=True)[1]
        notes = unused_note(unused)
    else:
        files = image_files(root)
        categories = [_parts(file)[0] for file in files]
        classes = tuple(sorted(set(categories)))
        labels = np.array([classes.index(name) for name in categories], dtype=np.int64)
        names, notes = files, {}
    if not files:
        raise UserError(
            f"{root} has no pictures, neither in folders of categories nor directly, named "
            f"cat1.png, cat2.png, …: give another folder with {flag}"
        )
    numbers = np.empty(len(files), dtype=np.int64)
    for label in range(len(classes)):
        rows = np.flatnonzero(labels == label)
        numbers[rows] = _numbers([files[row] for row in rows])
    return ImageSet(root, files, names, labels, classes, {NUMBER: numbers}, notes)


def _parts(file: str) -> tuple[str, str]:
    """Return a file's category and number ("" without one)."""
    match = _NUMBERED.fullmatch(Path(file).stem)
    return (match["category"], match["number"]) if match else (Path(file).stem, "")


def _numbers(files: list[str]) -> list[int]:
    own = [_parts(file)[1] for file in files]
    if all(own) and max(map(len, own)) <= _MOST_DIGITS and len({*map(int, own)}) == len(own):
        return [*map(int, own)]
    return [*range(1, len(files) + 1)]


def name_of(contents: ImageSet, textures: ImageSet, pair: Pair) -> str:
    """Return the file of a stimulus: <shape>/<shape><n>-<texture><m>.png."""
    return (
        f"{contents.classes[contents.labels[pair.content]]}/"
        f"{short_name(contents, pair.content)}-{short_name(textures, pair.texture)}.png"
    )


def short_name(images: ImageSet, index: int) -> str:
    """Return a picture's category and number: cat7."""
    return f"{images.classes[images.labels[index]]}{images.columns[NUMBER][index]}"


def check_names(contents: ImageSet, textures: ImageSet, pairs: list[Pair]) -> None:
    """Raise UserError for a category that cannot be recognised in the names of the stimuli."""
    for pair in pairs:
        name = name_of(contents, textures, pair)
        shape = contents.classes[contents.labels[pair.content]]
        texture = textures.classes[textures.labels[pair.texture]]
        if cues_of(name) != (shape, texture):
            raise UserError(
                f"the name {name} would not tell the categories {shape!r} and {texture!r}: rename "
                "categories that end in a digit or contain one before a hyphen"
            )


def balanced(contents: ImageSet, textures: ImageSet, per_pair: int, seed: int) -> list[Pair]:
    """Return `per_pair` stimuli of each ordered pair of categories, also of a category with itself.

    A content picture meets a texture category at most once. Content pictures of a category, and
    texture pictures, are used equally often, or once more; which are combined is random.
    Raises UserError if the folders have different categories, or too few content pictures.
    """
    for these, others, words, flag in (
        (contents, textures, "no textures", "--textures"),
        (textures, contents, "no contents", "--contents"),
    ):
        if lacking := sorted({*these.classes} - {*others.classes}):
            raise UserError(
                f"there are {words} of {first_few(lacking)}: add them to {others.root}, give "
                f"another folder with {flag}, or choose the combinations with --pairs"
            )
    counts = Counter(contents.labels.tolist())
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < per_pair:
        raise UserError(
            f"{contents.classes[label]} has {fewest} content picture(s) in {contents.root}, but "
            f"each pair of categories needs {per_pair} different ones: add some, or use --per_pair "
            f"{fewest}"
        )
    draw = np.random.default_rng(seed)
    of_contents, of_textures = np.zeros(len(contents)), np.zeros(len(textures))
    pairs: list[Pair] = []
    for shape in range(len(contents.classes)):
        own = np.flatnonzero(contents.labels == shape)
        for texture in draw.permutation(len(textures.classes)):
            chosen = _least_used(own, of_contents, draw)[:per_pair]
            of_contents[chosen] += 1
            theirs = np.flatnonzero(textures.labels == texture)
            turns = -(-per_pair // len(theirs))
            partners = np.tile(_least_used(theirs, of_textures, draw), turns)[:per_pair]
            np.add.at(of_textures, partners, 1)
            pairs += [Pair(int(c), int(t)) for c, t in zip(chosen, partners, strict=True)]
    return sorted(pairs)


def _least_used(positions: np.ndarray, uses: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return the positions by the number of their uses; those with equal numbers are shuffled."""
    shuffled = draw.permutation(positions)
    return shuffled[np.argsort(uses[shuffled], kind="stable")]


def listed(path: Path, contents: ImageSet, textures: ImageSet) -> list[Pair]:
    """Return the pairs in the columns `content` and `texture` of a CSV file.

    They name pictures by file (cat/cat7.png) or by category and number (cat7).
    Raises UserError for another file, unknown pictures, and a pair that is listed twice.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"content", "texture"} <= {*(rows.fieldnames or ())}:
                raise UserError(
                    f"{path} has the columns {first_few([*(rows.fieldnames or ['none'])])}, not "
                    "content and texture: correct the file of --pairs"
                )
            known = [_positions(contents), _positions(textures)]
            lines = [(rows.line_num, row["content"] or "", row["texture"] or "") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path} cannot be read as a CSV file in UTF-8 ({reason_of(error)}): correct --pairs"
        ) from error
    pairs: list[Pair] = []
    for line, *names in lines:
        for name, positions, images in zip(names, known, (contents, textures), strict=True):
            if name not in positions:
                raise UserError(
                    f"line {line} of {path} names {name!r}, which is not in {images.root}: correct "
                    "the file of --pairs"
                )
        pairs.append(Pair(*(where[name] for name, where in zip(names, known, strict=True))))
    if twice := [pair for pair, count in Counter(pairs).items() if count > 1]:
        name = name_of(contents, textures, twice[0])
        raise UserError(f"{path} lists the pair of {name} twice: remove one of the lines")
    if not pairs:
        raise UserError(f"{path} lists no pairs: correct the file of --pairs")
    return pairs


def _positions(images: ImageSet) -> dict[str, int]:
    short = {short_name(images, index): index for index in range(len(images))}
    return short | {name: index for index, name in enumerate(images.names)}
