"""Reliance on a cue: how much accuracy is left when it is suppressed.

Source: Burgert, Stoll, Rota & Demir, "ImageNet-trained CNNs are not biased towards texture",
NeurIPS 2025. Relative accuracy = accuracy with the cue suppressed / accuracy on the originals. The
areas under curves are this project's: they make one number of a curve that the paper shows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from bvg.data.imagenet import are_imagenet
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import (
    category_correct,
    category_of_class,
    condition_accuracies,
    top1_by_condition,
)
from bvg.scores.bootstrap import bootstrapped, resampled_accuracies
from bvg.scores.metric import Metric
from bvg.stimuli.suppression import ORIGINAL

PREFIX = "suppression"
# Among 16 categories: the published rule; the category of the best of all classes; the category of
# the largest sum, whatever other classes have.
OVER_HALF, TOP1, LARGEST = f"{PREFIX}16", f"{PREFIX}16_top1", f"{PREFIX}16_argmax"
# The published rule, for the images that a reference model is most confident about.
CONFIDENT = f"{PREFIX}16_confident"
_RULES: dict[str, Callable[[Predictions], np.ndarray]] = {
    OVER_HALF: lambda predictions: predictions.columns["category_over_half"],
    TOP1: lambda predictions: category_of_class()[predictions.answers[:, 0]],
    LARGEST: lambda predictions: predictions.columns["category"],
}
_UNDEFINED = "without suppression, accuracy is no better than chance"

# (…, conditions) accuracies in [0, 1] → (…).
Measure = Callable[[np.ndarray], np.ndarray]


def suppression_metrics(
    predictions: Predictions,
    cues: Mapping[str, str],
    curves: Mapping[str, Sequence[str]],
    confident: Sequence[str] | None = None,
) -> dict[str, Metric]:
    """Return accuracies, relative accuracies and areas under curves, with 95 % intervals.

    predictions: under the condition `original` and those below, with the columns of
        `top5_and_category_sums`. cues: the condition that suppresses each cue. curves: conditions
        from weak to strong, by the curve's name. confident: names of images for `CONFIDENT`.
    Keys: top1_acc/suppression/<condition> (percent), metric/suppression/<cue>/relative, and
    metric/suppression/<curve>/auc and …/auc-normalised (see `area`); for ImageNet's classes, the
    accuracies and relative accuracies again with 16 categories.
    """
    names, correct = top1_by_condition(predictions)
    metrics = _by_condition(names, correct, PREFIX)
    chance = 1 / len(predictions.classes)
    measures = _relative(names, cues, PREFIX) | _areas(names, curves, chance)
    metrics |= _with_intervals(correct, measures)
    if not are_imagenet(predictions.classes):
        return metrics
    shown = [(prefix, rule, predictions) for prefix, rule in _RULES.items()]
    if confident is not None:
        chosen = np.isin(predictions.images.astype(str), list(confident))
        shown.append((CONFIDENT, _RULES[OVER_HALF], predictions.select(chosen)))
    for prefix, rule, subset in shown:
        right = category_correct(subset, rule(subset))
        if len(right):
            metrics |= _by_condition(names, right, prefix)
            metrics |= _with_intervals(right, _relative(names, cues, prefix))
    return metrics


def _by_condition(names: tuple[str, ...], correct: np.ndarray, prefix: str) -> dict[str, Metric]:
    return condition_accuracies(tuple(f"{prefix}/{name}" for name in names), correct)


def _relative(names: tuple[str, ...], cues: Mapping[str, str], prefix: str) -> dict[str, Measure]:
    """Return metric/<prefix>/<cue>/relative as measures."""
    return {
        f"metric/{prefix}/{cue}/relative": partial(
            relative, original=names.index(ORIGINAL), suppressed=names.index(condition)
        )
        for cue, condition in cues.items()
    }


def _areas(
    names: tuple[str, ...], curves: Mapping[str, Sequence[str]], chance: float
) -> dict[str, Measure]:
    """Return metric/suppression/<curve>/auc and …/auc-normalised as measures."""
    measures: dict[str, Measure] = {}
    for curve, conditions in curves.items():
        columns = [names.index(condition) for condition in (ORIGINAL, *conditions)]
        for name, guessed in (("auc", 0.0), ("auc-normalised", chance)):
            key = f"metric/{PREFIX}/{curve}/{name}"
            measures[key] = partial(area, columns=columns, chance=guessed)
    return measures


def _with_intervals(correct: np.ndarray, measures: Mapping[str, Measure]) -> dict[str, Metric]:
    accuracies, resampled = correct.mean(axis=0), resampled_accuracies(correct)
    return {
        key: bootstrapped(float(measure(accuracies)), measure(resampled), len(correct), _UNDEFINED)
        for key, measure in measures.items()
    }


def relative(accuracies: np.ndarray, original: int, suppressed: int) -> np.ndarray:
    """Return accuracy with a cue suppressed / accuracy on the originals, (…).

    accuracies: (…, C) in [0, 1]; original, suppressed: two of the C conditions. NaN where no
    original is right.
    """
    whole = accuracies[..., original]
    return accuracies[..., suppressed] / np.where(whole > 0, whole, np.nan)


def area(accuracies: np.ndarray, columns: Sequence[int], chance: float = 0.0) -> np.ndarray:
    """Return the area under a curve of relative accuracy, (…); 1 if suppression changes nothing.

    accuracies: (…, C) in [0, 1]; columns: which of the C conditions are the curve, the first
    without suppression, the others of strengths that are taken as equally spaced from 0 to 1
    (trapezoids). With `chance`, of (accuracy - chance) / (accuracy without suppression - chance),
    as the paper compares data sets. NaN where that has no positive denominator.
    """
    above = accuracies[..., columns] - chance
    mean = ((above[..., :-1] + above[..., 1:]) / 2).mean(axis=-1)
    return mean / np.where(above[..., 0] > 0, above[..., 0], np.nan)


def most_confident(predictions: Predictions, per_category: int = 50) -> list[str]:
    """Return the names of the images of each category that are right with the most confidence.

    So the paper chose its images of experiment I, with a ResNet-50. Right is the top-1 answer on
    the original, confidence its probability. Categories with fewer such images give all of them.
    """
    original = predictions.conditions == ORIGINAL
    right = (predictions.answers[:, 0] == predictions.labels) & original
    category = category_of_class()[predictions.labels]
    order = np.argsort(-predictions.confidence, kind="stable")
    chosen: list[str] = []
    for number in range(category.max() + 1):
        rows = order[(right & (category == number))[order]][:per_category]
        chosen += [str(name) for name in predictions.images[rows]]
    return sorted(chosen)
