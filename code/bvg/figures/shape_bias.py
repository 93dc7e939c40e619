"""The classic figure of shape bias: one row per category, one marker per observer.

Layout after Geirhos et al., ICLR 2019, figure 4: the fraction of texture decisions grows to the
right, of shape decisions to the left; a vertical line is an observer's shape bias over all images.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bvg.figures.drawing import HUMAN_COLOUR, HUMANS, PAGE_WIDTH, colour, labelled, marker, save
from bvg.figures.legend import legend_below, legend_height
from bvg.scores.shape_bias import count_table

LEGEND = 8.5  # points


def by_category(table: pd.DataFrame) -> pd.Series:
    """Return the shape bias within each shape category, NaN where no decision followed a cue."""
    values = {}
    for category, rows in table.groupby("category"):
        bias = count_table(rows).bias().value
        values[str(category)] = float("nan") if bias is None else bias
    return pd.Series(values, dtype=float)


def shape_bias_figure(
    observers: Mapping[str, pd.DataFrame],
    path: Path,
    cues: tuple[str, str] = ("shape", "texture"),
) -> list[Path]:
    """Return the files of a figure of decision tables, by observer's name.

    The name `humans` gets the papers' red circles; categories are ordered by humans' shape bias
    where they are there, else by the observers' mean. cues: what is in conflict; the first one's
    categories are the rows.
    """
    biases = {name: by_category(table) for name, table in observers.items()}
    means = pd.DataFrame(biases).mean(axis=1)
    order = biases.get(HUMANS, means).reindex(means.index).fillna(means).sort_values()
    rows = {category: row for row, category in enumerate(order.index)}
    labels = [labelled(name, count_table(table).bias(), 2) for name, table in observers.items()]
    height = 5.6 + legend_height(labels, LEGEND)
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, height), layout="constrained")
    handles = []
    for number, (name, table) in enumerate(observers.items()):
        paint, symbol = _style(name, number)
        overall = count_table(table).bias().value
        if overall is not None:
            # Every other line is dashed and on top, so that two equal ones are both seen.
            dashed = number % 2 == 1 and name != HUMANS
            axes.axvline(
                1 - overall,
                color=paint,
                linewidth=1.4,
                alpha=0.8,
                linestyle="--" if dashed else "-",
                zorder=1.5 if dashed else 1,
            )
        values = 1 - biases[name]
        heights = [rows[category] for category in values.index]
        points = axes.scatter(
            values,
            heights,
            s=46,
            color=paint,
            marker=symbol,
            label=labels[number],
            zorder=3,
            edgecolors="white",
            linewidths=0.6,
            clip_on=False,
        )
        handles.append(points)
    _format_axes(axes, list(order.index), cues)
    legend_below(figure, handles, labels, f"in brackets: {cues[0]} bias", LEGEND)
    return save(figure, path)


def _style(name: str, number: int) -> tuple[str, str]:
    if name == HUMANS:
        return HUMAN_COLOUR, "o"
    return colour(number), marker(number + 1)  # marker 0 is the humans'


def _format_axes(axes: Axes, categories: list[str], cues: tuple[str, str]) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(categories) - 0.4)
    axes.set_yticks(range(len(categories)), categories)
    axes.tick_params(axis="y", length=0, pad=9)  # room for markers at 0
    axes.set_xticks([tick / 10 for tick in range(11)])
    axes.set_xlabel(f"fraction of '{cues[1]}' decisions")
    axes.set_ylabel(f"{cues[0]} category")
    axes.hlines(
        [row + 0.5 for row in range(len(categories) - 1)], 0, 1, colors="0.85", linewidth=0.8
    )
    top = axes.secondary_xaxis("top", functions=(lambda texture: 1 - texture,) * 2)
    top.set_xticks([tick / 10 for tick in range(11)])
    top.set_xlabel(f"fraction of '{cues[0]}' decisions")
    axes.spines[["left", "right"]].set_visible(False)
