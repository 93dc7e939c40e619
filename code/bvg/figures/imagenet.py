"""Figures of scores on ImageNet's validation set: calibration, and ImageNet-X's error ratios."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bvg.data.imagenet_x import FACTORS
from bvg.figures.curves import Panel, categories, curves
from bvg.figures.drawing import MANY, Metrics, labelled, numbers
from bvg.figures.heat_map import heat_map
from bvg.scores.calibration import BINS, ECE, gap_key
from bvg.scores.imagenet_x import error_ratio_key

FEW = 10  # images; bins with fewer are not drawn, since they say little
_RATIO = "error ratio: error rate with the factor / on all annotated images"


def imagenet_figures(models: Mapping[str, Metrics], folder: Path) -> list[Path]:
    """Return the files of `calibration` and, where some model has them, of `imagenet_x`.

    models: name -> metrics, with the gaps of scores/calibration's `reliability`.
    """
    files = calibration_figure(models, folder / "calibration")
    if any(error_ratio_key(factor) in m for m in models.values() for factor in FACTORS):
        files += error_ratio_figure(models, folder / "imagenet_x")
    return files


def calibration_figure(models: Mapping[str, Metrics], path: Path) -> list[Path]:
    """Return the files of a figure of accuracy - confidence by confidence, a line per model."""
    shown = {
        labelled(name, metrics.get(ECE), 3): {k: m for k, m in metrics.items() if m.n >= FEW}
        for name, metrics in models.items()
    }
    places = {(k + 0.5) / BINS: gap_key(k) for k in range(BINS)}
    ticks = {tenth / 10: f"{tenth / 10:g}" for tenth in range(0, 11, 2)}
    panel = Panel("", places, "confidence in the best answer", ticks)
    return curves(
        shown,
        [panel],
        path,
        y_label="accuracy − confidence",
        limits=(None, None),
        caption=f"in brackets: expected calibration error; below 0: too confident; bins of {FEW} "
        "images or more",
        reference=("calibrated", 0),
    )


def error_ratio_figure(models: Mapping[str, Metrics], path: Path) -> list[Path]:
    """Return the files of a figure of error ratios by factor, in the published order.

    Up to 8 models are dots beside each other, more are a table's rows.
    """
    known = {key for metrics in models.values() for key in metrics}
    keys = {
        factor.replace("_", " "): error_ratio_key(factor)
        for factor in FACTORS
        if error_ratio_key(factor) in known
    }
    if len(models) > MANY:
        rows = {name: numbers(metrics, keys.values())[0] for name, metrics in models.items()}
        return heat_map(pd.DataFrame(rows, [*keys]).T, _RATIO, path, digits=1)
    panel = categories(keys, apart=True)
    reference = ("as on all annotated images", 1.0)
    return curves(models, [panel], path, y_label="error ratio", reference=reference)
