"""One photo under all conditions of a benchmark, as the models see it.

Everything is placed by the pixel: in a PNG file, each pixel of a picture is one pixel of the figure
(small pictures are enlarged by a whole number), so that no interpolation adds or hides fine
structure, which is what these stimuli are about. On paper, the figure fills both columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bvg.data.imagenet_c import corruption_condition
from bvg.figures.drawing import DPI, PAGE_WIDTH, save
from bvg.scores.channel import LOWEST_CENTRE
from bvg.stimuli.batch import CLEAN
from bvg.stimuli.criticalband import WITHOUT_NOISE, condition_name
from bvg.stimuli.spectral import HIGHPASS, LOWPASS

_SIDE = 224  # pixels; pictures much smaller than this are enlarged
_GAP = 10  # pixels between pictures
_MOST_ROWS = 10  # of corruptions in one block
_FONT_ON_PAPER = 6.5  # points, where the figure is as wide as a page


@dataclass(frozen=True)
class Layout:
    """The position of each condition, and the labels of rows and columns.

    original: the condition shown once, at the left, halfway up. grid: rows of conditions from the
    top; None leaves a cell empty. columns: what the column labels are values of. inner_labels: row,
    column and text of labels at the right of empty cells, for what stands to the right of them.
    """

    original: str
    original_label: str
    grid: tuple[tuple[str | None, ...], ...]
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    columns: str
    inner_labels: tuple[tuple[int, int, str], ...] = ()


def spectral_layout(cutoffs: Sequence[float]) -> Layout:
    """Return two rows, low-pass above high-pass, by cutoff."""
    return Layout(
        original=CLEAN,
        original_label="unfiltered",
        grid=tuple(tuple(f"{band}/{c}" for c in cutoffs) for band in (LOWPASS, HIGHPASS)),
        row_labels=("low-pass", "high-pass"),
        column_labels=tuple(str(cutoff) for cutoff in cutoffs),
        columns="cutoff: share of the frequency range that is kept",
    )


def critical_band_layout(bands: Sequence[int], deviations: Sequence[float]) -> Layout:
    """Return a row per SD of the noise, from the weakest, and a column per band."""
    return Layout(
        original=WITHOUT_NOISE,
        original_label="no noise",
        grid=tuple(tuple(condition_name(f, sd) for f in bands) for sd in deviations),
        row_labels=tuple(f"SD {sd}" for sd in deviations),
        column_labels=tuple(f"{LOWEST_CENTRE * 2.0**f:g}" for f in bands),
        columns="centre frequency of the noise (cycles/image)",
    )


def corruption_layout(corruptions: tuple[str, ...], severities: tuple[int, ...]) -> Layout:
    """Return a row per corruption and a column per severity; of many corruptions, two blocks."""
    rows = len(corruptions) if len(corruptions) <= _MOST_ROWS else -(-len(corruptions) // 2)
    blocks = [corruptions[:rows], corruptions[rows:]] if rows < len(corruptions) else [corruptions]
    grid: list[list[str | None]] = [[] for _ in range(rows)]
    for number, block in enumerate(blocks):
        for row, cells in enumerate(grid):
            name = block[row] if row < len(block) else None
            cells += [None] * bool(number)
            cells += [name and corruption_condition(name, s) for s in severities]
    labels = [[name.replace("_", "\n") for name in block] for block in blocks]
    values = tuple(map(str, severities))
    return Layout(
        original=CLEAN,
        original_label="clean",
        grid=tuple(map(tuple, grid)),
        row_labels=tuple(labels[0]),
        column_labels=values if len(blocks) == 1 else (*values, "", *values),
        columns="severity",
        inner_labels=tuple(
            (row, len(severities), name) for block in labels[1:] for row, name in enumerate(block)
        ),
    )


@dataclass(frozen=True)
class _Plan:
    """The figure in pixels, x to the right and y downwards from its upper left corner.

    times: by how much a picture is enlarged. step: from one picture to the next. line: height of
    the letters' line. left, top: the grid's upper left corner.
    """

    times: int
    step: tuple[int, int]
    line: float
    left: int
    top: int
    size: tuple[int, int]

    def corner(self, row: float, column: int) -> tuple[int, int]:
        """Return the upper left corner of a picture in the grid."""
        return self.left + column * self.step[0], self.top + round(row * self.step[1])


def stimulus_panel(pictures: dict[str, np.ndarray], layout: Layout, paths: list[Path]) -> None:
    """Draw one photo under the layout's conditions, and write the figure to each of `paths`.

    pictures: condition -> (H, W, 3) in [0, 1], all of one size. Raises KeyError for a condition of
    the layout that is not among them.
    """
    plan = _planned(layout, *pictures[layout.original].shape[:2])
    figure = plt.figure(figsize=(plan.size[0] / DPI, plan.size[1] / DPI))
    middle = (_GAP, plan.corner((len(layout.grid) - 1) / 2, 0)[1])
    _place(figure, plan, pictures[layout.original], middle)
    for row, conditions in enumerate(layout.grid):
        for column, condition in enumerate(conditions):
            if condition is not None:
                _place(figure, plan, pictures[condition], plan.corner(row, column))
    _label(figure, plan, layout, middle)
    save(figure, paths)


def _planned(layout: Layout, height: int, width: int) -> _Plan:
    """Return the plan for pictures of this size."""
    rows, columns = len(layout.grid), len(layout.column_labels)
    times = max(1, round(_SIDE / max(height, width)))
    step = (width * times + _GAP, height * times + _GAP)
    # As the figure is scaled down to the page, so are the letters: here, they are that much larger.
    line = _FONT_ON_PAPER / 72 * (columns + 1) * step[0] / PAGE_WIDTH
    lines = 1 + max(label.count("\n") for label in layout.row_labels)
    left = _GAP + step[0] + round((0.5 + 1.2 * lines) * line)
    top = _GAP + round(2.8 * line)
    size = (left + columns * step[0], top + rows * step[1])
    return _Plan(times, step, line, left, top, size)


def _place(figure: Figure, plan: _Plan, picture: np.ndarray, corner: tuple[int, int]) -> None:
    """Draw the picture, pixel by pixel, with its upper left corner there."""
    pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    pixels = pixels.repeat(plan.times, axis=0).repeat(plan.times, axis=1)
    (height, width), (x, y) = pixels.shape[:2], corner
    total = plan.size
    bottom = total[1] - y - height
    axes = figure.add_axes(
        (x / total[0], bottom / total[1], width / total[0], height / total[1]), frameon=False
    )
    axes.set_axis_off()
    axes.imshow(pixels, interpolation="none", aspect="auto")


def _label(figure: Figure, plan: _Plan, layout: Layout, middle: tuple[int, int]) -> None:
    """Write the labels of the original (whose corner is `middle`), the rows and the columns."""
    width, height = (step - _GAP for step in plan.step)
    above = plan.top - 0.35 * plan.line
    _write(figure, plan, middle[0] + width / 2, middle[1] - 0.35 * plan.line, layout.original_label)
    for column, label in enumerate(layout.column_labels):
        _write(figure, plan, plan.corner(0, column)[0] + width / 2, above, label)
    centre = plan.left + (len(layout.column_labels) * plan.step[0] - _GAP) / 2
    _write(figure, plan, centre, above - 1.2 * plan.line, layout.columns)
    for row, label in enumerate(layout.row_labels):
        y = plan.corner(row, 0)[1] + height / 2
        _write(figure, plan, plan.left - 0.5 * plan.line, y, label, rotation=90)
    for row, column, label in layout.inner_labels:
        x, y = plan.corner(row, column + 1)
        _write(figure, plan, x - 0.5 * plan.line, y + height / 2, label, rotation=90)


def _write(figure: Figure, plan: _Plan, x: float, y: float, text: str, rotation: float = 0) -> None:
    """Write `text` with its lower middle at the pixel, also where it is turned to read upwards."""
    ends = ("right", "center") if rotation else ("center", "baseline")
    figure.text(
        x / plan.size[0],
        1 - y / plan.size[1],
        text,
        fontsize=plan.line * 72 / DPI,
        rotation=rotation,
        horizontalalignment=ends[0],
        verticalalignment=ends[1],
        multialignment="center",
    )
