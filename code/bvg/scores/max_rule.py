"""The second rule by which answers among 16 categories are read off 1000 classes.

The mean rule, model-vs-human's, takes the category whose classes have the highest mean probability;
the max rule, ood-benchmarks', that of the best class which belongs to one. Predictions have both
(`answers` and `answer_max`, see run/decisions.py); docs/fidelity.md says which published numbers
follow which.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.metric import Metric

ANSWER = "answer_max"
ENDING = "/max"  # of metrics by this rule
_NAME = "-max-rule"  # of observers in decision tables


def by_max_rule(predictions: Predictions) -> Predictions:
    """Return the predictions with the answers of the max rule instead of the mean rule's."""
    return replace(predictions, answers=predictions.columns[ANSWER][:, None])


def as_max(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return metrics by the max rule under their own keys, <key>/max."""
    return {f"{key}{ENDING}": metric for key, metric in metrics.items()}


def by_rule(predictions: Predictions, name: str) -> dict[str, Predictions]:
    """Return the predictions by observer's name: a model's own, and <name>-max-rule if they differ.

    They never do for a model whose classes are the categories.
    """
    both = {name: predictions}
    if np.any(predictions.columns[ANSWER] != predictions.answers[:, 0]):
        both[name + _NAME] = by_max_rule(predictions)
    return both
