"""Tables as colours, with their numbers in the cells."""

from math import cos, radians, sin
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from bvg.figures.drawing import HUMAN_COLOUR, PAGE_WIDTH, letter_width, save, wrapped

COLOURS = matplotlib.colormaps["cividis"].with_extremes(bad="0.85")
_FONT = 6.5  # points
# Inches: a row's height, the widest cell, the side of a large square, the most for the rows' names.
_ROW, _CELL, _SIDE, _LABEL = 0.17, 0.4, 4.6, 2.2
_BAR = 0.5  # inches below the cells, for the scale of colours


def heat_map(
    table: pd.DataFrame,
    unit: str,
    path: Path,
    *,
    digits: int = 0,
    square: bool = False,
    mean: int = 0,
    humans: bool = False,
) -> list[Path]:
    """Return the files of a table drawn in colours: `path` with .png and with .pdf.

    table: numbers, NaN where unknown. unit: what they are. digits: after the point; in cells that
    are too small, numbers are left out. square: whether cells are as high as they are wide. mean:
    how many of the last columns are set apart, as means of the others. humans: whether the first
    row, and of a square the first column, are the humans', in red.
    """
    values = table.to_numpy(float)
    rows, columns = values.shape
    height = min(_CELL, _SIDE / rows) if square else _ROW
    font = min(_FONT, 0.75 * 72 * height)
    names = [wrapped(name, int(_LABEL / letter_width(table.index, font))) for name in table.index]
    left = 0.1 + max(_inches(line, font) for name in names for line in name.split("\n"))
    width = height if square else min(_CELL, (PAGE_WIDTH - left - 0.1) / columns)
    height *= max(1, 0.65 * max(name.count("\n") + 1 for name in names))
    heads = np.array([_inches(name, font) for name in table.columns])
    angle = 0 if 1.2 * heads.max() < width else 90 if square else 60
    head = _BAR + 0.2 + heads.max() * sin(radians(angle))
    # How far the last names lean over the right edge.
    right = 0.1 + max(0, (heads * cos(radians(angle)) - width * np.arange(columns)[::-1]).max())
    page = (max(left + width * columns + right, 0.2 + _inches(unit, _FONT)), height * rows + head)
    figure = plt.figure(figsize=page)
    axes = _axes(figure, left, _BAR, width * columns, height * rows)
    known = values[np.isfinite(values)]
    low, high = min(0.0, known.min(initial=0)), known.max(initial=0)
    scale = Normalize(low, high if high > low else low + 1)
    image = axes.imshow(values, norm=scale, cmap=COLOURS, aspect="auto")
    if max(_inches(_written(value, digits), font) for value in values.flat) < 0.95 * width:
        write_numbers(axes, values, scale, digits, font)
    side = "left" if angle == 60 else "center"
    axes.set_xticks(range(columns), table.columns, rotation=angle, ha=side)
    axes.set_yticks(range(rows), names, parse_math=False)
    axes.tick_params(labelsize=font, length=0, pad=2, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    if mean:
        axes.axvline(columns - mean - 0.5, color="white", linewidth=1.5)
    if humans:
        for label in [axes.get_yticklabels()[0], *(axes.get_xticklabels()[:1] if square else [])]:
            label.set_color(HUMAN_COLOUR)
    below = _axes(figure, left, _BAR - 0.15, width * columns, 0.09)
    figure.colorbar(image, cax=below, orientation="horizontal").outline.set_visible(False)
    below.tick_params(labelsize=_FONT - 0.5, length=2, pad=1)
    figure.text(0.1 / page[0], 0.05 / page[1], unit, fontsize=_FONT)
    return save(figure, path)


def _axes(figure: Figure, *inches: float) -> Axes:
    """Return axes at (left, bottom, width, height) in inches."""
    return figure.add_axes(tuple(np.divide(inches, np.tile(figure.get_size_inches(), 2))))


def _inches(text: str, font: float) -> float:
    return 1.05 * letter_width([text], font) * len(text)  # hinting may widen letters


def write_numbers(
    axes: Axes,
    values: np.ndarray,
    scale: Normalize,
    digits: int,
    font: float,
    shift: np.ndarray | None = None,
) -> None:
    """Write values (rows, columns) into their cells, in letters that can be read on the colours.

    shift: (rows, columns), by how much of a cell's height each is moved.
    """
    for (row, column), value in np.ndenumerate(values):
        cell = COLOURS(scale(value))
        axes.text(
            column,
            row + (0 if shift is None else shift[row, column]),
            _written(value, digits),
            fontsize=font,
            color=_contrasting(cell),
            ha="center",
            va="center_baseline",
            zorder=4,
            in_layout=False,
            path_effects=[Stroke(linewidth=2, foreground=cell), Normal()],  # keeps lines off
        )


def _written(value: float, digits: int) -> str:
    rounded = round(value, digits) + 0.0  # no minus before 0.00
    return "–" if np.isnan(value) else f"{rounded:.{digits}f}".replace("-", "−")


def _contrasting(colour: tuple[float, ...]) -> str:
    """Return black or white, whichever is easier to read on the colour (WCAG's luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "black" if luminance > 0.179 else "white"
