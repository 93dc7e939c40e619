"""Accuracy when only the low, or only the high, spatial frequencies of an image remain."""

from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bvg.figures.drawing import PAGE_WIDTH, colour, line_style, marker, save
from bvg.figures.legend import legend_below, legend_height
from bvg.scores.metric import Metric
from bvg.scores.spectral import MEAN_CUTOFFS, PREFIX
from bvg.stimuli.batch import CLEAN
from bvg.stimuli.spectral import HIGHPASS, LOWPASS

_BIAS = f"{PREFIX}/spectral-bias"
_PANELS = {
    "low-pass: the lowest frequencies are kept": LOWPASS,
    "high-pass: the highest frequencies are kept": HIGHPASS,
}
_FONT = 7.5  # points
_MANY = 8  # models; above, everything is drawn finer


def spectral_figure(models: dict[str, dict[str, Metric]], paths: list[Path]) -> None:
    """Draw accuracy by cutoff, a line per model, and write the figure to each of `paths`.

    models: name -> metrics, in percent: top1_acc/clean, top1_acc/lowpass/<cutoff> and …/highpass/…;
    and metric/bandpass/spectral-bias where it is known. What has no value is not drawn.
    """
    many = len(models) > _MANY
    cutoffs = _cutoffs(models)
    biased = any(_bias(metrics) is not None for metrics in models.values())
    labels = [_label(name, models[name]) for name in models]
    height = (3.6 if many else 2.8) + legend_height(labels)
    figure, panels = plt.subplots(
        1, 2, figsize=(PAGE_WIDTH, height), sharey=True, layout="constrained"
    )
    for axes, (title, band) in zip(panels, _PANELS.items(), strict=True):
        for number, metrics in enumerate(models.values()):
            _draw(axes, number, metrics, [f"{band}/{cutoff}" for cutoff in cutoffs], many)
        _format_axes(axes, title, cutoffs, biased)
    panels[0].set_ylabel("top-1 accuracy (%)", fontsize=_FONT + 1)
    _add_legend(figure, labels, biased, many)
    save(figure, paths)


def _cutoffs(models: dict[str, dict[str, Metric]]) -> list[str]:
    """Return the cutoffs that some model was shown, as they are written, in rising order."""
    prefixes = tuple(f"top1_acc/{band}/" for band in _PANELS.values())
    shown = {
        key.rpartition("/")[2]
        for metrics in models.values()
        for key in metrics
        if key.startswith(prefixes)
    }
    return sorted(shown, key=float)


def _bias(metrics: dict[str, Metric]) -> float | None:
    return metrics[_BIAS].value if _BIAS in metrics else None


def _label(name: str, metrics: dict[str, Metric]) -> str:
    """Return the model's name, with its spectral bias where it is known."""
    bias = _bias(metrics)
    return name if bias is None else f"{name} ({bias:.3f})"


def _draw(
    axes: Axes, number: int, metrics: dict[str, Metric], conditions: list[str], many: bool
) -> None:
    """Draw one model: line, clean accuracy and, of few models, the band of 95 % intervals."""
    unknown = Metric(None)
    points = [metrics.get(f"top1_acc/{condition}", unknown) for condition in conditions]
    cutoffs = [float(condition.rpartition("/")[2]) for condition in conditions]
    value, low, high = (
        np.array([nan if x is None else x for x in column])
        for column in zip(*((p.value, p.low, p.high) for p in points), strict=True)
    )
    paint = colour(number)
    if not many:  # so many bands, one over the other, would hide the lines
        axes.fill_between(cutoffs, low, high, color=paint, alpha=0.2, linewidth=0)
    axes.plot(cutoffs, value, clip_on=False, **_style(number, many))  # markers at 0 in full
    clean = metrics[f"top1_acc/{CLEAN}"].value
    if clean is not None:
        axes.axhline(clean, color=paint, linewidth=0.3 if many else 0.6, linestyle="--", zorder=1)


def _style(number: int, many: bool) -> dict[str, Any]:
    return {
        "color": colour(number),
        "linestyle": line_style(number),
        "linewidth": 0.7 if many else 1.2,
        "marker": marker(number),
        "markersize": 2.5 if many else 3.5,
        "markeredgewidth": 0 if many else 0.4,
        "markeredgecolor": "white",
    }


def _format_axes(axes: Axes, title: str, cutoffs: list[str], biased: bool) -> None:
    if biased:
        axes.axvspan(MEAN_CUTOFFS[0], MEAN_CUTOFFS[-1], color="0.95", zorder=0)
    axes.set_title(title, fontsize=_FONT + 1)
    axes.set_xticks([float(cutoff) for cutoff in cutoffs], cutoffs)
    axes.set_xlabel("cutoff: share of the frequency range that is kept", fontsize=_FONT + 1)
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=_FONT)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _add_legend(figure: Figure, labels: list[str], biased: bool, many: bool) -> None:
    handles = [Line2D([], [], **_style(number, many)) for number in range(len(labels))]
    title = "dashed across: accuracy on unfiltered images"
    if not many:
        title = f"light bands: 95 % intervals; {title}"
    if biased:
        title = f"model (spectral bias, from the shaded cutoffs); {title}"
    legend_below(figure, handles, labels, title)
