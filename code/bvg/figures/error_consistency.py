"""Error consistency: models with humans, by data set, and all observers with each other."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bvg.data.model_vs_human import DATA_SETS
from bvg.figures.drawing import PAGE_WIDTH, colour, letter_width, marker, save
from bvg.figures.legend import legend_below, legend_height
from bvg.figures.model_vs_human import HUMAN_COLOUR, HUMANS, MANY
from bvg.scores.metric import Metric
from bvg.scores.model_vs_human import CONSISTENCY, CONSISTENCY_MEAN

_FONT = 7.0  # points
_COLOURS = matplotlib.colormaps["cividis"].with_extremes(bad="0.9")
_SIDE = 4.6  # inches, of the largest heat map
_MOST_NUMBERS = 16  # observers; above, the cells are too small for values
_MOST_UPRIGHT = 24  # observers; above, they are too small for their own number

Metrics = Mapping[str, Metric]


def mean_consistency(metrics: Metrics) -> Metric:
    """Return the mean over data sets, of however many there are."""
    partial = [f"{CONSISTENCY_MEAN}/{count}_datasets" for count in range(1, len(DATA_SETS))]
    values = [metrics[key] for key in (CONSISTENCY_MEAN, *partial) if key in metrics]
    return next((metric for metric in values if metric.value is not None), Metric(None))


def consistency_figure(models: Mapping[str, Metrics], humans: Metrics, paths: list[Path]) -> None:
    """Draw each model's error consistency with humans, by data set, and humans' own.

    models: name -> `error-consistency/<data set>`; humans: the same among themselves. What has no
    value is not drawn.
    """
    keys = [name for name in DATA_SETS if any(_has(m, name) for m in (*models.values(), humans))]
    labels = list(models)
    extra = ["humans with each other"]
    height = 2.6 + legend_height([*labels, *extra])
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, height), layout="constrained")
    many = len(models) > MANY
    for slot, name in enumerate([*keys, None]):
        _reference(axes, slot, _of(humans, name))
        for number, metrics in enumerate(models.values()):
            place = slot - 0.36 + 0.72 * (number + 0.5) / len(models)
            _point(axes, place, _of(metrics, name), number, many)
    axes.axvline(len(keys) - 0.5, color="0.6", linewidth=0.8)
    axes.axhline(0, color="0.5", linewidth=0.7, linestyle=":")
    axes.set_xticks(
        range(len(keys) + 1),
        [*keys, f"mean of {len(keys)}"],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set_xlim(-0.5, len(keys) + 0.5)
    axes.set_ylabel("error consistency with humans (κ)", fontsize=_FONT)
    axes.tick_params(labelsize=_FONT)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    handles: list[Artist] = [
        Line2D([], [], color=colour(k), marker=marker(k), linestyle="none", markersize=4)
        for k in range(len(models))
    ]
    handles.append(Patch(facecolor=_PALE, edgecolor=HUMAN_COLOUR, linewidth=1.2))
    title = "" if many else "vertical lines: 95 % intervals over images"
    legend_below(figure, handles, [*labels, *extra], title)
    save(figure, paths)


_PALE = "#edd2d7"  # the humans' colour on white


def _has(metrics: Metrics, name: str) -> bool:
    return _of(metrics, name).value is not None


def _of(metrics: Metrics, name: str | None) -> Metric:
    if name is None:
        return mean_consistency(metrics)
    return metrics.get(f"{CONSISTENCY}/{name}", Metric(None))


def _reference(axes: Axes, slot: int, metric: Metric) -> None:
    if metric.value is None:
        return
    ends = (slot - 0.45, slot + 0.45)
    if metric.low is not None and metric.high is not None:
        axes.fill_between(ends, metric.low, metric.high, color=_PALE, linewidth=0, zorder=1)
    axes.hlines(metric.value, *ends, color=HUMAN_COLOUR, linewidth=1.3, zorder=2)


def _point(axes: Axes, place: float, metric: Metric, number: int, many: bool) -> None:
    if metric.value is None:
        return
    if not many and metric.low is not None and metric.high is not None:
        axes.vlines(place, metric.low, metric.high, color=colour(number), linewidth=0.9, zorder=3)
    axes.scatter(
        place,
        metric.value,
        s=5 if many else 16,
        color=colour(number),
        marker=marker(number),
        edgecolors="white",
        linewidths=0 if many else 0.4,
        zorder=4,
    )


def matrix_figure(matrix: pd.DataFrame, mean: str, paths: list[Path]) -> None:
    """Draw the error consistency of every pair of observers as a heat map.

    matrix: square, by observer; `humans` is drawn first and in red, with the humans' consistency
    among themselves on its diagonal. Models are not compared with themselves. mean: of what the
    values are means.
    """
    names = sorted(matrix.index, key=lambda name: name != HUMANS)
    table = matrix.loc[names, names].to_numpy(float, copy=True)
    models = [k for k, name in enumerate(names) if name != HUMANS]
    table[models, models] = np.nan
    count = len(names)
    labels = [f"{name}  {number}" for number, name in enumerate(names, start=1)]
    font = min(_FONT, 0.75 * 72 * _SIDE / count)
    longest = max(len(label) * letter_width([label], font) for label in labels)
    side = max(1.8, min(PAGE_WIDTH - longest - 1.1, _SIDE, 0.4 * count))
    figure, axes = plt.subplots(figsize=(side + longest + 1.1, side + 0.4), layout="constrained")
    drawn = table[np.isfinite(table)]
    low, high = (min(0.0, drawn.min()), max(drawn.max(), 0.01)) if drawn.size else (0.0, 1.0)
    image = axes.imshow(table, cmap=_COLOURS, vmin=low, vmax=high)
    # Names along the columns as well would take more room than the cells.
    numbers, turned = [str(k + 1) for k in range(count)], 90 if count > _MOST_UPRIGHT else 0
    axes.set_xticks(range(count), numbers, fontsize=min(font, 6), rotation=turned)
    axes.set_yticks(range(count), labels, fontsize=font, parse_math=False)
    axes.tick_params(length=0, pad=2)
    if names[0] == HUMANS:
        for label in (axes.get_xticklabels()[0], axes.get_yticklabels()[0]):
            label.set_color(HUMAN_COLOUR)
    if count <= _MOST_NUMBERS:
        _write_numbers(axes, table, low + 0.55 * (high - low))
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label(f"error consistency (κ), {mean}", fontsize=_FONT - 0.5)
    bar.ax.tick_params(labelsize=_FONT - 0.5)
    bar.outline.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    save(figure, paths)


def _write_numbers(axes: Axes, table: np.ndarray, bright: float) -> None:
    for row, column in zip(*np.nonzero(np.isfinite(table)), strict=True):
        value = round(table[row, column], 2) + 0.0  # no minus before 0.00
        axes.text(
            column,
            row,
            f"{value:.2f}".replace("-", "−"),
            ha="center",
            va="center",
            fontsize=_FONT - 0.5,
            color="white" if table[row, column] < bright else "black",
        )
