"""Accuracy under corruptions: by severity as lines, and by corruption as a table in colours."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.data.imagenet_c import condition_parts, corruption_condition
from bvg.figures.curves import Panel, curves
from bvg.figures.drawing import Metrics, numbers
from bvg.figures.heat_map import heat_map
from bvg.scores.metric import Metric
from bvg.stimuli.batch import CLEAN

_MEAN = "mean"
_CLEAN = f"top1_acc/{CLEAN}"


def corruption_figures(
    models: Mapping[str, Metrics], corruptions: Sequence[str], folder: Path
) -> list[Path]:
    """Return the files of both figures of these models, drawn into `folder`.

    models: name -> metrics in percent, top1_acc/<corruption>_<severity>, top1_acc/clean if known.
    corruptions: the order of those that have one; others that were measured come after them.
    """
    found, severities = _measured(models)
    shown = [*(c for c in corruptions if c in found), *(c for c in found if c not in corruptions)]
    averaged = {name: _with_mean(metrics, shown, severities) for name, metrics in models.items()}
    clean = {0: _CLEAN} if any(_CLEAN in metrics for metrics in models.values()) else {}
    panels = [
        Panel(
            name.replace("_", " "),
            clean | _keys(name, severities),
            "severity (0: clean)" if clean else "severity",
            {severity: str(severity) for severity in (*clean, *severities)},
        )
        for name in ([*shown, _MEAN] if len(shown) > 1 else shown)
    ]
    table = pd.DataFrame(
        {
            name.replace("_", " "): {
                model: numbers(metrics, _keys(name, severities).values())[0].mean()
                for model, metrics in averaged.items()
            }
            for name in (*shown, _MEAN)
        }
    )
    plural = "severities" if len(severities) > 1 else "severity"
    unit = f"top-1 accuracy (%), mean over {plural} {', '.join(map(str, severities))}"
    return [
        *curves(averaged, panels, folder / "severities"),
        *heat_map(table, unit, folder / "corruptions", mean=True),
    ]


def _measured(models: Mapping[str, Metrics]) -> tuple[list[str], list[int]]:
    """Return the corruptions and the severities that some model has a metric for."""
    keys = dict.fromkeys(key for metrics in models.values() for key in metrics)
    names = [key.removeprefix("top1_acc/") for key in keys if key.startswith("top1_acc/")]
    parts = [found for name in names if "/" not in name and (found := condition_parts(name))]
    return list(dict.fromkeys(name for name, _ in parts)), sorted({number for _, number in parts})


def _keys(corruption: str, severities: Sequence[int]) -> dict[float, str]:
    return {s: f"top1_acc/{corruption_condition(corruption, s)}" for s in severities}


def _with_mean(metrics: Metrics, corruptions: Sequence[str], severities: Sequence[int]) -> Metrics:
    """Return the metrics and, by severity, their mean over the corruptions, if all are known."""
    by_corruption = [numbers(metrics, _keys(c, severities).values())[0] for c in corruptions]
    means = map(Metric, np.mean(by_corruption, axis=0).tolist())  # NaN: not drawn
    return {**metrics, **dict(zip(_keys(_MEAN, severities).values(), means, strict=True))}
