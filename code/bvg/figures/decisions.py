"""Figures of decision tables: accuracy, response times, confusions, and the papers' summaries.

Layouts after figures 2 and 6 of Geirhos et al., ICLR 2019, and the summary of Geirhos et al.,
NeurIPS 2021.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS
from bvg.figures.curves import Humans, Panel, categories, curves
from bvg.figures.drawing import (
    HUMAN_COLOUR,
    HUMANS,
    MANY,
    PAGE_WIDTH,
    Metrics,
    below,
    letter_width,
    numbers,
    observer_styles,
    save,
    wrapped,
)
from bvg.figures.heat_map import COLOURS, heat_map
from bvg.figures.legend import legend_below, legend_height
from bvg.figures.model_vs_human import AXES, tick_label
from bvg.scores.metric import Metric

_FONT = 7.0  # points
_CHANCE = 100 / len(CATEGORIES)
_MOST_BARS = 48
_PICTURE = 0.62  # inches, at most
DISTORTIONS = (
    *("uniform-noise", "contrast", "phase-scrambling", "high-pass", "low-pass"),
    *("eidolonI", "eidolonII", "eidolonIII", "rotation"),
)
# As in figure 6: conditions that a logarithmic axis cannot show, and axes towards the harder end.
_LOGARITHMIC = {"high-pass": "inf", "low-pass": "0"}


def accuracy_bars(
    metrics: Mapping[str, Metrics],
    members: pd.DataFrame,
    data_sets: Sequence[str],
    pictures: Mapping[str, np.ndarray],
    path: Path,
    choices: int | None = len(CATEGORIES),
) -> list[Path]:
    """Return the files of a figure of accuracy on each data set: a bar per observer.

    After figure 2 of Geirhos et al. 2019, with a number on each bar and an example picture, (H, W,
    3) uint8, below each group. metrics: observer -> top1_acc/<data set> in percent. members: of
    `scores.decisions.members`; people are drawn as dots. choices: the number of possible answers,
    for a line at chance. More than 48 bars become a table in colours.
    """
    values = {
        name: numbers(scores, [f"top1_acc/{data_set}" for data_set in data_sets])
        for name, scores in metrics.items()
    }
    if len(metrics) > MANY or len(metrics) * len(data_sets) > _MOST_BARS:
        table = pd.DataFrame({name: of[0] for name, of in values.items()}, index=[*data_sets]).T
        table = _humans_first(table)
        humans = str(table.index[0]) == HUMANS
        return heat_map(table, "accuracy (%)", path, digits=1, humans=humans)
    shown = {name: pictures[name] for name in data_sets if name in pictures}
    room = (PAGE_WIDTH - 0.6) / len(data_sets)  # for a group of bars
    picture = min(_PICTURE, 0.94 * room)
    words = max(map(len, data_sets)) * letter_width(data_sets, _FONT)
    level = words < room
    height = 2.6 + legend_height([*metrics]) + (picture + 0.1) * bool(shown)
    height += 0 if level else 0.7 * words
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, height), layout="constrained")
    turned = len(metrics) * len(data_sets) > 28
    handles = _draw_bars(axes, values, members, data_sets, turned)
    if choices:
        axes.axhline(100 / choices, color="0.5", linewidth=0.7, linestyle=":")
    _label(axes, data_sets, level, turned)
    if shown:
        # The names are below the pictures.
        axes.tick_params(axis="x", pad=72 * (picture + 0.1))
        for place, name in enumerate(data_sets):
            if name in shown:
                below(axes, shown[name], place, picture)
    title = "vertical lines: 95 % intervals"
    title += f"; dotted line: chance (1/{choices})" if choices else ""
    title += "; dots: each of the people" if HUMANS in metrics else ""
    legend_below(figure, handles, [*metrics], title)
    return save(figure, path)


def _draw_bars(
    axes: Axes,
    values: Mapping[str, np.ndarray],
    members: pd.DataFrame,
    data_sets: Sequence[str],
    turned: bool,
) -> list[Any]:
    """Draw each observer's bars, with intervals and numbers; return a bar of each.

    values: observer -> accuracies and their lower and upper ends, (3, data sets). turned: the
    numbers are upright.
    """
    width, styles, handles = 0.84 / len(values), observer_styles(values), []
    for number, (name, (value, low, high)) in enumerate(values.items()):
        x = np.arange(len(data_sets)) + width * (number - (len(values) - 1) / 2)
        bars = axes.bar(x, value, 0.92 * width, color=styles[name][0], linewidth=0)
        handles.append(bars[0])
        axes.vlines(x, low, high, color="0.25", linewidth=0.7)
        tops = np.fmax(value, high)
        if name == HUMANS:
            tops = np.fmax(tops, _draw_people(axes, members, data_sets, x, width))
        for place, top, accuracy in zip(x, tops, value, strict=True):
            if np.isfinite(accuracy):
                _write(axes, place, top, f"{accuracy:.1f}", turned)
    return handles


def _label(axes: Axes, data_sets: Sequence[str], level: bool, turned: bool) -> None:
    """Write the names of the data sets, level or slanted, and the scale of accuracy."""
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(data_sets)), data_sets, **({} if level else slanted))
    axes.set_xlim(-0.5, len(data_sets) - 0.5)
    axes.set_ylim(0, 116 if turned else 108)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("accuracy (%)", fontsize=_FONT)
    axes.tick_params(labelsize=_FONT, length=2)
    axes.tick_params(axis="x", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _humans_first(table: pd.DataFrame) -> pd.DataFrame:
    return table.loc[sorted(table.index, key=lambda name: not str(name).startswith(HUMANS))]


def _draw_people(
    axes: Axes, members: pd.DataFrame, data_sets: Sequence[str], x: np.ndarray, width: float
) -> np.ndarray:
    """Draw a dot for each of the people; return the highest of each data set."""
    highest = np.full(len(data_sets), np.nan)
    own = members[members["observer"] == HUMANS]
    for number, name in enumerate(data_sets):
        each = own[own["data_set"] == name]
        right = (each["accuracy"] * each["n"]).groupby(each["member"]).sum()
        values = (right / each["n"].groupby(each["member"]).sum()).to_numpy()
        places = x[number] + 0.35 * width * np.linspace(-1, 1, len(values))
        axes.scatter(places, values, 5, "white", edgecolors="0.25", linewidths=0.5, zorder=4)
        highest[number] = max(values, default=np.nan)
    return highest


def _write(axes: Axes, x: float, y: float, text: str, turned: bool) -> None:
    axes.annotate(
        text,
        (x, y),
        (0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        rotation=90 if turned else 0,
        fontsize=_FONT - 1.5,
    )


def distortions_figure(
    metrics: Mapping[str, Metrics], members: pd.DataFrame, path: Path
) -> list[Path]:
    """Return the files of a figure of accuracy by strength of each distortion that was shown.

    After figure 6 of Geirhos et al. 2019: the range is that of people, or of a network's sessions.
    metrics: observer -> top1_acc/<data set>/<condition> in percent. members: as in `accuracy_bars`.
    """
    seen = {*members["data_set"]}
    panels = [_distortion(name) for name in DISTORTIONS if name in seen]
    if len(metrics) > MANY:
        return _coloured(metrics, panels, path)
    ranges: dict[str, dict[str, Metric]] = {name: {} for name in metrics}
    for (observer, data_set, condition), each in members.groupby(
        ["observer", "data_set", "condition"]
    )["accuracy"]:
        key = f"top1_acc/{data_set}/{condition}"
        if key in metrics.get(str(observer), {}):
            ends = (each.min(), each.max()) if len(each) > 1 else (None, None)
            ranges[str(observer)][key] = Metric(metrics[str(observer)][key].value, *ends)
    people = Humans(f"{HUMANS} (all, and the range of people)", ranges.pop(HUMANS, {}))
    with_ranges = any(m.low is not None for own in ranges.values() for m in own.values())
    return curves(
        ranges,
        panels,
        path,
        y_label="accuracy (%)",
        limits=(0, 100),
        humans=people if people.metrics else None,
        reference=(f"chance (1/{len(CATEGORIES)})", _CHANCE),
        intervals="range of a network's sessions" if with_ranges else "",
    )


def _coloured(metrics: Mapping[str, Metrics], panels: Sequence[Panel], path: Path) -> list[Path]:
    """Draw a row per observer instead of a line, since many lines would hide each other."""
    names = _ordered(pd.Series([*metrics]))
    columns = min(5, len(panels))
    rows = ceil(len(panels) / columns)
    size = (PAGE_WIDTH + 0.6, (0.75 + 0.115 * len(names)) * rows + 0.4)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False, sharey=True
    )
    image: Any = None
    for axes, panel in zip(grid.flat, panels, strict=False):
        values = np.array([numbers(metrics[name], panel.keys.values())[0] for name in names])
        # From the mildest condition to the hardest, evenly spaced.
        image = axes.imshow(values, cmap=COLOURS, vmin=0, vmax=100, aspect="auto")
        axes.set_title(panel.title, fontsize=_FONT, pad=3)
        labels = [*panel.ticks.values()]
        axes.set_xticks(range(len(labels)), labels, rotation=90 if len(labels) > 5 else 0)
        axes.set_xlabel(panel.x_label, fontsize=_FONT - 1, labelpad=2)
        axes.tick_params(labelsize=_FONT - 1, length=0, pad=2)
        axes.spines[:].set_visible(False)
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(names)), names, parse_math=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    bar = figure.colorbar(image, ax=[*grid.flat[: len(panels)]], shrink=0.6, aspect=30, pad=0.01)
    bar.set_label(f"accuracy (%); chance is {_CHANCE:g} %", fontsize=_FONT - 0.5)
    bar.ax.tick_params(labelsize=_FONT - 1, length=2)
    bar.outline.set_visible(False)
    return save(figure, path)


def _distortion(data_set: str) -> Panel:
    """Return the panel of a distortion, from its mildest condition to the hardest."""
    conditions = DATA_SETS[data_set].conditions
    if data_set not in _LOGARITHMIC:
        places = {float(place): name for place, name in enumerate(conditions)}
    else:
        sign = -1 if data_set == "high-pass" else 1  # harder to the right
        places = {
            sign * float(np.log2(float(name))): name
            for name in conditions
            if name != _LOGARITHMIC[data_set]
        }
    return Panel(
        data_set,
        {place: f"top1_acc/{data_set}/{name}" for place, name in places.items()},
        AXES[data_set],
        # Of the high-pass filter, .45 and .4 are too close for both labels.
        {
            place: "" if name == "0.45" else tick_label(data_set, name)
            for place, name in places.items()
        },
    )


def times_figure(times: Mapping[str, Mapping[str, pd.Series]], path: Path) -> list[Path]:
    """Return the files of a figure of people's response times, a row per data set.

    times: row -> person -> response times in milliseconds. The box is the middle half of all
    responses, the line reaches from the 5th to the 95th percentile; dots are people's medians.
    """
    names = [*times][::-1]
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 0.9 + 0.3 * len(names)), layout="constrained")
    for row, name in enumerate(names):
        low, first, median, third, high = np.percentile(
            pd.concat(times[name].values()), (5, 25, 50, 75, 95)
        )
        axes.hlines(row, low, high, color="0.6", linewidth=0.8, zorder=1)
        axes.barh(row, third - first, 0.56, first, color="#edd2d7", linewidth=0, zorder=2)
        axes.vlines(median, row - 0.28, row + 0.28, color=HUMAN_COLOUR, linewidth=1.6, zorder=3)
        each = [own.median() for own in times[name].values()]
        rows = row + np.linspace(-0.2, 0.2, len(each))
        axes.scatter(each, rows, 6, HUMAN_COLOUR, edgecolors="white", linewidths=0.3, zorder=4)
        axes.annotate(
            f"{median:.0f}",
            (high, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=_FONT - 0.5,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(left=0)
    axes.margins(x=0.08)
    axes.tick_params(labelsize=_FONT, length=2)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "response time (ms): median, middle half, 5th to 95th percentile; dots: people's medians",
        fontsize=_FONT,
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    return save(figure, path)


def times_by_condition_figure(
    people: Mapping[str, Metrics], each: Mapping[str, np.ndarray], path: Path
) -> list[Path]:
    """Return the files of a figure of people's median response times by condition.

    people: observer -> response-time/<data set>/<condition> in milliseconds. each: key -> the
    median of each of the `humans`, NaN where unknown. What has no value is not drawn.
    """
    names = [
        name
        for name, data_set in DATA_SETS.items()
        if any(
            f"response-time/{name}/{c}" in m for m in people.values() for c in data_set.conditions
        )
    ]
    panels = [_times_panel(name) for name in names]
    others = {name: metrics for name, metrics in people.items() if name != HUMANS}
    own = people.get(HUMANS)
    return curves(
        others,
        panels,
        path,
        y_label="median response time (ms)",
        limits=(None, None),
        humans=Humans(f"{HUMANS} (thin lines: each)", own, each) if own else None,
    )


def _times_panel(data_set: str) -> Panel:
    """Return the panel of a data set's response times, by condition."""
    keys = {
        tick_label(data_set, condition): f"response-time/{data_set}/{condition}"
        for condition in DATA_SETS[data_set].conditions
    }
    return categories(keys, data_set, AXES[data_set])


def edges_figure(
    observers: Mapping[str, pd.DataFrame], correlations: Mapping[str, Metric], path: Path
) -> list[Path]:
    """Return the files of a figure of shape bias by accuracy on edges: a dot per category.

    observers: name -> of `scores.decisions.shape_and_edges`. correlations: Spearman's, in titles.
    """
    names = _ordered(pd.Series([*observers]))
    figure, grid = _grid(names, 1.9)
    for number, (axes, name) in enumerate(zip(grid, names, strict=True)):
        table = observers[name]
        paint = HUMAN_COLOUR if name.startswith(HUMANS) else "0.3"
        axes.scatter(table["edges"], table["shape_bias"], 9, paint, linewidths=0, clip_on=False)
        value = correlations[name].value
        rho = "undefined" if value is None else f"{value:.2f}".replace("-", "−")
        _label_panel(axes, name, number, len(names))
        axes.set_title(f"{axes.get_title()}\nρ = {rho}", fontsize=_FONT - 0.5, pad=2)
        axes.set(xlim=(-5, 105), ylim=(-0.05, 1.05))
        axes.tick_params(labelsize=_FONT - 1, length=2, pad=1.5)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("accuracy on edges (%), a dot per category; ρ: Spearman's", fontsize=_FONT)
    figure.supylabel("shape bias", fontsize=_FONT)
    return save(figure, path)


def confusion_figure(confusions: pd.DataFrame, path: Path) -> list[Path]:
    """Return the files of a figure of confusion matrices, a panel per observer.

    confusions: columns observer, category, response, n, of one data set. Rows are the categories
    that were shown, columns the responses, of which each row's share is drawn.
    """
    shown = sorted({*confusions["category"]})
    answers = [*shown, *sorted({*confusions["response"]} - {*shown})]
    observers = _ordered(confusions["observer"])
    figure, grid = _grid(observers, 1.78)
    image: Any = None
    for number, (axes, name) in enumerate(zip(grid, observers, strict=False)):
        own = confusions[confusions["observer"] == name]
        counts = own.pivot_table(index="category", columns="response", values="n", aggfunc="sum")
        counts = counts.reindex(index=shown, columns=answers).fillna(0)
        shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)
        image = axes.imshow(100 * shares, cmap=COLOURS, vmin=0, vmax=100, aspect="auto")
        _label_panel(axes, name, number, len(observers))
        axes.set_yticks(range(len(shown)), shown, fontsize=_FONT - 2)
        axes.set_xticks(range(len(answers)), answers, fontsize=_FONT - 2, rotation=90)
        axes.tick_params(length=0, pad=1.5)
    figure.supxlabel("response", fontsize=_FONT)
    figure.supylabel("category shown", fontsize=_FONT)
    bar = figure.colorbar(image, ax=[*grid], shrink=0.5, aspect=30, pad=0.01)
    bar.set_label("responses (% of the category's images)", fontsize=_FONT - 0.5)
    bar.ax.tick_params(labelsize=_FONT - 1, length=2)
    bar.outline.set_visible(False)
    return save(figure, path)


_PARTS = {"shape": "#0072b2", "texture": "#e69f00", "neither": "0.85"}


def cues_figure(
    observers: Mapping[str, pd.DataFrame],
    path: Path,
    cues: tuple[str, str] = ("shape", "texture"),
) -> list[Path]:
    """Return the files of a figure of what decides, a panel per observer and a bar per category.

    observers: name -> columns category, shape, texture, neither: percent of its conflict images.
    cues: the names of what is in conflict.
    """
    names = _ordered(pd.Series([*observers]))
    rows = sorted({name for table in observers.values() for name in table.index}, reverse=True)
    figure, grid = _grid(names, 1.78)
    for number, (axes, name) in enumerate(zip(grid, names, strict=False)):
        table = observers[name].reindex(rows)
        left = np.zeros(len(rows))
        for part, paint in _PARTS.items():
            axes.barh(range(len(rows)), table[part], 0.8, left, color=paint, label=part)
            left = left + table[part].fillna(0).to_numpy()
        _label_panel(axes, name, number, len(names))
        axes.set_yticks(range(len(rows)), rows, fontsize=_FONT - 2)
        axes.set_xticks([0, 50, 100])
        axes.set(xlim=(0, 100), ylim=(-0.6, len(rows) - 0.4))
        axes.tick_params(labelsize=_FONT - 2, length=2, pad=1.5)
        axes.tick_params(axis="y", length=0)
        axes.spines[:].set_visible(False)
    figure.supxlabel("share of the images with conflicting cues (%)", fontsize=_FONT)
    handles, _ = grid[0].get_legend_handles_labels()
    figure.legend(
        handles,
        [*cues, "neither"],
        title="decided by",
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=_FONT,
        title_fontsize=_FONT,
    )
    return save(figure, path)


def _ordered(names: pd.Series) -> list[str]:
    """Return the names once each, humans first."""
    return sorted(dict.fromkeys(names), key=lambda name: not name.startswith(HUMANS))


def _grid(names: Sequence[str], height: float) -> tuple[Any, np.ndarray]:
    """Return a figure and its panels, up to four a row."""
    columns = min(4, len(names))
    rows = ceil(len(names) / columns)
    width = PAGE_WIDTH if columns > 2 else 2.6 * columns + 1
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(width, height * rows + 0.9),
        layout="constrained",
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for axes in grid.flat[len(names) :]:
        axes.remove()
    return figure, grid.flat[: len(names)]


def _label_panel(axes: Axes, name: str, number: int, of: int) -> None:
    """Write the observer's name above its panel; show ticks where no panel is below."""
    letters = int(1.35 / letter_width([name], _FONT - 0.5))
    title = wrapped(name, letters)
    axes.set_title(title, fontsize=_FONT - 0.5, pad=2, parse_math=False)
    if number + 4 >= of:
        axes.tick_params(labelbottom=True)


def mean_of_sets(data_sets: Sequence[str]) -> str:
    """Return the data sets' names where they fit a line, else their number."""
    return ", ".join(data_sets) if len(data_sets) <= 5 else f"{len(data_sets)} data sets"


def summary_figure(summary: pd.DataFrame, data_sets: Sequence[str], path: Path) -> list[Path]:
    """Return the files of model-vs-human's summary: four panels of bars, a row per observer.

    summary: from `scores.decisions.summary`, with the data sets that it is a mean of.
    """
    table = summary.sort_values(next(iter(summary.columns)), kind="stable")
    table = table.loc[sorted(table.index, key=lambda name: str(name) == HUMANS)]
    names = [*map(str, table.index)]
    figure, grid = plt.subplots(
        1,
        len(table.columns),
        figsize=(PAGE_WIDTH, 0.9 + 0.17 * max(3, len(names))),
        layout="constrained",
        sharey=True,
    )
    paints = [HUMAN_COLOUR if name.startswith(HUMANS) else "0.55" for name in names]
    for axes, column in zip(grid, table.columns, strict=True):
        values = table[column].to_numpy(float)
        axes.barh(range(len(names)), np.nan_to_num(values), 0.76, color=paints)
        digits = 1 if np.nanmax(np.abs(values), initial=0) > 1 else 3
        for row, value in enumerate(values):
            text = "–" if np.isnan(value) else f"{value:.{digits}f}"
            axes.annotate(
                text,
                (max(0.0, np.nan_to_num(value)), row),
                (2, 0),
                textcoords="offset points",
                va="center",
                fontsize=_FONT - 1,
            )
        axes.set_title(wrapped(column, 24), fontsize=_FONT)
        axes.margins(x=0.2, y=0.01)
        axes.tick_params(labelsize=_FONT - 0.5, length=2)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0].set_yticks(range(len(names)), names, parse_math=False)
    figure.supxlabel(f"mean of {mean_of_sets(data_sets)}", fontsize=_FONT)
    return save(figure, path)
