"""Flip probability by perturbation: models side by side, or, of many models, as a table."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bvg.data.imagenet_p import PERTURBATIONS
from bvg.figures.curves import categories, curves
from bvg.figures.drawing import MANY, Metrics, numbers
from bvg.figures.heat_map import heat_map
from bvg.scores.imagenet_p import FLIPS, OVERALL
from bvg.scores.metric import Metric

_UNIT = "flip probability (%)"


def stability_figure(models: Mapping[str, Metrics], path: Path) -> list[Path]:
    """Return the files of a figure of flip probabilities in percent, as the paper prints them.

    models: name -> metrics, flip_prob/<perturbation> in [0, 1] with 95 % intervals; what has no
    value is not drawn. Up to 8 models are dots beside each other, more are a table's rows, the
    most stable one first.
    """
    percent = {
        name: {k.partition("/")[2]: _percent(m) for k, m in metrics.items() if k.startswith(FLIPS)}
        for name, metrics in models.items()
    }
    measured = {
        k for metrics in percent.values() for k, m in metrics.items() if m.value is not None
    }
    others = sorted(measured - {*PERTURBATIONS, OVERALL})
    shown = [name for name in (*PERTURBATIONS, *others, OVERALL) if name in measured]
    titles = [name.replace("_", " ").replace(OVERALL, "mean of all ten") for name in shown]
    mean = OVERALL in shown
    if len(models) <= MANY or not shown:
        labels = [title.replace(" ", "\n", 1) for title in titles]
        shaded = [len(shown) - 1] if mean else []
        panel = categories(dict(zip(labels, shown, strict=True)), shaded=shaded, apart=True)
        return curves(percent, [panel], path, y_label=_UNIT)
    rows = {name: numbers(metrics, shown)[0] for name, metrics in percent.items()}
    table = pd.DataFrame(rows, titles).T
    order = (table[titles[-1]] if mean else table.mean(axis=1)).sort_values().index
    return heat_map(table.loc[order], _UNIT, path, digits=1, mean=mean)


def _percent(metric: Metric) -> Metric:
    value, low, high = (
        None if end is None else 100 * end for end in (metric.value, metric.low, metric.high)
    )
    return Metric(value, low, high)
