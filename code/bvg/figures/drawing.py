"""Helpers shared by the figures: colours, markers, line styles, and writing files atomically."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import matplotlib

from bvg.files import written_atomically

matplotlib.use("Agg")  # files only: no display is needed
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

DPI = 200  # of PNG files
COLUMN_WIDTH, PAGE_WIDTH = 3.5, 7.2  # inches; one and two columns of a paper
# Okabe & Ito's colours, which people with colour-vision deficiencies can tell apart.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#666666", "#000000")
_MARKERS = "osD^vP<>Xhp*"
LineStyle = Literal["-"] | tuple[int, tuple[float, ...]]
_LINES: tuple[LineStyle, ...] = (
    "-",
    (0, (6, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
    (0, (3, 3)),
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
)


def colour(number: int) -> str:
    """Return the colour of the observer with this number, from 0; they repeat after 8."""
    return _COLOURS[number % len(_COLOURS)]


def marker(number: int) -> str:
    """Return the marker of the observer with this number, from 0; they repeat after 12."""
    return _MARKERS[number % len(_MARKERS)]


def line_style(number: int) -> LineStyle:
    """Return the line's style: solid, and another one each time that the colours repeat."""
    return _LINES[number // len(_COLOURS) % len(_LINES)]


def wrapped(text: str, width: int) -> str:
    """Return `text` in lines of at most `width` characters, if possible broken after space _ . / -.

    Numbers are not split, and nothing is truncated: names may differ in their last letter only.
    """
    lines = rf".{{1,{width}}}$|.{{0,{width - 1}}}(?:[ _/-]|\.(?!\d))|.{{1,{width}}}"
    return "\n".join(line.strip() for line in re.findall(lines, text))


def letter_width(texts: Iterable[str], points: float) -> float:
    """Return how wide a letter of this size is, in inches: the mean of the widest-set text."""
    font = FontProperties(size=points)
    return max(
        text_to_path.get_text_width_height_descent(text, font, False)[0] / len(text) / 72
        for text in texts
    )


def png_and_pdf(folder: Path, name: str) -> list[Path]:
    """Return the two files that a figure is written to."""
    return [folder / f"{name}.{kind}" for kind in ("png", "pdf")]


def save(figure: Figure, paths: list[Path]) -> None:
    """Write the figure to each of `paths` (.png or .pdf) and close it.

    A file appears when it is complete; equal figures are equal byte for byte.
    Raises UserError when the disk refuses.
    """
    try:
        # Publishers refuse matplotlib's default, Type 3 fonts.
        with matplotlib.rc_context({"pdf.fonttype": 42}):
            for path in paths:
                with written_atomically(path) as file:
                    kind = path.suffix.removeprefix(".")
                    figure.savefig(file, format=kind, dpi=DPI, metadata=_without_date(path))
    finally:
        plt.close(figure)


def _without_date(path: Path) -> dict[str, None]:
    return {"CreationDate": None} if path.suffix == ".pdf" else {}
