"""Curves of many models: a quantity by a condition, such as accuracy by severity.

Where conditions have no order, dots stand side by side instead. What belongs to one benchmark is in
the panels that its script, or a small function, describes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bvg.figures.drawing import (
    HUMAN_COLOUR,
    MANY,
    PAGE_WIDTH,
    Metrics,
    model_style,
    numbers,
    save,
)
from bvg.figures.legend import legend_below, legend_height

_FONT = 7.0  # points
# Inches, the height of a panel: with more than three a row, with up to three, of dots.
_SMALL, _LARGE, _APART = 1.4, 2.6, 2.3
_MOST_LEVEL = 11  # labels of dots that are level; more are turned
_TURNED: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
_HUMAN_STYLE = model_style(0, many=False) | {"color": HUMAN_COLOUR, "linewidth": 1.3}
_DOT = {"linestyle": "none", "markersize": 3.4}
_PALE = "#edd2d7"  # the humans' colour on white
_REFERENCE: dict[str, Any] = {"color": "0.5", "linewidth": 0.7, "linestyle": ":"}


@dataclass(frozen=True)
class Panel:
    """What one pair of axes shows.

    keys: place on the x axis -> key of the metric that is drawn there. ticks: place -> label; if
    empty, matplotlib chooses. shaded: ranges of x. across: key of a metric that is drawn as a
    dashed line. steps: whether a value holds until the next place. apart: whether the places, 0, 1,
    …, have no order: each model then has a dot, beside the others' dots, and no line, and the panel
    is as wide as the page. Such panels come last.
    """

    title: str
    keys: Mapping[float, str]
    x_label: str = ""
    ticks: Mapping[float, str] = field(default_factory=dict)
    shaded: Sequence[tuple[float, float]] = ()
    across: str = ""
    steps: bool = False
    apart: bool = False


def categories(
    keys: Mapping[str, str],
    title: str = "",
    x_label: str = "",
    shaded: Iterable[int] = (),
    apart: bool = False,
) -> Panel:
    """Return a panel with a place for each label: `keys` is label -> key of the metric there.

    shaded: which places, by their number from 0.
    """
    places: dict[float, str] = dict(enumerate(keys.values()))
    ticks: dict[float, str] = dict(enumerate(keys))
    ranges = [(number - 0.5, number + 0.5) for number in shaded]
    return Panel(title, places, x_label, ticks, ranges, apart=apart)


@dataclass(frozen=True)
class Humans:
    """Whom the models are compared with, in red.

    label: in the legend. metrics: their mean under the models' keys. each: key -> the value of each
    of them, (observers,).
    """

    label: str
    metrics: Metrics
    each: Mapping[str, np.ndarray] = field(default_factory=dict)


def curves(
    models: Mapping[str, Metrics],
    panels: Sequence[Panel],
    path: Path,
    *,
    y_label: str = "top-1 accuracy (%)",
    limits: tuple[float | None, float | None] = (0, None),
    caption: str = "",
    humans: Humans | None = None,
    reference: tuple[str, float] | None = None,
    intervals: str = "95 % intervals",
) -> list[Path]:
    """Return the files of a figure of these panels: `path` with .png and with .pdf.

    models: label -> metrics, up to 8 of them with their 95 % intervals; what has no value is not
    drawn; may be empty if there are humans. limits: of the y axis, which all panels share; None: as
    the values are. caption: of the legend, what else it should say. reference: label and height of
    a dotted line. intervals: what is drawn from a metric's lower to its upper end, "" if nothing.
    """
    many = len(models) > MANY
    extra = {humans.label: _HUMAN_STYLE} if humans else {}
    extra |= {reference[0]: _REFERENCE} if reference else {}
    labels = [*models, *extra]
    figure, grid = _grid(panels, many, legend_height(labels))
    styles = [model_style(number, many) for number in range(len(models))]
    step = min(0.12, 0.72 / max(1, len(models)))  # between dots at one place
    for panel, axes in zip(panels, grid, strict=True):
        for number, (label, metrics) in enumerate(models.items()):
            shift = step * (number - (len(models) - 1) / 2)
            _draw(axes, panel, metrics, shift, many, styles[number] | {"label": label})
        if humans:
            (_human_dots if panel.apart else _human_lines)(axes, panel, humans)
        if reference:
            axes.axhline(reference[1], zorder=1, **_REFERENCE)
        _format(axes, panel)
    _label_axes(grid, panels, y_label)
    grid[0].set_ylim(*limits)
    dot = _DOT if all(panel.apart for panel in panels) else {}
    shown = [*(style | dot for style in styles), *extra.values()]
    handles = [Line2D([], [], **style) for style in shown]
    drawn = intervals and 0 < len(models) <= MANY
    notes = [caption] * bool(caption) + [_intervals(panels, intervals)] * bool(drawn)
    legend_below(figure, handles, labels, "; ".join(notes))
    return save(figure, path)


def _grid(panels: Sequence[Panel], many: bool, legend: float) -> tuple[Figure, list[Axes]]:
    """Return the figure and the panels' axes, of which those of dots are a row each, at the end."""
    beside = sum(not panel.apart for panel in panels)
    columns = _columns(beside)
    rows, height = ceil(beside / columns), _SMALL if columns > 3 else _LARGE + many
    heights = [height] * rows + [_APART] * (len(panels) - beside)
    size = (PAGE_WIDTH, sum(heights) + legend + 0.1)
    figure = plt.figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    cells = [grid[divmod(number, columns)] for number in range(beside)]
    cells += [grid[row, :] for row in range(rows, len(heights))]
    first = figure.add_subplot(cells[0])
    return figure, [first, *(figure.add_subplot(cell, sharey=first) for cell in cells[1:])]


def _columns(panels: int) -> int:
    """Return the columns, 5 or 4 (or fewer panels), that leave the fewest cells empty."""
    return min((5, 4), key=lambda n: (-panels % n, -n)) if panels > 5 else max(panels, 1)


def _points(panel: Panel, metrics: Metrics) -> tuple[np.ndarray, np.ndarray]:
    """Return the places that have a value, and value, lower and upper end there, (3, places)."""
    values = numbers(metrics, panel.keys.values())
    known = np.isfinite(values[0])
    return np.array([*panel.keys], dtype=float)[known], values[:, known]


def _draw(
    axes: Axes, panel: Panel, metrics: Metrics, shift: float, many: bool, style: dict[str, Any]
) -> None:
    """Draw one model: its line or dots and, if there are few models, their 95 % intervals."""
    x, (value, low, high) = _points(panel, metrics)
    paint = style["color"]
    if panel.apart:
        x += shift
        style |= _DOT
    if panel.steps:
        style |= {"drawstyle": "steps-post", "markevery": max(1, len(x) // 5)}
    # Of many models, the bands, one over the other, would hide the lines.
    if not many and panel.apart:
        axes.vlines(x, low, high, color=paint, linewidth=0.9, zorder=3)
    elif not many:
        axes.fill_between(x, low, high, color=paint, alpha=0.18, linewidth=0)
    if len(x):
        axes.plot(x, value, clip_on=False, zorder=4, **style)  # markers at 0 in full
    (across,) = numbers(metrics, [panel.across])[0]
    if np.isfinite(across):
        width = style["linewidth"] / 2
        axes.axhline(across, color=paint, linewidth=width, linestyle="--", zorder=1)


def _each(panel: Panel, humans: Humans) -> dict[float, np.ndarray]:
    return {x: humans.each[key] for x, key in panel.keys.items() if key in humans.each}


def _human_lines(axes: Axes, panel: Panel, humans: Humans) -> None:
    each = _each(panel, humans)
    x, (mean, low, high) = _points(panel, humans.metrics)
    if np.isfinite(high - low).any():
        axes.fill_between(x, low, high, color=_PALE, linewidth=0, zorder=1)
    axes.plot([*each], [*each.values()], color=HUMAN_COLOUR, linewidth=0.4, alpha=0.45, zorder=4.5)
    if len(x):  # constrained layout fails with a line that is empty and not clipped
        axes.plot(x, mean, clip_on=False, zorder=5, **_HUMAN_STYLE)


def _human_dots(axes: Axes, panel: Panel, humans: Humans) -> None:
    x, (mean, low, high) = _points(panel, humans.metrics)
    axes.use_sticky_edges = False  # bars would end the axis
    known = np.isfinite(high - low)
    axes.bar(x[known], (high - low)[known], 0.9, low[known], color=_PALE, zorder=1)
    axes.hlines(mean, x - 0.45, x + 0.45, color=HUMAN_COLOUR, linewidth=1.3, zorder=2)
    for place, each in _each(panel, humans).items():
        places = place + np.linspace(-0.3, 0.3, len(each))
        axes.scatter(places, each, 5, HUMAN_COLOUR, edgecolors="white", linewidths=0.2, zorder=5)


def _format(axes: Axes, panel: Panel) -> None:
    for start, end in panel.shaded:
        axes.axvspan(start, end, color="0.95", linewidth=0, zorder=0)
    axes.set_title(panel.title, fontsize=_FONT + 0.5, pad=4)
    axes.set_xlabel(panel.x_label, fontsize=_FONT, labelpad=2)
    axes.tick_params(labelsize=_FONT - 0.5, length=2, pad=2)
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if panel.ticks:
        turned = _TURNED if panel.apart and len(panel.ticks) > _MOST_LEVEL else {}
        axes.set_xticks([*panel.ticks], [*panel.ticks.values()], **turned)
        edge = min(np.diff([*panel.ticks]), default=1) / 2
        axes.set_xlim(min(panel.ticks) - edge, max(panel.ticks) + edge)
    elif panel.steps:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if panel.apart:
        axes.tick_params(axis="x", length=0)
        for boundary in range(1, len(panel.keys)):
            axes.axvline(boundary - 0.5, color="0.9", linewidth=0.6, zorder=0)


def _label_axes(grid: Sequence[Axes], panels: Sequence[Panel], y_label: str) -> None:
    """Name the y axis once a row and, where all panels have the same, the x axis once a column."""
    columns = _columns(sum(not panel.apart for panel in panels))
    alike = all((p.x_label, p.ticks) == (panels[0].x_label, panels[0].ticks) for p in panels)
    for number, (axes, panel) in enumerate(zip(grid, panels, strict=True)):
        if panel.apart or number % columns == 0:
            axes.set_ylabel(y_label, fontsize=_FONT)
        else:
            axes.tick_params(labelleft=False)
        if alike and number + columns < len(panels):
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)


def _intervals(panels: Sequence[Panel], what: str) -> str:
    """Return how the intervals are drawn."""
    kinds = {"vertical lines" if panel.apart else "light bands" for panel in panels}
    return f"{' and '.join(sorted(kinds))}: {what}"
