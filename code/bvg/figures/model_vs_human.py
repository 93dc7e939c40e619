"""Accuracy on the 17 data sets of model-vs-human, and error consistency between observers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS
from bvg.figures.curves import Humans, Panel, categories, curves
from bvg.figures.drawing import HUMANS, Metrics, labelled, numbers
from bvg.figures.heat_map import heat_map
from bvg.scores.metric import Metric
from bvg.scores.model_vs_human import CONSISTENCY, CONSISTENCY_MEAN, OOD_MEAN, Rights, mean_of

AXES = {
    "colour": "",
    "contrast": "contrast (%)",
    "high-pass": "filter's standard deviation",
    "low-pass": "filter's standard deviation",
    "phase-scrambling": "width of phase noise (°)",
    "power-equalisation": "power spectrum",
    "false-colour": "colour",
    "rotation": "angle (°)",
    "eidolonI": "log$_2$ of reach",
    "eidolonII": "log$_2$ of reach",
    "eidolonIII": "log$_2$ of reach",
    "uniform-noise": "width of noise",
}
_WORDS = {
    "cr": "colour",
    "bw": "greyscale",
    "pow": "equalised",
    "True": "true",
    "False": "opponent",
    "inf": "∞",
}


def accuracy_figure(models: Mapping[str, Metrics], humans: Rights, path: Path) -> list[Path]:
    """Return the files of a figure of accuracy under each condition, a panel per data set.

    models: name -> metrics in percent (`top1_acc/<data set>[/<condition>]`). humans: data set ->
    which images each observer got right; may be empty. What has no value is not drawn.
    """
    measured = [n for n in DATA_SETS if any(f"top1_acc/{n}" in m for m in models.values())]
    graded = [name for name in measured if len(DATA_SETS[name].conditions) > 1]
    single = [name for name in measured if name not in graded]
    panels = [_panel(name) for name in graded]
    if single:
        panels.append(categories({name: f"top1_acc/{name}" for name in single}, apart=True))
    means = [mean_of(metrics, OOD_MEAN) for metrics in models.values()]
    labels = [labelled(name, mean, 1) for name, (_, mean) in zip(models, means, strict=True)]
    marks = " and ".join(["thin lines"] * bool(graded) + ["dots"] * bool(single))
    return curves(
        dict(zip(labels, models.values(), strict=True)),
        panels,
        path,
        y_label="accuracy (%)",
        limits=(0, 100),
        caption=_caption({count for count, _ in means if count}, bool(graded)),
        humans=_humans(humans, f"{HUMANS} ({marks}: each)") if humans else None,
        reference=(f"chance (1/{len(CATEGORIES)})", 100 / len(CATEGORIES)),
    )


def _panel(data_set: str) -> Panel:
    conditions, excluded = DATA_SETS[data_set].conditions, DATA_SETS[data_set].excluded
    keys = {tick_label(data_set, name): f"top1_acc/{data_set}/{name}" for name in conditions}
    return categories(keys, data_set, AXES[data_set], map(conditions.index, excluded))


def tick_label(data_set: str, condition: str) -> str:
    """Return a condition as the axis of its data set shows it."""
    if data_set.startswith("eidolon"):
        return str(int(np.log2(int(condition.partition("-")[0]))))
    if data_set == "contrast":
        return str(int(condition.removeprefix("c")))
    if data_set == "power-equalisation" and condition == "0":
        return "original"
    if condition in _WORDS:
        return _WORDS[condition]
    return "0" if condition == "0.0" else condition.replace("0.", ".")


def _humans(humans: Rights, label: str) -> Humans:
    """Return the humans' accuracies in percent: over all responses, and of each observer."""
    metrics, each = {}, {}
    for data_set, right in humans.items():
        parts = {f"{data_set}/{condition}": rows for condition, rows in right.groupby(level=0)}
        for name, rows in {**parts, data_set: right}.items():
            each[f"top1_acc/{name}"] = 100 * rows.mean().to_numpy()
            metrics[f"top1_acc/{name}"] = Metric(100 * pd.Series(rows.to_numpy().ravel()).mean())
    return Humans(label, metrics, each)


def _caption(counts: set[int], shaded: bool) -> str:
    """Return what the numbers behind the models' names, and the shading, mean.

    counts: of how many data sets the numbers are means.
    """
    count = counts.pop() if len(counts) == 1 else 0
    caption = f"in brackets: mean of {count} data set{'s' * (count > 1)}" if count else ""
    if not shaded:
        return caption
    return f"{caption}, without the shaded conditions" if caption else "shaded: not counted"


def consistency_figure(models: Mapping[str, Metrics], humans: Metrics, path: Path) -> list[Path]:
    """Return the files of a figure of each model's error consistency with humans, by data set.

    models: name -> `error-consistency/<data set>`; humans: the same among themselves. What has no
    value is not drawn.
    """
    everyone = [*models.values(), humans]
    keys = [f"{CONSISTENCY}/{name}" for name in DATA_SETS]
    keys = [key for key in keys if any(np.isfinite(numbers(m, [key])[0, 0]) for m in everyone)]
    *shown, own = [{**m, CONSISTENCY_MEAN: mean_of(m, CONSISTENCY_MEAN)[1]} for m in everyone]
    labelled_keys = {key.partition("/")[2]: key for key in keys}
    labelled_keys[f"mean of {len(keys)}"] = CONSISTENCY_MEAN
    return curves(
        dict(zip(models, shown, strict=True)),
        [categories(labelled_keys, shaded=[len(keys)], apart=True)],
        path,
        y_label="error consistency with humans (κ)",
        limits=(None, None),
        humans=Humans("humans with each other", own),
        reference=("by chance", 0),
    )


def matrix_figure(matrix: pd.DataFrame, mean: str, path: Path) -> list[Path]:
    """Return the files of a heat map of the error consistency of every pair of observers.

    matrix: square, by observer; `humans` is drawn first and in red, with the humans' consistency
    among themselves on its diagonal. Models are not compared with themselves. mean: of what the
    values are means.
    """
    names = sorted(matrix.index, key=lambda name: name != HUMANS)
    humans = names[0] == HUMANS
    values = matrix.loc[names, names].to_numpy(float, copy=True)
    models = range(int(humans), len(names))
    values[models, models] = np.nan
    # Names along the columns as well would take more room than the cells.
    short = [str(number) for number in range(1, len(names) + 1)]
    labels = [f"{name}  {number}" for name, number in zip(names, short, strict=True)]
    unit = f"error consistency (κ), {mean}"
    table = pd.DataFrame(values, labels, short)
    return heat_map(table, unit, path, digits=2, square=True, humans=humans)
