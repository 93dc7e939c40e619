"""Flip probability by perturbation: models side by side, or, of many models, as a table."""

from math import ceil, nan
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bvg.data.imagenet_p import PERTURBATIONS
from bvg.figures.drawing import PAGE_WIDTH, colour, letter_width, marker, save, wrapped
from bvg.scores.imagenet_p import FLIPS, OVERALL
from bvg.scores.metric import Metric

_FONT = 7.5  # points
_SMALL = 6.5
_MANY = 8  # models; above, a table: so many markers cannot be told apart
_COLOURS = matplotlib.colormaps["viridis"].with_extremes(bad="0.9")
_ROW, _COLUMN = 0.17, 0.5  # inches
_HEAD, _SCALE, _LABEL = 0.5, 0.7, 2.2  # inches: column names, colour scale, longest model name

Models = dict[str, dict[str, Metric]]


def stability_figure(models: Models, paths: list[Path]) -> None:
    """Draw flip probabilities in percent, as the paper prints them, and write them to `paths`.

    models: name -> metrics, flip_prob/<perturbation> in [0, 1] with 95 % intervals; what has no
    value is not drawn. Up to 8 models are markers beside each other, more are a table's rows, the
    most stable one first.
    """
    shown = _shown(models)
    draw = _table if len(models) > _MANY else _side_by_side
    save(draw(models, shown), paths)


def _shown(models: Models) -> list[str]:
    """Return the perturbations that some model has a value for, the ten first, their mean last."""
    there = {
        name.partition("/")[2]: None
        for metrics in models.values()
        for name, metric in metrics.items()
        if name.startswith(f"{FLIPS}/") and metric.value is not None
    }
    extra = [name for name in there if name not in (*PERTURBATIONS, OVERALL)]
    return [name for name in (*PERTURBATIONS, *extra, OVERALL) if name in there]


def _values(metrics: dict[str, Metric], shown: list[str]) -> np.ndarray:
    """Return value, lower and upper end in percent, (3, perturbations); NaN where unknown."""
    rows = [metrics.get(f"{FLIPS}/{name}", Metric(None)) for name in shown]
    ends = [(m.value, m.low, m.high) for m in rows]
    numbers = [nan if end is None else end for row in ends for end in row]
    return 100 * np.array(numbers, dtype=float).reshape(-1, 3).T


def _title(perturbation: str) -> str:
    return "mean of all ten" if perturbation == OVERALL else perturbation.replace("_", " ")


def _side_by_side(models: Models, shown: list[str]) -> Figure:
    labels, columns = _legend_labels(list(models))
    lines = ceil(sum(label.count("\n") + 1 for label in labels) / columns)
    height = 2.9 + lines * 1.5 * _SMALL / 72
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, height), layout="constrained")
    step = min(0.12, 0.72 / len(models))
    for number, (metrics, label) in enumerate(zip(models.values(), labels, strict=True)):
        value, low, high = _values(metrics, shown)
        x = np.arange(len(shown)) + (number - (len(models) - 1) / 2) * step
        axes.vlines(x, low, high, color=colour(number), linewidth=1)
        axes.plot(
            x,
            value,
            linestyle="none",
            color=colour(number),
            marker=marker(number),
            markersize=4,
            markeredgewidth=0.4,
            markeredgecolor="white",
            label=label,
            clip_on=False,
        )
    _format_axes(axes, shown)
    legend = figure.legend(
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=_SMALL,
        title="vertical lines: 95 % intervals",
        title_fontsize=_SMALL,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a model's name may have dollars in it
    return figure


def _mean(values: np.ndarray, shown: list[str]) -> float:
    """Return what a model is placed by: the benchmark's mean if it is there, else of what is."""
    if shown and shown[-1] == OVERALL and np.isfinite(values[-1]):
        return float(values[-1])
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.inf


def _format_axes(axes: Axes, shown: list[str]) -> None:
    axes.set_xticks(range(len(shown)), [_title(name).replace(" ", "\n", 1) for name in shown])
    axes.set_xlim(-0.5, max(len(shown), 1) - 0.5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("flip probability (%)", fontsize=_FONT + 1)
    axes.tick_params(labelsize=_SMALL if len(shown) > 8 else _FONT)
    axes.tick_params(axis="x", length=0)
    for boundary in np.arange(0.5, len(shown) - 1):
        axes.axvline(boundary, color="0.9", linewidth=0.6, zorder=0)
    if shown and shown[-1] == OVERALL:
        axes.axvspan(len(shown) - 1.5, len(shown) - 0.5, color="0.95", zorder=0)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend_labels(names: list[str]) -> tuple[list[str], int]:
    """Return the names, in several lines where they must, and the legend's columns."""
    letter, handle = letter_width(names, _SMALL), 0.47  # inches
    room = {columns: int((PAGE_WIDTH / columns - handle) / letter) for columns in (4, 3, 2)}
    fitting = [columns for columns in room if room[columns] >= max(map(len, names))]
    columns = fitting[0] if fitting else 2
    return [wrapped(name, room[columns]) for name in names], min(columns, len(names))


def _table(models: Models, shown: list[str]) -> Figure:
    """Return the table: a row per model, the most stable first, a column per perturbation."""
    values = {name: _values(metrics, shown)[0] for name, metrics in models.items()}
    order = sorted(models, key=lambda name: _mean(values[name], shown))
    letters = int(_LABEL / letter_width(order, _SMALL))
    labels = [wrapped(name, letters) for name in order]
    height = _HEAD + _SCALE + _ROW * sum(label.count("\n") + 1 for label in labels)
    width = min(PAGE_WIDTH, _LABEL + max(_LABEL, _COLUMN * len(shown)))
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    table = np.array([values[name] for name in order]).reshape(len(order), len(shown))
    highest = np.nanmax(table) if np.isfinite(table).any() else 1
    image = axes.imshow(table, cmap=_COLOURS, aspect="auto", vmin=0, vmax=highest or 1)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ink = "white" if value < 0.6 * highest else "black"
            axes.text(
                column, row, f"{value:.1f}", ha="center", va="center", fontsize=_SMALL, color=ink
            )
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(shown)), [_title(name).replace(" ", "\n", 1) for name in shown])
    axes.set_yticks(range(len(order)), labels)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.tick_params(length=0, labelsize=_SMALL)
    axes.tick_params(axis="x", labelsize=_SMALL - 0.5)
    for side in axes.spines.values():
        side.set_visible(False)
    if shown and shown[-1] == OVERALL:
        axes.axvline(len(shown) - 1.5, color="white", linewidth=2)
    bar = figure.colorbar(image, orientation="horizontal", fraction=0.02, aspect=50, pad=0.01)
    bar.set_label("flip probability (%)", fontsize=_FONT)
    bar.ax.tick_params(labelsize=_SMALL)
    bar.outline.set_visible(False)
    return figure
