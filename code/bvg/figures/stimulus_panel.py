"""One photo under all conditions of a benchmark, as the models see it.

Everything is placed by the pixel: in a PNG file, each pixel of a picture is one pixel of the figure
(small pictures are enlarged by a whole number), so that no interpolation adds or hides fine
structure, which is what these stimuli are about. On paper, the figure fills both columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bvg.figures.drawing import DPI, PAGE_WIDTH, save

_SIDE = 224  # pixels; pictures much smaller than this are enlarged
_GAP = 10  # pixels between pictures
_MOST_ROWS = 10  # more are drawn as two blocks, side by side
_UPRIGHT: dict[str, Any] = {"rotation": 90, "va": "center", "multialignment": "center"}
_FONT_ON_PAPER = 6.5  # points, where the figure is as wide as a page


def stimulus_panel(
    pictures: Mapping[str, np.ndarray],
    original: tuple[str, str],
    rows: Mapping[str, Sequence[str]],
    columns: Iterable[object],
    unit: str,
    path: Path,
) -> list[Path]:
    """Return the files of a figure of one photo: `path` with .png and with .pdf.

    pictures: condition -> (H, W, 3) in [0, 1], all of one size. original: the condition that is
    shown once, at the left, halfway up, and its label. rows: label -> a condition for each of
    `columns`, which are numbers or labels. unit: what the columns are values of. Raises KeyError
    for a condition that is not among the pictures.
    """
    labels, names = [str(column) for column in columns], [*rows]
    most = ceil(len(names) / (2 if len(names) > _MOST_ROWS else 1))
    blocks = [names[start : start + most] for start in range(0, len(names), most)]
    first = _tile(pictures[original[0]])
    down, across = first.shape[:2]
    # As the figure is scaled down to the page, so are the letters: here, they are that much larger.
    line = round(_FONT_ON_PAPER / 72 * (1 + len(blocks) * len(labels)) * across / PAGE_WIDTH)
    left = (1 + max(name.count("\n") for name in names)) * 5 * line // 4 + line // 2
    top = _GAP + 3 * line
    wide = left + len(labels) * across
    size = (_GAP + across + len(blocks) * wide, top + most * down)
    figure = plt.figure(figsize=(size[0] / DPI, size[1] / DPI))
    axes = _place(figure, first, _GAP, top + (most - 1) * down // 2, line)
    axes.set_xticks([(across - _GAP) / 2], [original[1]])
    for number, block in enumerate(blocks):
        tiles = [np.hstack([_tile(pictures[c]) for c in rows[name]]) for name in block]
        axes = _place(figure, np.vstack(tiles), _GAP + across + number * wide + left, top, line)
        axes.set_xticks([k * across + (across - _GAP) / 2 for k in range(len(labels))], labels)
        axes.set_yticks(
            [k * down + (down - _GAP) / 2 for k in range(len(block))], block, **_UPRIGHT
        )
        axes.set_xlabel(unit)
    return save(figure, path)


def _tile(picture: np.ndarray) -> np.ndarray:
    """Return the picture in whole pixels, (H, W, 3) uint8, white at the right and at the bottom."""
    pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    times = max(1, round(_SIDE / max(pixels.shape[:2])))
    pixels = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return np.pad(pixels, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)


def _place(figure: Figure, image: np.ndarray, x: int, y: int, line: int) -> Axes:
    """Return axes that show the image pixel by pixel, its upper left corner at (x, y) from above.

    line: height of a line of their labels, in pixels; columns are labelled above.
    """
    (width, height), (rows, columns) = figure.get_size_inches() * DPI, image.shape[:2]
    axes = figure.add_axes((x / width, 1 - (y + rows) / height, columns / width, rows / height))
    axes.imshow(image, interpolation="none", aspect="auto", extent=(0, columns, rows, 0))
    axes.spines[:].set_visible(False)
    font = line * 72 / DPI
    axes.tick_params(length=0, pad=font / 3, labelsize=font)
    axes.tick_params(labeltop=True, labelbottom=False, labelleft=True)
    axes.set_yticks([])
    axes.xaxis.set_label_position("top")
    axes.xaxis.label.set_fontsize(font)
    return axes
