"""The classic figure of shape bias: one row per category, one marker per observer.

Layout after Geirhos et al., ICLR 2019, figure 4: the fraction of texture decisions grows to the
right, of shape decisions to the left; a vertical line is an observer's shape bias over all images;
bars at the side are the share of conflict images that an observer decided by one of the two. Of
many observers the markers would hide each other: they get a row each, with colours and numbers.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from bvg.figures.drawing import (
    HUMANS,
    MANY,
    PAGE_WIDTH,
    beside,
    labelled,
    observer_styles,
    save,
)
from bvg.figures.heat_map import heat_map
from bvg.figures.legend import legend_below, legend_height
from bvg.scores.shape_bias import CueDecisions, count_table, texture_of

LEGEND = 8.5  # points
SHAPE, TEXTURE = "shape", "texture"
_PICTURE = 0.24  # inches
_ALL = "all"


def _by_category(table: pd.DataFrame, cue: str) -> dict[str, CueDecisions]:
    """Return the decisions by the category of the shape, or of the texture."""
    of = table["category"] if cue == SHAPE else table["imagename"].map(texture_of)
    return {str(category): count_table(rows) for category, rows in table.groupby(of)}


def by_category(table: pd.DataFrame, cue: str = SHAPE) -> pd.Series:
    """Return the shape bias within each category, NaN where no decision followed a cue."""
    counts = _by_category(table, cue)
    return pd.Series({name: _share(c.shape, c.shape + c.texture) for name, c in counts.items()})


def _share(part: int, of: int) -> float:
    return part / of if of else np.nan


def shape_bias_figure(
    observers: Mapping[str, pd.DataFrame],
    path: Path,
    cue: str = SHAPE,
    pictures: Mapping[str, np.ndarray] | None = None,
    names: tuple[str, str] = (SHAPE, TEXTURE),
) -> list[Path]:
    """Return the files of a figure of decision tables, by observer's name.

    The name `humans` gets the papers' red circles; categories are ordered by humans' shape bias,
    the highest at the bottom, where they are there, else by the observers' mean. cue: whether
    categories are those of the shape or of the texture. pictures: category -> (H, W, 3) uint8,
    drawn beside its name. names: of what is in conflict in the place of shape and texture.
    """
    biases = pd.DataFrame({name: by_category(table, cue) for name, table in observers.items()})
    means = biases.mean(axis=1)
    order = biases.get(HUMANS, means).fillna(means).sort_values(ascending=False, kind="stable")
    biases = biases.loc[order.index]
    if len(observers) > MANY:
        return _rows(observers, biases, path, cue, names)
    labels = [labelled(name, count_table(table).bias(), 2) for name, table in observers.items()]
    height = 5.6 + legend_height(labels, LEGEND)
    figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    ratios = (6, 1) if cue == SHAPE else (1, 6)  # the bars are opposite the categories' names
    grid = figure.add_gridspec(1, 2, width_ratios=ratios, wspace=0.02)
    axes = figure.add_subplot(grid[0 if cue == SHAPE else 1])
    side = figure.add_subplot(grid[1 if cue == SHAPE else 0], sharey=axes)
    styles = observer_styles(observers)
    handles = []
    for number, (name, table) in enumerate(observers.items()):
        dashed = number % 2 == 1 and name != HUMANS
        handles.append(_draw_observer(axes, table, biases[name], styles[name], dashed))
        handles[-1].set_label(labels[number])
        paint = styles[name][0]
        _draw_bars(side, table, cue, biases.index, (number, len(observers)), paint)
    _format_axes(axes, list(biases.index), cue, pictures or {}, names)
    _format_side(side, cue)
    caption = f"in brackets: {names[0]} bias; bars: share of images decided by {' or '.join(names)}"
    legend_below(figure, handles, labels, caption, LEGEND)
    return save(figure, path)


def _draw_observer(
    axes: Axes, table: pd.DataFrame, biases: pd.Series, style: tuple[str, str], dashed: bool
) -> PathCollection:
    """Draw one observer's line, of all images, and markers, by category; return the markers."""
    paint, symbol = style
    overall = count_table(table).bias().value
    if overall is not None:
        # Every other line is dashed and on top, so that two equal ones are both seen.
        axes.axvline(
            1 - overall,
            color=paint,
            linewidth=1.4,
            alpha=0.8,
            linestyle="--" if dashed else "-",
            zorder=1.5 if dashed else 1,
        )
    return axes.scatter(
        1 - biases.dropna(),
        np.flatnonzero(biases.notna()),
        s=46,
        color=paint,
        marker=symbol,
        zorder=3,
        edgecolors="white",
        linewidths=0.6,
        clip_on=False,
    )


def _rows(
    observers: Mapping[str, pd.DataFrame],
    biases: pd.DataFrame,
    path: Path,
    cue: str,
    names: tuple[str, str],
) -> list[Path]:
    """Draw a row per observer, sorted by shape bias below the humans, and a column per category."""
    counts = {name: count_table(table) for name, table in observers.items()}
    table = biases.T
    table[_ALL] = [_share(c.shape, c.shape + c.texture) for c in counts.values()]
    either = " or ".join(names)
    table[either] = [_share(c.shape + c.texture, c.total) for c in counts.values()]
    table = table.sort_values(_ALL, ascending=False, kind="stable")
    humans = HUMANS in table.index
    if humans:
        table = table.loc[[HUMANS, *(name for name in table.index if name != HUMANS)]]
    of = names[0] if cue == SHAPE else names[1]
    unit = f"{names[0]} bias by category of the {of}, and of all images; at the right, the share "
    unit += f"of images decided by {either}"
    return heat_map(table, unit, path, digits=2, mean=2, humans=humans)


def _draw_bars(
    axes: Axes,
    table: pd.DataFrame,
    cue: str,
    categories: pd.Index,
    number: tuple[int, int],
    paint: str,
) -> None:
    """Draw one observer's shares of images decided by shape or texture; number: of how many."""
    counts = _by_category(table, cue)
    place, of = number
    thickness = 0.76 / of
    rows = [row for row, category in enumerate(categories) if category in counts]
    shares = [
        _share(counts[c].shape + counts[c].texture, counts[c].total)
        for c in categories
        if c in counts
    ]
    heights = np.array(rows, dtype=float) + 0.38 - (place + 0.5) * thickness
    axes.barh(heights, shares, 0.85 * thickness, color=paint, linewidth=0)


def _format_axes(
    axes: Axes,
    categories: list[str],
    cue: str,
    pictures: Mapping[str, np.ndarray],
    names: tuple[str, str],
) -> None:
    right = cue == TEXTURE
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(categories) - 0.4)
    axes.set_yticks(range(len(categories)), categories)
    axes.tick_params(labelleft=not right, labelright=right)
    # Room for markers at 0 and for the pictures.
    axes.tick_params(axis="y", length=0, pad=9 + 72 * (_PICTURE + 0.08) * bool(pictures))
    axes.set_xticks([tick / 10 for tick in range(11)])
    axes.set_xlabel(f"fraction of '{names[1]}' decisions")
    axes.set_ylabel(f"{names[1 if right else 0]} category")
    axes.yaxis.set_label_position("right" if right else "left")
    axes.hlines(
        [row + 0.5 for row in range(len(categories) - 1)], 0, 1, colors="0.85", linewidth=0.8
    )
    top = axes.secondary_xaxis("top", functions=(lambda texture: 1 - texture,) * 2)
    top.set_xticks([tick / 10 for tick in range(11)])
    top.set_xlabel(f"fraction of '{names[0]}' decisions")
    axes.spines[["left", "right"]].set_visible(False)
    for row, category in enumerate(categories):
        if category in pictures:
            beside(axes, pictures[category], (1.055 if right else -0.055, row), _PICTURE)


def _format_side(axes: Axes, cue: str) -> None:
    """Let the bars grow away from the markers, with the scale that they share."""
    axes.set_xlim((0, 1) if cue == SHAPE else (1, 0))
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.tick_params(axis="y", length=0, labelleft=False, labelright=False)
    axes.set_xlabel("decided")
    axes.spines[["top", "left", "right"]].set_visible(False)
