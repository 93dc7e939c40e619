"""The study's figures, for the notebook: a table of models, or several overlaid, as pictures."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bvg.analysis.correlations import LEVEL
from bvg.analysis.measures import TOTAL, names_of, short
from bvg.analysis.study import FAMILY, Study
from bvg.analysis.wording import FEWEST_TOLD, fewer, number, survives
from bvg.figures.drawing import PAGE_WIDTH, colour, marker
from bvg.figures.legend import legend_below, legend_height

_DPI = 110  # of what a notebook shows
_FONT = 7.0  # points
_CELL, _LABELS = 0.46, 1.6  # inches: a cell of a matrix, the names beside it


def as_png(figure: Figure) -> bytes:
    """Return the figure as a PNG file, and close it."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    plt.close(figure)
    return file.getvalue()


def correlation_figure(study: Study, published_look: bool = False) -> Figure:
    """Return the correlations of biases and aggregates in Total, AT and Other, as matrices.

    Grey: p ≥ 0.05 by permutation; a frame: survives Holm's correction. published_look: cells with
    p ≥ 0.05 by the t approximation are set to 0, as in the paper. n is given where it is less than
    the group's. Raises ValueError where the table has no correlation.
    """
    rows = study.correlations
    rows = rows[rows["group"].isin(FAMILY)] if len(rows) else rows
    groups = [g for g in FAMILY if len(rows) and rows.loc[rows["group"] == g, "r"].notna().any()]
    if not groups:
        raise ValueError("the table has too few models or columns for any correlation")
    biases, targets = [*study.measures.biases], [*study.measures.targets]
    height = 0.75 + 0.75 * _CELL * len(biases)
    width = _LABELS + len(groups) * (_CELL * len(targets) + 0.3)
    figure, panels = plt.subplots(
        1, len(groups), figsize=(max(width, 3.5), height), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, group in zip(panels[0], groups, strict=True):
        of = rows[rows["group"] == group]
        _matrix(axes, of, biases, targets, study.groups[group], published_look)
        axes.set_title(f"{group} ({study.groups[group].sum()})", fontsize=_FONT + 1)
    return figure


def _matrix(
    axes: Axes,
    rows: pd.DataFrame,
    biases: list[str],
    targets: list[str],
    group: np.ndarray,
    published_look: bool,
) -> None:
    rows = rows.assign(strong=survives(rows))
    values = np.full((len(biases), len(targets)), np.nan)
    for _, row in rows.iterrows():
        place = biases.index(row["bias"]), targets.index(row["target"])
        values[place] = row["r"] if row["p"] < LEVEL or not published_look else 0.0
        n = fewer(row, group) if np.isfinite(row["r"]) else ""
        axes.text(
            place[1], place[0], number(values[place]) + f"\n{n}" * bool(n),
            ha="center", va="center", fontsize=_FONT - bool(n),
            color="black" if row["p_permutation"] < LEVEL else "0.4",
        )  # fmt: skip
        if row["strong"]:
            corner = place[1] - 0.48, place[0] - 0.48
            axes.add_patch(plt.Rectangle(corner, 0.96, 0.96, fill=False, linewidth=1.2))
    axes.imshow(values, cmap="PuOr_r", vmin=-1.9, vmax=1.9, aspect="auto")
    axes.set_xticks(range(len(targets)), targets, fontsize=_FONT, rotation=35, ha="right")
    axes.set_yticks(range(len(biases)), [short(name) for name in biases], fontsize=_FONT)
    axes.tick_params(length=0)


def scatter_grid(studies: Mapping[str, Study], targets: list[str] | None = None) -> Figure:
    """Return a panel for each bias and aggregate; models are coloured by training category.

    studies: by name; with several, the first one's models are filled, the others' are rings.
    targets: which aggregates or single benchmarks; by default the aggregates that every table has,
    else such benchmarks. Raises ValueError where the tables have nothing in common.
    """
    first = next(iter(studies.values()))
    aggregates, benchmarks, biases = (
        [name for name in getattr(first.measures, kind)
         if all(name in getattr(study.measures, kind) for study in studies.values())]
        for kind in ("targets", "benchmarks", "biases")
    )  # fmt: skip
    targets = targets or aggregates or benchmarks
    if not targets or not biases:
        raise ValueError("the tables have no bias, or no benchmark, in common")
    categories = sorted({c for study in studies.values() for c in study.table.categories})
    labels = [category.replace("_", " ") for category in categories]
    height = 1.25 * len(targets) + 0.3 + legend_height(labels)
    figure, panels = plt.subplots(
        len(targets), len(biases), figsize=(1.6 * PAGE_WIDTH, 1.3 * height), squeeze=False,
        sharex="col", sharey="row", layout="constrained",
    )  # fmt: skip
    for line, target in zip(panels, targets, strict=True):
        for axes, bias in zip(line, biases, strict=True):
            for number_, study in enumerate(studies.values()):
                _points(axes, study, bias, target, categories, filled=number_ == 0)
            axes.set_title(_said(first, bias, target), fontsize=_FONT)
            axes.tick_params(labelsize=_FONT - 1)
        line[0].set_ylabel(f"{short(target)} (%)", fontsize=_FONT + 1)
    for axes, bias in zip(panels[-1], biases, strict=True):
        axes.set_xlabel(short(bias).replace("critical band: ", "critical band:\n"), fontsize=_FONT)
    handles = [
        plt.Line2D([], [], linestyle="", color=colour(k), marker=marker(k), markersize=5)
        for k in range(len(categories))
    ]
    names = [*studies]
    title = "training" if len(names) == 1 else f"filled: {names[0]}; rings: {', '.join(names[1:])}"
    legend_below(figure, handles, labels, title)
    return figure


def _points(
    axes: Axes, study: Study, bias: str, target: str, categories: list[str], filled: bool
) -> None:
    for k, category in enumerate(categories):
        rows = (study.table.categories == category).to_numpy()
        x, y = study.measures.biases[bias][rows], _target(study, target)[rows]
        axes.scatter(
            x, y, s=14 if filled else 26, marker=marker(k), linewidths=0.3 if filled else 0.8,
            facecolors=colour(k) if filled else "none",
            edgecolors="white" if filled else colour(k), zorder=3 if filled else 2,
        )  # fmt: skip


def _target(study: Study, name: str) -> pd.Series:
    of = study.measures.targets if name in study.measures.targets else study.measures.benchmarks
    return of[name]


def _said(study: Study, bias: str, target: str) -> str:
    rows = study.correlations if target in study.measures.targets else study.singles
    row = rows[(rows["group"] == TOTAL) & (rows["bias"] == bias) & (rows["target"] == target)]
    if not len(row) or not np.isfinite(row.iloc[0]["r"]):
        return "no r"
    one = row.iloc[0]
    said, n = f"r = {number(one['r'])}", fewer(one, study.groups[TOTAL])
    if np.isfinite(one["low"]) and one["n"] >= FEWEST_TOLD:
        said += f" [{number(one['low'])}, {number(one['high'])}]"
    return said + f", {n}" * bool(n)


def given_accuracy_figure(study: Study) -> Figure:
    """Return r of each bias and aggregate beside r given ImageNet accuracy, with their intervals.

    Raises ValueError where the table has no correlation given ImageNet accuracy.
    """
    rows = study.correlations
    rows = rows[rows["group"] == TOTAL] if "r_given" in rows else rows.iloc[:0]
    targets = [t for t in names_of(study.measures.targets) if not t.startswith("ID")]
    if not len(rows) or not targets or rows["r_given"].isna().all():
        raise ValueError("the table has no correlation given ImageNet accuracy")
    biases = [*study.measures.biases]
    figure, panels = plt.subplots(
        1, len(targets), figsize=(PAGE_WIDTH, 1.4 + 0.3 * len(biases)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, target in zip(panels[0], targets, strict=True):
        of = rows[rows["target"] == target].set_index("bias").reindex(biases)
        for offset, (suffix, label) in enumerate({"": "r", "_given": "given ImageNet"}.items()):
            middle, y = of[f"r{suffix}"], np.arange(len(biases)) + 0.28 * offset - 0.14
            ends = [middle - of[f"low{suffix}"], of[f"high{suffix}"] - middle]
            axes.errorbar(
                middle, y, xerr=np.clip(ends, 0, None), fmt="os"[offset], markersize=3,
                linewidth=0.9, color=colour(offset), label=label,
            )  # fmt: skip
        axes.axvline(0, color="0.6", linewidth=0.6)
        axes.set_title(target, fontsize=_FONT + 1)
        axes.tick_params(labelsize=_FONT)
        axes.set_xlim(-1.05, 1.05)
    panels[0][0].set_yticks(range(len(biases)), [short(name) for name in biases])
    panels[0][0].invert_yaxis()
    handles, labels = panels[0][0].get_legend_handles_labels()
    legend_below(figure, handles, labels, "95 % bootstrap intervals over models")
    return figure


def prediction_figure(study: Study) -> Figure:
    """Return the cross-validated R² of all biases together, beside what permuted outcomes give.

    Raises ValueError where there are too few models for cross-validation.
    """
    rows = study.predictions
    rows = rows[(rows["group"] == TOTAL) & (rows["biases"] == "all") & rows["r2"].notna()]
    if not len(rows):
        raise ValueError("there are too few models for cross-validation")
    targets = [*rows["target"].unique()]
    kinds = list(dict.fromkeys(zip(rows["folds"], rows["predictor"], strict=True)))
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 2.4), layout="constrained")
    for k, (folds, predictor) in enumerate(kinds):
        of = rows[(rows["folds"] == folds) & (rows["predictor"] == predictor)]
        of = of.set_index("target").reindex(targets)
        x = np.arange(len(targets)) + (k - (len(kinds) - 1) / 2) * 0.2
        axes.bar(x, of["r2"].clip(lower=0), 0.18, color=colour(k), label=f"{predictor}, {folds}")
        axes.hlines(of["null95"].clip(lower=0), x - 0.09, x + 0.09, color="black", linewidth=1.2)
    axes.set_xticks(range(len(targets)), targets, fontsize=_FONT + 1)
    axes.set_ylabel("R² on models left out", fontsize=_FONT + 1)
    axes.set_ylim(0, 1.3)  # room for the legend
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(labelsize=_FONT)
    axes.legend(fontsize=_FONT, title="lines: 95 % of permuted outcomes are below",
                title_fontsize=_FONT, ncols=2)  # fmt: skip
    return figure
