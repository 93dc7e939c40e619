"""Figures of published tables: where sources differ, and how instruments go together.

The forest plot of correlations and the clouds of models are drawn in the notebook.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bvg.analysis.beyond import ALL, BIASES, TARGETS
from bvg.figures.drawing import PAGE_WIDTH, colour, plt
from bvg.table.measures import IMAGENET

FEWEST = 5  # models that two sources share
_NAMES = {IMAGENET: "ImageNet", "top1_acc/imagenet-c": "C (19)"} | TARGETS | BIASES
_FRACTION = "shape-bias"


def differences(agreement: pd.DataFrame) -> Figure:
    """Return the figure of agreement.csv: the differences between each two sources, in points.

    Accuracies, and shape bias times 100; sources that share FEWEST models or more.
    """
    shown = agreement["measure"].str.startswith("top1_acc/") | (agreement["measure"] == _FRACTION)
    rows = agreement[shown & (agreement["n"] >= FEWEST)].reset_index(drop=True)
    points = np.where(rows["measure"] == _FRACTION, 100, 1)
    y = np.arange(len(rows))
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 0.17 * len(rows) + 0.9))
    for end in (-1, 1):
        axes.barh(
            y,
            end * (rows["sampling"] * points).fillna(0),
            color="0.85",
            label="most that sampling explains (RMS)" if end > 0 else None,
        )
    axes.errorbar(
        rows["mean"] * points,
        y,
        xerr=rows["sd"] * points,
        fmt="o",
        markersize=3,
        linewidth=1,
        color=colour(0),
        label="mean ± SD",
    )
    axes.plot(rows["largest"] * points, y, "x", markersize=4, color=colour(5), label="largest")
    for at, names in enumerate(rows["largest_models"]):
        largest = names.split(";")[0].rsplit(" ", 1)[0]
        where = ("axes fraction", "data")
        axes.annotate(largest, (1.01, at), xycoords=where, va="center", fontsize=5)
    labels = rows["measure"].map(lambda name: _NAMES.get(name, name)) + ": "
    labels += rows["a_source"] + " − " + rows["b_source"] + rows["n"].map(" ({})".format)
    axes.set_yticks(y, [*labels], fontsize=6)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(*(1.3 * end for end in axes.get_xlim()))
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="difference (points)")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def instrument_matrix(instruments: pd.DataFrame) -> Figure:
    """Return the figure of instruments.csv: r of each two, with intervals, models and families."""
    rows = instruments[instruments["subset"] == ALL]
    names = list(
        dict.fromkeys(
            (bias, source)
            for bias in BIASES
            for a, b in (("a", "a_source"), ("b", "b_source"))
            for source in rows.loc[rows[a] == bias, b]
        )
    )
    cells = np.full((len(names), len(names)), np.nan)
    size = 0.62 * len(names) + 1.8
    figure, axes = plt.subplots(figsize=(size, 0.75 * size))
    for _, row in rows.iterrows():
        of_a, of_b = (row["a"], row["a_source"]), (row["b"], row["b_source"])
        i, j = sorted((names.index(of_a), names.index(of_b)))
        cells[j, i] = row["r"]
        interval = f"\n{row['low']:.2f}, {row['high']:.2f}" if row["low"] == row["low"] else ""
        text = f"{row['r']:.2f}{interval}\n{row['n']}/{row['families']}"
        axes.text(i, j, text, ha="center", va="center", fontsize=5)
    axes.imshow(cells, cmap="PuOr_r", vmin=-1.6, vmax=1.6, aspect="auto")
    labels = [f"{BIASES[bias]}\n{source}" for bias, source in names]
    axes.set_xticks(range(len(names) - 1), labels[:-1], rotation=45, ha="right", fontsize=6)
    axes.set_yticks(range(1, len(names)), labels[1:], fontsize=6)
    axes.set(xlim=(-0.5, len(names) - 1.5), ylim=(len(names) - 0.5, 0.5))
    return figure
