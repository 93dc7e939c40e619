"""Accuracy on the 17 data sets of model-vs-human: lines over conditions, bars where there is one.

As in Geirhos et al., NeurIPS 2021, humans are red.
"""

from collections.abc import Mapping, Sequence
from math import ceil, nan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS
from bvg.figures.drawing import PAGE_WIDTH, colour, line_style, marker, save
from bvg.figures.legend import legend_below, legend_height
from bvg.scores.metric import Metric
from bvg.scores.model_vs_human import OOD_MEAN, Rights

HUMANS = "humans"
HUMAN_COLOUR = "#a51e37"
MANY = 8  # models; above, everything is drawn finer and without intervals
_CHANCE = 100 / len(CATEGORIES)
_FONT = 7.0  # points
_COLUMNS = 4
_ROW, _BARS = 1.5, 1.75  # inches
_WIDEST_BAR = 0.22  # of the distance between data sets
_AXES = {
    "colour": "",
    "contrast": "contrast (%)",
    "high-pass": "filter's standard deviation",
    "low-pass": "filter's standard deviation",
    "phase-scrambling": "width of phase noise (°)",
    "power-equalisation": "power spectrum",
    "false-colour": "colour",
    "rotation": "angle (°)",
    "eidolonI": "log$_2$ of reach",
    "eidolonII": "log$_2$ of reach",
    "eidolonIII": "log$_2$ of reach",
    "uniform-noise": "width of noise",
}
_WORDS = {
    "cr": "colour",
    "bw": "greyscale",
    "pow": "equalised",
    "True": "true",
    "False": "opponent",
    "inf": "∞",
}


def accuracy_figure(
    models: Mapping[str, Mapping[str, Metric]], humans: Rights, paths: list[Path]
) -> None:
    """Draw accuracy under each condition, and write the figure to each of `paths`.

    models: name -> metrics in percent (`top1_acc/<data set>[/<condition>]`). humans: data set ->
    which images each observer got right; may be empty. What has no value is not drawn.
    """
    measured = [n for n in DATA_SETS if any(f"top1_acc/{n}" in m for m in models.values())]
    curves = [name for name in measured if len(DATA_SETS[name].conditions) > 1]
    single = [name for name in measured if name not in curves]
    labels = [_label(name, metrics) for name, metrics in models.items()]
    shown = " and ".join(["thin lines"] * bool(curves) + ["dots"] * bool(single))
    extra = [f"{HUMANS} ({shown}: each)"] * bool(humans) + ["chance (1/16)"]
    rows = ceil(len(curves) / _COLUMNS)
    height = rows * _ROW + bool(single) * _BARS + legend_height([*labels, *extra]) + 0.1
    figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    grid = figure.add_gridspec(
        rows + bool(single), _COLUMNS, height_ratios=[_ROW] * rows + [_BARS] * bool(single)
    )
    for number, name in enumerate(curves):
        axes = figure.add_subplot(grid[number // _COLUMNS, number % _COLUMNS])
        _curves(axes, name, models, humans)
        _format_axes(axes, number % _COLUMNS == 0)
    if single:
        axes = figure.add_subplot(grid[rows, :])
        _bars(axes, single, models, humans)
        _format_axes(axes, True)
    legend_below(
        figure, _handles(len(models), bool(humans)), [*labels, *extra], _title(models, curves)
    )
    save(figure, paths)


def _mean(metrics: Mapping[str, Metric]) -> tuple[int, float] | None:
    """Return of how many data sets there is a mean accuracy, and which."""
    for count in range(len(DATA_SETS), 0, -1):
        key = OOD_MEAN if count == len(DATA_SETS) else f"{OOD_MEAN}/{count}_datasets"
        value = metrics[key].value if key in metrics else None
        if value is not None:
            return count, value
    return None


def _label(name: str, metrics: Mapping[str, Metric]) -> str:
    mean = _mean(metrics)
    return name if mean is None else f"{name} ({mean[1]:.1f})"


def tick_label(data_set: str, condition: str) -> str:
    """Return a condition as the axis of its data set shows it."""
    if data_set.startswith("eidolon"):
        return str(int(np.log2(int(condition.partition("-")[0]))))
    if data_set == "contrast":
        return str(int(condition.removeprefix("c")))
    if data_set == "power-equalisation" and condition == "0":
        return "original"
    if condition in _WORDS:
        return _WORDS[condition]
    return "0" if condition == "0.0" else condition.replace("0.", ".")


def model_style(number: int, many: bool) -> dict[str, Any]:
    """Return how the line and markers of the model with this number, from 0, are drawn."""
    return {
        "color": colour(number),
        "linestyle": line_style(number),
        "linewidth": 0.6 if many else 1.1,
        "marker": marker(number),
        "markersize": 2.0 if many else 3.2,
        "markeredgewidth": 0 if many else 0.3,
        "markeredgecolor": "white",
    }


def _curves(
    axes: Axes, name: str, models: Mapping[str, Mapping[str, Metric]], humans: Rights
) -> None:
    conditions = DATA_SETS[name].conditions
    places = np.arange(len(conditions))
    for place in (k for k in places if conditions[k] in DATA_SETS[name].excluded):
        axes.axvspan(place - 0.5, place + 0.5, color="0.94", linewidth=0, zorder=0)
    axes.axhline(_CHANCE, color="0.5", linewidth=0.7, linestyle=":", zorder=1)
    many = len(models) > MANY
    for number, metrics in enumerate(models.values()):
        points = [metrics.get(f"top1_acc/{name}/{c}", Metric(None)) for c in conditions]
        value, low, high = (
            np.array([nan if x is None else x for x in column])
            for column in zip(*((p.value, p.low, p.high) for p in points), strict=True)
        )
        if not many:
            axes.fill_between(places, low, high, color=colour(number), alpha=0.15, linewidth=0)
        axes.plot(places, value, clip_on=False, zorder=3, **model_style(number, many))
    if name in humans:
        right = humans[name]
        each = 100 * right.groupby(level=0).mean().reindex(list(conditions))
        sums, counts = right.groupby(level=0).sum(), right.groupby(level=0).count()
        mean = (100 * sums.sum(axis=1) / counts.sum(axis=1)).reindex(list(conditions))
        axes.plot(places, each, color=HUMAN_COLOUR, linewidth=0.4, alpha=0.45, zorder=3.5)
        axes.plot(places, mean, clip_on=False, zorder=4, **_HUMAN_STYLE)
    axes.set_xticks(places, [tick_label(name, c) for c in conditions])
    axes.set_xlim(-0.5, len(conditions) - 0.5)
    axes.set_xlabel(_AXES[name], fontsize=_FONT, labelpad=1.5)
    axes.set_title(name, fontsize=_FONT + 1, pad=4)


_HUMAN_STYLE: dict[str, Any] = {
    "color": HUMAN_COLOUR,
    "linewidth": 1.3,
    "marker": "o",
    "markersize": 3.2,
    "markeredgewidth": 0.3,
    "markeredgecolor": "white",
}


def _bars(
    axes: Axes,
    names: Sequence[str],
    models: Mapping[str, Mapping[str, Metric]],
    humans: Rights,
) -> None:
    """Draw a group of bars per data set; humans as a line across it, with a dot for each."""
    width = min(0.8 / len(models), _WIDEST_BAR)
    for number, metrics in enumerate(models.values()):
        for slot, name in enumerate(names):
            metric = metrics.get(f"top1_acc/{name}", Metric(None))
            if metric.value is None:
                continue
            place = slot + width * (number - (len(models) - 1) / 2)
            axes.bar(place, metric.value, width * 0.9, color=colour(number), zorder=2)
            if len(models) <= MANY and metric.low is not None and metric.high is not None:
                axes.vlines(place, metric.low, metric.high, color="0.25", linewidth=0.8, zorder=3)
    for slot, name in enumerate(names):
        if name in humans:
            right = humans[name]
            mean = 100 * right.sum().sum() / right.count().sum()
            axes.hlines(mean, slot - 0.45, slot + 0.45, color=HUMAN_COLOUR, linewidth=1.3, zorder=4)
            places = slot + np.linspace(-0.3, 0.3, right.shape[1])
            axes.scatter(
                places,
                100 * right.mean(),
                s=5,
                color=HUMAN_COLOUR,
                linewidths=0.2,
                edgecolors="white",
                zorder=5,
            )
    axes.axhline(_CHANCE, color="0.5", linewidth=0.7, linestyle=":", zorder=2.5)
    axes.set_xticks(range(len(names)), list(names))
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="x", length=0)


def _format_axes(axes: Axes, leftmost: bool) -> None:
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.tick_params(labelsize=_FONT - 0.5, pad=2)
    axes.grid(axis="y", color="0.88", linewidth=0.5)
    axes.set_axisbelow(True)
    if leftmost:
        axes.set_ylabel("accuracy (%)", fontsize=_FONT)
    else:
        axes.set_yticklabels([])
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _handles(models: int, humans: bool) -> list[Artist]:
    handles = [Line2D([], [], **model_style(number, models > MANY)) for number in range(models)]
    handles += [Line2D([], [], **_HUMAN_STYLE)] * humans
    return [*handles, Line2D([], [], color="0.5", linewidth=0.7, linestyle=":")]


def _title(models: Mapping[str, Mapping[str, Metric]], curves: Sequence[str]) -> str:
    """Return what the numbers behind the models' names, and the shading, mean."""
    counts = {mean[0] for mean in map(_mean, models.values()) if mean}
    count = counts.pop() if len(counts) == 1 else 0
    title = f"in brackets: mean of {count} data set{'s' * (count > 1)}" if count else ""
    if not curves:
        return title
    return f"{title}, without the shaded conditions" if title else "shaded: not counted"
