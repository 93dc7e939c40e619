"""Accuracy under corruptions: by severity as lines, and by corruption as a table in colours."""

from collections.abc import Sequence
from math import ceil, nan
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bvg.data.imagenet_c import SEVERITIES, condition_parts, corruption_condition
from bvg.figures.drawing import (
    PAGE_WIDTH,
    colour,
    letter_width,
    line_style,
    marker,
    png_and_pdf,
    save,
    wrapped,
)
from bvg.figures.legend import legend_below, legend_height
from bvg.scores.metric import Metric
from bvg.stimuli.batch import CLEAN

_FONT = 6.5  # points
_MANY = 8  # models; above, everything is drawn finer
_PANEL, _LARGE = 1.3, 2.4  # inches, the height of a panel, and of one of fewer than four
_MEAN = "mean of these"
_WIDER = 1.08  # a line of a wrapped name may have wider letters than the whole has on average
_COLOURS = matplotlib.colormaps["cividis"].with_extremes(bad="0.85")
# Inches: a row's height, the most for model names, the column names, the least width of all.
_CELL, _LABEL, _HEAD, _NARROWEST = 0.17, 1.9, 1.05, 2.4
_DARK = 0.45  # of the colours' range; on what is below, black is harder to read than white

Models = dict[str, dict[str, Metric]]


def corruption_figures(models: Models, corruptions: Sequence[str], folder: Path) -> list[Path]:
    """Return the files of both figures of these models, drawn into `folder`.

    models: name -> metrics in percent, top1_acc/<corruption>_<severity>, top1_acc/clean if known.
    corruptions: the order of those that have one; others that were measured come after them.
    """
    curves, table = png_and_pdf(folder, "severities"), png_and_pdf(folder, "corruptions")
    measured = _measured(models)
    found = list(dict.fromkeys(name for name, _ in measured))
    shown = (*(c for c in corruptions if c in found), *(c for c in found if c not in corruptions))
    severities = tuple(sorted({*SEVERITIES, *(severity for _, severity in measured)}))
    accuracies = {name: _accuracies(metrics, shown, severities) for name, metrics in models.items()}
    severity_figure(accuracies, shown, curves)
    corruption_table(accuracies, shown, table)
    return curves + table


def _measured(models: Models) -> list[tuple[str, int]]:
    """Return the corruptions and severities that some model has an accuracy for."""
    keys = dict.fromkeys(key for metrics in models.values() for key in metrics)
    names = [key.removeprefix("top1_acc/") for key in keys if key.startswith("top1_acc/")]
    return [parts for name in names if "/" not in name and (parts := condition_parts(name))]


def _accuracies(
    metrics: dict[str, Metric], corruptions: tuple[str, ...], severities: tuple[int, ...]
) -> np.ndarray:
    """Return accuracies (corruptions, 1 + severities), the clean one first; NaN where unknown."""

    def value(condition: str) -> float:
        metric = metrics.get(f"top1_acc/{condition}")
        return nan if metric is None or metric.value is None else metric.value

    return np.array(
        [
            [value(CLEAN), *(value(corruption_condition(c, s)) for s in severities)]
            for c in corruptions
        ]
    )


def severity_figure(
    models: dict[str, np.ndarray], corruptions: tuple[str, ...], paths: list[Path]
) -> None:
    """Draw accuracy by severity, a panel per corruption and one of their mean, a line per model.

    models: name -> (corruptions, 1 + n) in percent: clean, then severities 1 to n; NaN if unknown.
    """
    many = len(models) > _MANY
    titles = [name.replace("_", " ") for name in corruptions]
    titles += [_MEAN] if len(corruptions) > 1 else []
    columns = _columns(len(titles))
    rows = ceil(len(titles) / columns)
    height = rows * (_PANEL if columns > 3 else _LARGE) + 0.3 + legend_height(list(models))
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(PAGE_WIDTH, height),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    severities = range(1, next(iter(models.values())).shape[1])
    clean = any(np.isfinite(values[:, 0]).any() for values in models.values())
    for number, axes in enumerate(grid.flat):
        if number >= len(titles):
            axes.set_axis_off()
            continue
        for model, values in enumerate(models.values()):
            _draw(axes, model, _of_panel(values, number), many)
        _format_axes(axes, titles[number], severities, clean, number + columns >= len(titles))
    for axes in grid[:, 0]:
        axes.set_ylabel("top-1 acc. (%)", fontsize=_FONT)
    highest = np.nanmax([1.0, *(np.nanmax(values, initial=0) for values in models.values())])
    grid[0, 0].set_ylim(0, 1.04 * highest)  # all panels share it
    handles = [Line2D([], [], **_style(number, many)) for number in range(len(models))]
    legend_below(figure, handles, list(models), "model")
    save(figure, paths)


def _columns(panels: int) -> int:
    """Return the columns, 5 or 4 (or fewer panels), that leave the fewest cells empty."""
    return min((5, 4), key=lambda n: (-panels % n, -n)) if panels > 5 else panels


def _of_panel(values: np.ndarray, number: int) -> np.ndarray:
    """Return one corruption's accuracies, or, after the last one, the means of all."""
    return values[number] if number < len(values) else values.mean(axis=0)


def _draw(axes: Axes, model: int, values: np.ndarray, many: bool) -> None:
    there = np.isfinite(values)
    if there.any():
        severities = np.arange(len(values))[there]
        axes.plot(severities, values[there], clip_on=False, **_style(model, many))


def _style(model: int, many: bool) -> dict[str, Any]:
    return {
        "color": colour(model),
        "linestyle": line_style(model),
        "linewidth": 0.6 if many else 1.0,
        "marker": marker(model),
        "markersize": 1.8 if many else 3.0,
        "markeredgewidth": 0 if many else 0.3,
        "markeredgecolor": "white",
    }


def _format_axes(axes: Axes, title: str, severities: range, clean: bool, lowest: bool) -> None:
    weight = "bold" if title == _MEAN else "normal"
    axes.set_title(title, fontsize=_FONT + 0.5, fontweight=weight, pad=3)
    axes.set_xticks([0, *severities] if clean else severities)
    axes.set_xlim(-0.2 if clean else 0.8, len(severities) + 0.2)
    axes.tick_params(labelsize=_FONT, length=2, pad=2, labelbottom=lowest)
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    if lowest:
        axes.set_xlabel(f"severity{' (0: clean)' if clean else ''}", fontsize=_FONT, labelpad=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def corruption_table(
    models: dict[str, np.ndarray], corruptions: tuple[str, ...], paths: list[Path]
) -> None:
    """Draw the mean accuracy over severities in colours: a row per model, a column per corruption.

    models: as for `severity_figure`. The last column is the mean of the others.
    """
    cells = np.array([values[:, 1:].mean(axis=1) for values in models.values()])
    if np.isnan(cells).all():  # not all severities were measured: the means over those that were
        cells = np.array([_mean_of_known(values[:, 1:]) for values in models.values()])
    cells = np.column_stack([cells, cells.mean(axis=1)])
    letter = _WIDER * letter_width(models, _FONT)
    labels = [wrapped(name, int(_LABEL / letter)) for name in models]
    height = _CELL * max(1, 0.65 * max(label.count("\n") + 1 for label in labels))
    left = 0.1 + letter * max(len(line) for label in labels for line in label.split("\n"))
    width = min(0.3, (PAGE_WIDTH - left - 0.1) / cells.shape[1])
    across = width * cells.shape[1]
    size = (max(_NARROWEST, left + across + 0.1), _HEAD + height * len(cells) + 0.1)
    figure = plt.figure(figsize=size)
    axes = figure.add_axes(
        (left / size[0], 0.1 / size[1], across / size[0], height * len(cells) / size[1])
    )
    axes.imshow(cells, cmap=_COLOURS, vmin=0, vmax=_top(cells), aspect="auto")
    axes.axvline(cells.shape[1] - 1.5, color="white", linewidth=1.5)  # the mean stands apart
    for (row, column), value in np.ndenumerate(cells):
        text = "–" if np.isnan(value) else f"{value:.0f}"
        dark = np.isfinite(value) and value < _DARK * _top(cells)
        axes.text(
            column,
            row,
            text,
            fontsize=_FONT - 0.5,
            color="white" if dark else "black",
            ha="center",
            va="center_baseline",
        )
    names = [name.replace("_", " ") for name in corruptions]
    axes.set_xticks(range(len(names) + 1), [*names, "mean"], rotation=60, ha="left")
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.tick_params(
        labelsize=_FONT, length=0, pad=2, top=True, labeltop=True, bottom=False, labelbottom=False
    )
    axes.spines[:].set_visible(False)
    figure.text(0.02, 1 - 0.08 / size[1], _severities(models), fontsize=_FONT, va="top")
    save(figure, paths)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Return the mean over the severities that every corruption here has."""
    there = np.isfinite(values).all(axis=0)
    return values[:, there].mean(axis=1) if there.any() else np.full(len(values), nan)


def _top(cells: np.ndarray) -> float:
    """Return the upper end of the colours: the highest accuracy, rounded up to tens."""
    known = cells[np.isfinite(cells)]
    return 10 * max(1, ceil(known.max(initial=0) / 10))


def _severities(models: dict[str, np.ndarray]) -> str:
    """Return what the cells show."""
    there = [np.isfinite(values[:, 1:]).any(axis=0) for values in models.values()]
    shown = [str(s) for s, known in enumerate(np.any(there, axis=0), start=1) if known]
    plural = "severities" if len(shown) > 1 else "severity"
    return f"top-1 accuracy (%)\nmean over {plural} {', '.join(shown)}"
