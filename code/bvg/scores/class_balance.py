"""Class balance: whether a model treats all classes alike.

Source: Hesse et al., "Beyond Accuracy: What Matters in Designing Well-Behaved Image Classification
Models?", TMLR 2026, and its code. Two parts, and their geometric mean: 1 - the standard deviation
(divisor C - 1) of the C classes' accuracies; 1 - the mean over the classes of the standard
deviation (divisor n) of the label's probability among the n images of a class.

The spread of accuracies includes that of chance: the fewer images per class, the more is balance
underestimated.
"""

import numpy as np

from bvg.predictions.table import LABEL_PROBABILITY, Predictions
from bvg.scores.accuracy import correct_in_top
from bvg.scores.bootstrap import CONSTANT, reflected_interval
from bvg.scores.metric import Metric

BALANCE = "class-balance"
ACCURACY, CONFIDENCE = f"{BALANCE}/accuracy", f"{BALANCE}/confidence"
ENOUGH = 20  # images per class, for an interval
_UNRECORDED = (
    "the label's probability is not among the predictions (earlier versions did not record it): "
    "re-run the evaluation with --overwrite"
)
_FEW = f"no interval: fewer than {ENOUGH} images per class, whose spread is mostly chance's"


def class_balance_metrics(predictions: Predictions, replicates: int = 1000) -> dict[str, Metric]:
    """Return class-balance/accuracy, class-balance/confidence and class-balance, 1 being best.

    The last two need the column of the label's probability, and say so where it is missing.
    Intervals are basic bootstrap ones over the images of each class, the classes being fixed. They
    allow for most of the bias (coverage of 91 % for 50 images in each of 1000 classes, where
    percentiles have 0 %), and are widened to hold the value.
    """
    correct = correct_in_top(predictions, 1)
    probability = predictions.columns.get(LABEL_PROBABILITY)
    groups = _by_class(predictions.labels)
    n = len(correct)
    if len(groups) < 2:
        note = "it needs images of two classes at least"
        return {name: Metric(None, n=n, note=note) for name in (ACCURACY, CONFIDENCE, BALANCE)}
    enough = n >= ENOUGH * len(groups)
    replicates = replicates if enough else 0
    generator = np.random.default_rng(0)
    means = np.empty((len(groups), replicates + 1))  # the first of the images as they are
    spreads = np.empty_like(means)
    for row, images in enumerate(groups):
        drawn = generator.integers(len(images), size=(replicates, len(images)))
        drawn = images[np.vstack([np.arange(len(images)), drawn])]
        means[row] = correct[drawn].mean(axis=1)
        if probability is not None:
            spreads[row] = probability[drawn].std(axis=1, dtype=np.float64)
    of_accuracy = 1 - means.std(axis=0, ddof=1)
    metrics = {ACCURACY: _reflected(of_accuracy, n, enough)}
    if probability is None:
        absent = Metric(None, n=n, note=_UNRECORDED)
        return metrics | {CONFIDENCE: absent, BALANCE: absent}
    of_confidence = 1 - spreads.mean(axis=0)
    both = np.sqrt(of_accuracy * of_confidence)
    return metrics | {
        CONFIDENCE: _reflected(of_confidence, n, enough),
        BALANCE: _reflected(both, n, enough),
    }


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    """Return the positions of each class's images."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _reflected(values: np.ndarray, n: int, enough: bool) -> Metric:
    """Return the first value with the basic interval of the others, if there are enough images."""
    value = float(values[0])
    if not enough:
        return Metric(value, n=n, note=_FEW)
    interval = reflected_interval(value, values[1:])
    if interval is None:
        return Metric(value, n=n, note=f"no interval: {CONSTANT}")
    return Metric(value, min(interval[0], value), min(1.0, max(interval[1], value)), n)
