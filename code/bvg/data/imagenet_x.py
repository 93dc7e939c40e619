"""ImageNet-X: what sets an ImageNet validation image apart from the typical ones of its class.

Source: Idrissi et al., ICLR 2023; https://github.com/facebookresearch/imagenetx, whose annotations
(CC-BY-NC 4.0) are also the package imagenet-x on PyPI. Of 48,868 annotated images, 2,758 are among
the prototypes (three per class), to which annotators compared the others: they do not count.
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TextIO, TypeVar

import numpy as np

from bvg.data.imagenet import val_number
from bvg.errors import UserError, reason_of

FACTORS = (
    "pose",
    "background",
    "pattern",
    "color",
    "smaller",
    "shape",
    "partial_view",
    "subcategory",
    "texture",
    "larger",
    "darker",
    "object_blocking",
    "person_blocking",
    "style",
    "brighter",
    "multiple_objects",
)
TOP_FACTOR = "imagenet_x_val_top_factor.jsonl"
PROTOTYPES = "prototypical_paths.csv"
LABELS = "filename_label.csv"
T = TypeVar("T")
_ONE_AT_MOST = ([0] * len(FACTORS), [0] * (len(FACTORS) - 1) + [1])


@dataclass(frozen=True)
class Annotations:
    """The annotated images, without prototypes.

    folder: where they were read. numbers: (N,) of the validation images. classes: (N,) positions in
    ImageNet's sorted wnids. factors: (N,) positions in FACTORS of what sets each image apart most,
    -1 for nothing.
    """

    folder: Path
    numbers: np.ndarray
    classes: np.ndarray
    factors: np.ndarray

    @property
    def fingerprint(self) -> str:
        """Return what a result that is scored with them records."""
        values = np.stack([self.numbers, self.classes, self.factors]).astype("<i8").tobytes()
        return f"{len(self.numbers):,} images, sha256 {sha256(values).hexdigest()[:16]}"


def read_annotations(folder: Path) -> Annotations:
    """Return the top-factor annotations; raises UserError where a file is missing or another."""
    prototypes = _read(folder / PROTOTYPES, lambda lines: {number for number, _ in _table(lines)})
    found = _read(folder / TOP_FACTOR, _top_factors)
    kept = {number: entry for number, entry in found.items() if number not in prototypes}
    numbers = np.array([*kept], dtype=np.int64)
    classes, factors = np.array([*kept.values()], dtype=np.int64).reshape(-1, 2).T
    return Annotations(folder, numbers, classes, factors)


def read_val_labels(folder: Path) -> dict[int, int]:
    """Return the label of each validation image by its number, from the same folder."""
    return _read(folder / LABELS, lambda lines: {k: int(row["label"]) for k, row in _table(lines)})


def _read(path: Path, parse: Callable[[Iterator[str]], T]) -> T:
    """Return what `parse` makes of the file's lines; raises UserError where it cannot."""
    position = 0

    def lines(file: TextIO) -> Iterator[str]:
        nonlocal position
        for position, line in enumerate(file, start=1):  # noqa: B007
            yield line

    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return parse(lines(file))
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({reason_of(error)}): give the folder of ImageNet-X's annotations "
            "with --imagenet_x, or run: python code/download.py imagenet-x"
        ) from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(
            f"{path} is not ImageNet-X's (line {position:,}: {reason_of(error)}): delete it and "
            "run: python code/download.py imagenet-x"
        ) from error


def _top_factors(lines: Iterator[str]) -> dict[int, tuple[int, int]]:
    """Return the class and the factor, -1 for none, of each annotated image by its number."""
    found: dict[int, tuple[int, int]] = {}
    for line in lines:
        entry = json.loads(line)
        number, label = _number(entry["file_name"]), entry["class"]
        marks = [entry[name] for name in FACTORS]
        if number in found or type(label) is not int or sorted(marks) not in _ONE_AT_MOST:
            raise ValueError("not an image of its own with a class and one factor")
        found[number] = (label, marks.index(1) if 1 in marks else -1)
    return found


def _table(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each image in a CSV, and its row."""
    reader = csv.DictReader(lines)
    if "file_name" not in (reader.fieldnames or []):
        raise ValueError("its first line does not name the column file_name")
    for row in reader:
        yield _number(row["file_name"]), row


def _number(file_name: str) -> int:
    number = val_number(Path(file_name).stem)
    if number is None:
        raise ValueError(f"{file_name!r} is not named like ILSVRC2012_val_00000001.JPEG")
    return number
