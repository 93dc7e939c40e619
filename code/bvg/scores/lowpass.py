"""Scores of low-pass filtered images, filter by filter.

A condition is an image's own (if it has one), followed by the filter's name (if there is one):
`edge/0` and `edge/0/blur=2.5`, or `clean` and `blur=2.5`; see stimuli/lowpass.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.metric import Metric
from bvg.scores.model_vs_human import is_condition
from bvg.stimuli.batch import CLEAN

UNFILTERED = "unfiltered"


def by_filter(
    predictions: Predictions, score: Callable[[Predictions], Mapping[str, Metric]]
) -> dict[str, Metric]:
    """Return the score's metrics under each filter, as <key>/<filter>.

    The filter is `unfiltered` for the images as they are, whose metrics are those of a run without
    filters. Metrics of single categories, and of a data set's single conditions, are left out.
    """
    filters = dict.fromkeys(_split(condition)[1] for condition in predictions.condition_names)
    return {
        f"{key}/{name}": metric
        for name in filters
        for key, metric in score(under_filter(predictions, name)).items()
        if "/category/" not in key and not is_condition(key)
    }


def under_filter(predictions: Predictions, name: str) -> Predictions:
    """Return the predictions under one filter, as of a run without filters."""
    parts = [_split(condition) for condition in predictions.conditions]
    rows = predictions.select(np.array([of == name for _, of in parts], dtype=bool))
    own = [condition for condition, of in parts if of == name]
    return replace(rows, conditions=np.array(own, dtype=object))


def metrics_under(metrics: Mapping[str, Metric], name: str) -> dict[str, Metric]:
    """Return the metrics under one filter, by their keys without its name."""
    ending = f"/{name}"
    return {key.removesuffix(ending): m for key, m in metrics.items() if key.endswith(ending)}


def filters_of(metrics: Mapping[str, Metric]) -> list[str]:
    """Return the filters of `by_filter`'s metrics, in the order in which they were evaluated."""
    return list(dict.fromkeys(key.rpartition("/")[2] for key in metrics))


def filter_of(condition: str) -> str:
    """Return the filter of a condition; `unfiltered` without one."""
    return _split(condition)[1]


def _split(condition: str) -> tuple[str, str]:
    """Return a condition without its filter, and the filter."""
    own, _, last = condition.rpartition("/")
    return (own or CLEAN, last) if "=" in last else (condition, UNFILTERED)
