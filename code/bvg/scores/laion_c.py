"""Accuracy on LAION-C: by corruption and level, by corruption, and the mean of everything.

Source: Li et al., "LAION-C: An Out-of-Distribution Benchmark for Web-Scale Vision Models", ICML
2025. Every condition has equal weight in a mean. Intervals of means are a bootstrap over images,
which draws an image under all of its conditions at once.
"""

from collections.abc import Sequence

import numpy as np

from bvg.data.imagenet_c import corruption_condition
from bvg.data.laion_c import SEVERITIES
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import right_and_shown
from bvg.scores.bootstrap import bootstrapped, resampled_counts
from bvg.scores.metric import Metric, proportion


def laion_c_metrics(
    predictions: Predictions, key: str, corruptions: Sequence[str]
) -> dict[str, Metric]:
    """Return accuracies in percent: top1_acc/<key>/<condition>, …/<corruption>, and top1_acc/<key>.

    corruptions: those that the latter is the mean of, at five levels each; means of which a
    condition is missing are undefined, and top1_acc/<key>/measured is then the mean of all that are
    there. Further conditions, such as "clean", have an accuracy of their own.
    """
    right, shown = right_and_shown(predictions)
    conditions, images = predictions.condition_names, len(right)
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
    with np.errstate(invalid="ignore"):  # where none of a condition's images is drawn
        replicates = 100 * resampled_counts(right) / resampled_counts(shown)
    column = {condition: number for number, condition in enumerate(conditions)}
    for name, needed in wanted.items():
        missing = [condition for condition in needed if condition not in column]
        if missing and len(missing) < len(needed):
            note = f"it needs {missing[0]}, which this run did not measure"
            metrics[name] = Metric(None, n=images, note=note)
        elif not missing and needed:
            own = [column[condition] for condition in needed]
            values = replicates[:, own].mean(axis=1)
            metrics[name] = bootstrapped(
                float(accuracies[own].mean()), values, images, "", share=(100, images)
            )
    return metrics
