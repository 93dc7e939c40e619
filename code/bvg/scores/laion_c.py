"""Accuracy on LAION-C: by corruption and level, by corruption, and the mean of everything.

Source: Li et al., "LAION-C: An Out-of-Distribution Benchmark for Web-Scale Vision Models", ICML
2025. Every condition has equal weight in a mean. Intervals of means are a bootstrap over images,
which draws an image under all of its conditions at once.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bvg.data.imagenet_c import corruption_condition
from bvg.data.laion_c import SEVERITIES
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import correct_in_top
from bvg.scores.bootstrap import bootstrapped, draws
from bvg.scores.metric import Metric, proportion


def laion_c_metrics(
    predictions: Predictions, key: str, corruptions: Sequence[str]
) -> dict[str, Metric]:
    """Return accuracies in percent: top1_acc/<key>/<condition>, …/<corruption>, and top1_acc/<key>.

    corruptions: those that the latter is the mean of, at five levels each; means of which a
    condition is missing are undefined, and top1_acc/<key>/measured is then the mean of all that are
    there. Further conditions, such as "clean", have an accuracy of their own.
    """
    image_of, images = pd.factorize(predictions.images)
    condition_of, conditions = pd.factorize(predictions.conditions)
    shown = np.zeros((len(images), len(conditions)))
    right = np.zeros_like(shown)
    shown[image_of, condition_of] = 1
    right[image_of, condition_of] = correct_in_top(predictions, 1)
    metrics = {
        f"top1_acc/{key}/{condition}": proportion(int(hits), int(n), scale=100)
        for condition, hits, n in zip(conditions, right.sum(axis=0), shown.sum(axis=0), strict=True)
    }
    whole = {name: [corruption_condition(name, s) for s in SEVERITIES] for name in corruptions}
    wanted = {f"top1_acc/{key}/{name}": own for name, own in whole.items()}
    every = [condition for own in whole.values() for condition in own]
    wanted[f"top1_acc/{key}"] = every
    there = [condition for condition in every if condition in conditions]
    if len(there) < len(every):
        wanted[f"top1_acc/{key}/measured"] = there
    accuracies = 100 * right.sum(axis=0) / shown.sum(axis=0)
    replicates = _replicates(right, shown)
    column = {condition: number for number, condition in enumerate(conditions)}
    for name, needed in wanted.items():
        missing = [condition for condition in needed if condition not in column]
        if missing and len(missing) < len(needed):
            note = f"it needs {missing[0]}, which this run did not measure"
            metrics[name] = Metric(None, n=len(images), note=note)
        elif not missing and needed:
            own = [column[condition] for condition in needed]
            values = replicates[:, own].mean(axis=1)
            metrics[name] = bootstrapped(
                float(accuracies[own].mean()), values, len(images), "", share=(100, len(images))
            )
    return metrics


def _replicates(right: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Return the accuracies in percent of images drawn with replacement, (replicates, conditions).

    Where none of a condition's images is drawn, NaN.
    """
    with np.errstate(invalid="ignore"):
        found = []
        for drawn in draws(len(right)):
            weights = np.bincount(drawn, minlength=len(right)).astype(float)
            found.append(100 * (weights @ right) / (weights @ shown))
    return np.array(found)
