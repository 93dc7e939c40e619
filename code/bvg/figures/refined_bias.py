"""REFINED-BIAS: how well models recognise shape alone against texture alone, and each class."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from bvg.data.refined_bias import SHAPE, TEXTURE
from bvg.figures.curves import categories, curves
from bvg.figures.drawing import MANY, PAGE_WIDTH, Metrics, model_style, numbers, save
from bvg.figures.heat_map import heat_map
from bvg.figures.legend import legend_below, legend_height

_FONT = 7.0  # points
_SIDE = 3.2  # inches
_MRR = "mean reciprocal rank"


def refined_bias_figures(
    models: Mapping[str, Metrics], published: Mapping[str, float], folder: Path
) -> list[Path]:
    """Return the files of `shape_and_texture` and, of each cue, of `<cue>_classes`, in `folder`.

    models: name -> metrics refined-bias/<cue>-mrr and …/class/<name>. published: shape MRR by name.
    """
    files = shape_and_texture(models, published, folder / "shape_and_texture")
    for cue in (SHAPE, TEXTURE):
        files += _by_class(models, cue, folder / f"{cue}_classes")
    return files


def shape_and_texture(
    models: Mapping[str, Metrics], published: Mapping[str, float], path: Path
) -> list[Path]:
    """Return the files of a figure of shape MRR over texture MRR, a point per model.

    Lines are 95 % intervals, of up to 8 models. Published values, of shape alone, are marks on the
    right edge.
    """
    many = len(models) > MANY
    height = legend_height([*models])
    figure = plt.figure(figsize=(PAGE_WIDTH, _SIDE + height), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.7, zorder=0)
    styles = [model_style(number, many) | {"linestyle": "none"} for number in range(len(models))]
    keys = [f"refined-bias/{cue}-mrr" for cue in (TEXTURE, SHAPE)]
    for style, metrics in zip(styles, models.values(), strict=True):
        (x, y), *ends = numbers(metrics, keys)
        axes.plot(x, y, clip_on=False, zorder=3, **style | {"markersize": 4})
        if not many:
            (x_low, y_low), (x_high, y_high) = ends
            axes.hlines(y, x_low, x_high, color=style["color"], linewidth=0.8)
            axes.vlines(x, y_low, y_high, color=style["color"], linewidth=0.8)
    for name, value in published.items():
        axes.plot([0.985, 1], [value, value], color="0.3", linewidth=1)
        axes.text(1.01, value, f"{name} (published)", fontsize=_FONT - 1, va="center")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel(f"texture: {_MRR}", fontsize=_FONT)
    axes.set_ylabel(f"shape: {_MRR}", fontsize=_FONT)
    axes.tick_params(labelsize=_FONT - 0.5, length=2, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    note = "" if many else "lines: 95 % intervals"
    legend_below(figure, [Line2D([], [], **style) for style in styles], [*models], note)
    return save(figure, path)


def _by_class(models: Mapping[str, Metrics], cue: str, path: Path) -> list[Path]:
    """Return the files of a figure of each class: dots beside each other, or a table of many."""
    prefix = f"refined-bias/{cue}-mrr/class/"
    found = dict.fromkeys(key for m in models.values() for key in m if key.startswith(prefix))
    keys = {key.removeprefix(prefix).replace("_", " "): key for key in found}
    if len(models) > MANY:
        rows = {name: numbers(metrics, keys.values())[0] for name, metrics in models.items()}
        table = pd.DataFrame(np.array([*rows.values()]), [*rows], [*keys])
        return heat_map(table, f"{_MRR} of {cue}", path, digits=2)
    panel = categories(keys, f"stimuli of {cue}", apart=True)
    return curves(models, [panel], path, y_label=_MRR)
