"""What low-pass filters do to shape bias, accuracy and consistency with humans; metrics by filter.

The metrics' keys end in the filter's name; see scores/lowpass.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bvg.figures.curves import Humans, categories, curves
from bvg.figures.drawing import (
    HUMAN_COLOUR,
    HUMANS,
    MANY,
    PAGE_WIDTH,
    Metrics,
    marker,
    model_style,
    save,
)
from bvg.figures.legend import legend_below, legend_height
from bvg.figures.stimulus_panel import stimulus_panel
from bvg.scores.lowpass import UNFILTERED, filter_of, filters_of, metrics_under
from bvg.scores.metric import proportion
from bvg.scores.model_vs_human import CONSISTENCY_MEAN, OOD_MEAN, mean_of
from bvg.scores.shape_bias import count_table
from bvg.stimuli.lowpass import BLUR, DOWNSAMPLE

_FONT = 7.0  # points
_UNITS = {BLUR: "blur: standard deviation (pixels)", DOWNSAMPLE: "downsampled to (pixels a side)"}
_SHARES = {"shape-bias": "shape bias", "fraction-neither": "decisions for neither cue"}
_GREY = "0.6"

Points = Mapping[str, tuple[float, float]]  # filter -> accuracy (percent), error consistency


def label_of(name: str) -> str:
    """Return a filter's name as figures show it: "σ 2.5", "64 px", "unfiltered"."""
    kind, _, value = name.partition("=")
    return {BLUR: f"σ {value}", DOWNSAMPLE: f"{value} px"}.get(kind, name)


def _chains(filters: list[str]) -> dict[str, list[str]]:
    """Return the filters of each kind that is among them, `unfiltered` before them."""
    of_kind = {kind: [f for f in filters if f.startswith(f"{kind}=")] for kind in _UNITS}
    return {kind: [UNFILTERED, *names] for kind, names in of_kind.items() if names}


def shape_bias_by_filter(
    models: Mapping[str, Metrics], humans: pd.DataFrame | None, path: Path
) -> list[Path]:
    """Return the files of a figure of shape bias and undecided answers by filter, a line per model.

    models: name -> metrics by filter: `shape-bias/<filter>`, `fraction-neither/<filter>`.
    humans: their decision table for the unfiltered images, if there is one.
    """
    filters = filters_of(next(iter(models.values())))
    panels = [
        categories(
            {name.partition("=")[2] or "none": f"{key}/{name}" for name in names},
            title,
            _UNITS[kind],
        )
        for kind, names in _chains(filters).items()
        for key, title in _SHARES.items()
    ]
    people = None
    if humans is not None:
        counts = count_table(humans)
        values = (counts.bias(), proportion(counts.neither, counts.total))
        keys = (f"{key}/{UNFILTERED}" for key in _SHARES)
        people = Humans(HUMANS, dict(zip(keys, values, strict=True)))
    return curves(models, panels, path, y_label="fraction", limits=(0, 1), humans=people)


def consistency_by_accuracy(
    models: Mapping[str, Metrics], humans: Metrics, published: Mapping[str, Points], path: Path
) -> list[Path]:
    """Return the files of a figure of error consistency with humans against accuracy, by filter.

    models: name -> metrics by filter, of which the means over data sets are drawn, one filter of a
    kind after the other. humans: their accuracy and consistency among themselves, without filters.
    published: name -> filter -> accuracy (percent) and consistency; in grey.
    """
    of = {
        name: {f: _point(metrics_under(metrics, f)) for f in filters_of(metrics)}
        for name, metrics in models.items()
    }
    names = dict.fromkeys(f for points in (*of.values(), *published.values()) for f in points)
    marks = {name: marker(number) for number, name in enumerate(names)}
    lines = [
        model_style(number, len(models) > MANY) | {"marker": ""} for number in range(len(models))
    ]
    dots = [
        {"color": "0.3", "marker": m, "linestyle": "none", "markersize": 4} for m in marks.values()
    ]
    labels = [*models, *map(label_of, names)]
    figure, axes = plt.subplots(
        figsize=(PAGE_WIDTH, 3.8 + legend_height(labels)), layout="constrained"
    )
    for points, style in zip(of.values(), lines, strict=True):
        _draw(axes, points, marks, style)
    for name, known in published.items():
        _draw(axes, known, marks, {"color": _GREY, "linestyle": "--", "linewidth": 0.8})
        _write(axes, known[UNFILTERED], f"{name} (published)", _GREY, (-4, -9), ha="right")
    own = _point(humans)
    _draw(axes, {UNFILTERED: own}, marks, {"color": HUMAN_COLOUR})
    _write(axes, own, HUMANS, HUMAN_COLOUR, (4, 3), ha="left")
    axes.set_xlabel("accuracy, mean over data sets (%)", fontsize=_FONT)
    axes.set_ylabel("error consistency with humans (κ)", fontsize=_FONT)
    axes.tick_params(labelsize=_FONT - 0.5)
    axes.grid(color="0.92", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.08)
    handles = [Line2D([], [], **style) for style in (*lines, *dots)]
    legend_below(
        figure, handles, labels, "lines: from unfiltered to the strongest filter of a kind"
    )
    return save(figure, path)


def _point(metrics: Metrics) -> tuple[float, float]:
    """Return mean accuracy and mean error consistency; NaN where unknown."""
    accuracy, consistency = (mean_of(metrics, key)[1].value for key in (OOD_MEAN, CONSISTENCY_MEAN))
    return np.nan if accuracy is None else accuracy, np.nan if consistency is None else consistency


def _draw(axes: Axes, points: Points, marks: Mapping[str, str], style: dict[str, Any]) -> None:
    """Draw one observer: a line for each kind of filter, and a point for each filter."""
    for names in _chains([*points]).values():
        axes.plot(*zip(*(points[name] for name in names), strict=True), **style)
    for name, (x, y) in points.items():
        axes.plot(
            x,
            y,
            color=style["color"],
            marker=marks.get(name, "o"),
            markersize=4,
            markeredgecolor="white",
            markeredgewidth=0.3,
            zorder=3,
        )


def _write(
    axes: Axes, point: tuple[float, float], text: str, colour: str, shift: tuple[int, int], ha: str
) -> None:
    """Write beside a point; shift: in points."""
    if np.isfinite(point).all():
        font: dict[str, Any] = {"fontsize": _FONT - 0.5, "color": colour}
        axes.annotate(text, point, shift, textcoords="offset points", ha=ha, **font)


def filters_panel(pictures: Mapping[str, np.ndarray], path: Path) -> list[Path]:
    """Return the files of a figure of one image under each filter.

    pictures: condition -> (H, W, 3) in [0, 1].
    """
    by_filter = {filter_of(condition): picture for condition, picture in pictures.items()}
    names = [name for name in by_filter if name != UNFILTERED]
    original = UNFILTERED, UNFILTERED
    return stimulus_panel(
        by_filter, original, {"low-pass": names}, map(label_of, names), "filter", path
    )
