"""Figures of a table's measures of single cues: do they agree, and each measure's own.

A figure is None where the table lacks its columns. Colours and markers are kinds of training.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bvg.analysis.cues import measures_in, turned, verdicts
from bvg.analysis.measures import short
from bvg.analysis.study import Study
from bvg.figures.drawing import PAGE_WIDTH, colour, marker, plt
from bvg.scores.calibration import ECE
from bvg.scores.class_balance import BALANCE
from bvg.table.measures import SUPPRESSED

SHAPE_MRR, TEXTURE_MRR = "refined-bias/shape-mrr", "refined-bias/texture-mrr"
_CLOUDS = 4
_CELL = 0.52  # inches, a cell of the heat map
_FONT = 6.5  # points


def cue_figures(study: Study) -> Iterator[Figure]:
    """Yield the figures that the table has the columns of."""
    for draw in (shape_agreement, suppression, refined_bias, calibration):
        figure = draw(study)
        if figure:
            yield figure


def shape_agreement(study: Study) -> Figure | None:
    """Return r of each two measures of shape as a heat map, and the clouds of some pairs.

    Each measure is turned so that more is more shape; frames mark what survives Holm's correction.
    The clouds, of values as they are, are of the pairs with the highest and the lowest r.
    """
    pairs = study.shape_pairs
    if not len(pairs) or pairs["r"].isna().all():
        return None
    pairs = pairs[pairs["r"].notna()].sort_values("r", ascending=False, ignore_index=True)
    names = measures_in(pairs)
    few = min(_CLOUDS, len(pairs))
    shown = [*range((few + 1) // 2), *range(len(pairs) - few // 2, len(pairs))]
    width = _CELL * len(names) + 1.3
    size = (max(PAGE_WIDTH, width + 3.4), max(3.4, _CELL * len(names) + 1.2))
    figure = plt.figure(figsize=size, layout="constrained")
    ratios = [width, size[0] - width]
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=ratios)
    _matrix(left.subplots(), pairs, names)
    for axes, row in zip(right.subplots(2, 2).flat, shown, strict=False):
        a, b = pairs.loc[row, ["bias", "target"]]
        _cloud(axes, study, a, b)
        _label(axes, short(a), short(b))
    for axes in right.axes[len(shown) :]:
        axes.set_visible(False)
    _legend(figure)
    return figure


def _matrix(axes: Axes, pairs: pd.DataFrame, names: list[str]) -> None:
    cells = np.full((len(names), len(names)), np.nan)
    for (_, row), verdict in zip(pairs.iterrows(), verdicts(pairs), strict=True):
        i, j = sorted((names.index(row["bias"]), names.index(row["target"])))
        cells[j, i] = row["r"]
        text = f"{row['r']:.2f}\n{row['low']:.2f}, {row['high']:.2f}\nn {row['n']}"
        axes.text(i, j, text.replace("-", "−"), ha="center", va="center", fontsize=5)
        if verdict:
            axes.add_patch(Rectangle((i - 0.47, j - 0.47), 0.94, 0.94, fill=False, linewidth=1.2))
    axes.imshow(cells, cmap="PuOr_r", vmin=-1.6, vmax=1.6, aspect="auto")
    labels = [turned(name) for name in names]
    axes.set_xticks(range(len(names) - 1), labels[:-1], rotation=35, ha="right", fontsize=_FONT)
    axes.set_yticks(range(1, len(names)), labels[1:], fontsize=_FONT)
    axes.set(xlim=(-0.5, len(names) - 1.5), ylim=(len(names) - 0.5, 0.5))
    axes.set_title("r of measures of shape", fontsize=_FONT + 0.5)


def suppression(study: Study) -> Figure | None:
    """Return the accuracy that is left without each cue, relative to that of the originals."""
    table = study.table.values
    names = [name for name in SUPPRESSED if name in study.measures.biases]
    if not names:
        return None
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 2.8), layout="constrained")
    for number, style, rows in _kinds(study):
        beside = 0.6 * (number + 0.5) / study.table.categories.nunique() - 0.3
        for place, name in enumerate(names):
            y = table.loc[rows, name]
            axes.scatter(np.full(len(y), place + beside), y, **style)
    axes.set_xticks(range(len(names)), [short(name) for name in names])
    axes.axhline(1, color="0.7", linewidth=0.6, zorder=0)
    _label(axes, "", "accuracy / accuracy on originals")
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def refined_bias(study: Study) -> Figure | None:
    """Return the mean reciprocal ranks of shape and of texture."""
    if not {SHAPE_MRR, TEXTURE_MRR} <= {*study.measures.biases}:
        return None
    return _one_cloud(study, TEXTURE_MRR, SHAPE_MRR, "texture: MRR", "shape: MRR")


def calibration(study: Study) -> Figure | None:
    """Return expected calibration error and class balance."""
    table = study.table.values
    if not all(name in table and table[name].notna().any() for name in (ECE, BALANCE)):
        return None
    return _one_cloud(study, ECE, BALANCE, "expected calibration error", "class balance")


def _one_cloud(study: Study, x: str, y: str, x_label: str, y_label: str) -> Figure:
    figure, axes = plt.subplots(figsize=(0.6 * PAGE_WIDTH, 3.2), layout="constrained")
    _cloud(axes, study, x, y)
    _label(axes, x_label, y_label)
    _legend(figure)
    return figure


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=_FONT)
    axes.set_ylabel(y, fontsize=_FONT)
    axes.tick_params(labelsize=_FONT - 0.5, length=2)


def _cloud(axes: Axes, study: Study, x: str, y: str) -> None:
    for _, style, rows in _kinds(study):
        axes.scatter(study.table.values.loc[rows, x], study.table.values.loc[rows, y], **style)


def _kinds(study: Study) -> Iterator[tuple[int, dict[str, Any], np.ndarray]]:
    """Yield each kind of training: its number, how it is drawn, and which models are of it."""
    categories = study.table.categories
    for number, kind in enumerate(sorted(set(categories))):
        style = {"color": colour(number), "marker": marker(number), "s": 16, "linewidths": 0.5}
        style |= {"edgecolors": "white", "label": kind.replace("_", " ")}
        yield number, style, (categories == kind).to_numpy()


def _legend(figure: Figure) -> None:
    """Put each kind of training that is drawn below the figure."""
    found = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [*found.values()],
        [*found],
        loc="outside lower center",
        ncols=5 if figure.get_figwidth() >= PAGE_WIDTH else 3,
        frameon=False,
        fontsize=_FONT,
    )
