"""Publishers' files, read strictly: what is not as it was is refused, never guessed.

Every figure that is read keeps where it is from: the file's name and the row in it, or the key.
"""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from bvg.errors import UserError, reason_of
from bvg.scores.imagenet_c import ALEXNET
from bvg.table.columns import CORRUPTIONS

AGAIN = "download it again with: python code/download.py published-tables"
TOP1 = "top1_acc/imagenet"
C, C15, C_BAR = "top1_acc/imagenet-c", "top1_acc/imagenet-c/15", "top1_acc/imagenet-cbar"
SEVERITIES = range(1, 6)
MEANS = {  # the measures that each mean of ImageNet-C and C-bar is of
    name: tuple(f"top1_acc/{corruption}_{severity}" for corruption in of for severity in SEVERITIES)
    for name, of in {C: CORRUPTIONS[C], C15: tuple(ALEXNET), C_BAR: CORRUPTIONS[C_BAR]}.items()
}
NEWER = (
    "import the version that raw-data/published/sources.toml names, or adapt the reader in "
    "code/bvg/published/sources.py"
)


@dataclass(frozen=True)
class Value:
    """A published figure.

    model: as its source calls it. measure: as in our own table where it is the same. value:
    accuracies in percent, other fractions in [0, 1]. file, row: where the publisher has it; rows
    are counted from 1, without the header. protocol: how it was measured, as far as is known.
    n: of how many images, where known. flag: what a reader must know before using it.
    """

    model: str
    measure: str
    value: float
    file: str
    row: str
    protocol: str = ""
    n: int | None = None
    flag: str = ""


class NoFilesError(UserError):
    """None of a source's files are in the folder."""


def find(folder: Path, name: str) -> Path:
    """Return the file of this name below `folder`.

    Raises NoFilesError if there is none, UserError if two of them differ.
    """
    found = find_all(folder, name)
    if not found:
        raise NoFilesError(f"{folder} holds no {name}")
    if len({path.read_bytes() for path in found}) > 1:
        raise UserError(f"{found[0]} and {found[1]} differ: remove the one that is out of date")
    return found[0]


def find_all(folder: Path, pattern: str) -> list[Path]:
    """Return the files below `folder` whose names match a pattern, sorted."""
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def text_of(path: Path) -> str:
    """Return the text of a file; raises UserError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({reason_of(error)}): {AGAIN}") from error


def json_of(path: Path) -> Any:
    """Return the content of a JSON file; raises UserError where it is none."""
    try:
        return json.loads(text_of(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({reason_of(error)}): {AGAIN}") from error


def rows_of(path: Path, columns: Sequence[str] | None) -> list[tuple[str, dict[str, str]]]:
    """Return the rows of a CSV file: the row's number, counted from 1, and its cells by column.

    Raises UserError unless the file has whole rows and exactly these columns, in any order; None
    stands for any columns.
    """
    header, *rows = list(csv.reader(io.StringIO(text_of(path)))) or [[]]
    columns = header if columns is None else columns
    if sorted(header) != sorted(columns):
        differing = [
            f"{word} {', '.join(names)}"
            for word, names in (
                ("lacks the column", [name for name in columns if name not in header]),
                ("has the unknown column", [name for name in header if name not in columns]),
                ("has twice the column", [n for n in dict.fromkeys(header) if header.count(n) > 1]),
            )
            if names
        ]
        raise UserError(f"{path} has another layout: it {' and '.join(differing)}; {NEWER}")
    if not rows:
        raise UserError(f"{path} has no rows: {AGAIN}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise UserError(
                f"{path}, row {number}, has {len(row)} cells instead of {len(header)}: {AGAIN}"
            )
    return [
        (str(number), dict(zip(header, row, strict=True)))
        for number, row in enumerate(rows, start=1)
    ]


def number(text: object, where: str, high: float = math.inf, times: int = 1) -> float:
    """Return a cell's number times a power of ten, without floating-point noise.

    A comma between thousands is allowed. Raises UserError, with `where` (which names the file and
    the row), for what is no number, or none in [0, high] after the multiplication.
    """
    plain = str(text).strip()
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    try:
        value = float(Decimal(plain) * times)
    except InvalidOperation:
        value = math.nan
    if not 0 <= value <= high:  # NaN neither
        raise UserError(f"{where} holds {text!r}, not a number from 0 to {high / times:g}: {AGAIN}")
    return value


def percent(text: object, where: str) -> float:
    """Return an accuracy in percent from a fraction in [0, 1]."""
    return number(text, where, high=100, times=100)


def check_unique(path: Path, rows: Iterable[str]) -> None:
    """Raise UserError where two rows of a file are of the same thing."""
    name, count = Counter(rows).most_common(1)[0]
    if count > 1:
        raise UserError(f"{path} has {count} rows of {name}: {AGAIN}")


# A flat object of a JavaScript literal: keys and values are strings, numbers or names.
_WORD = r'(?:"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|[-+.\w$]+)'
_CELL = re.compile(rf"\s*({_WORD})\s*:\s*({_WORD})\s*(?:,|(?=\}}))")
_OBJECT = re.compile(rf"\s*\{{(?:{_CELL.pattern})*\s*\}}\s*,?")


def javascript_objects(text: str, start: int, where: str) -> list[dict[str, str]]:
    """Return the objects of the JavaScript array literal at `start`: their cells as text, by key.

    Keys may be quoted or not, commas may trail. Nothing is executed. Raises UserError for anything
    but a list of flat objects.
    """
    objects: list[dict[str, str]] = []
    position = text.find("[", start) + 1
    while found := _OBJECT.match(text, position):
        objects.append({_plain(key): _plain(value) for key, value in _CELL.findall(found[0])})
        position = found.end()
    if not position or not re.compile(r"\s*\]").match(text, position):
        near = text[position : position + 20] or "the end of the file"
        raise UserError(f"{where} is not the list that is expected (at {near!r}): {AGAIN}")
    return objects


def _plain(word: str) -> str:
    """Return a string without its quotes and escapes; other words as they are."""
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] in "\"'" else word
