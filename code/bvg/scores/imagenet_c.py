"""Accuracy under corruptions: by corruption, by group, over all of them, and relative to AlexNet.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. Every condition has the same images, so that all images have equal weight
in a mean over conditions, and its interval is a bootstrap over images.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from bvg.data.imagenet import are_imagenet
from bvg.data.imagenet_c import (
    SEVERITIES,
    CorruptionSet,
    condition_parts,
    corruption_condition,
)
from bvg.errors import UserError
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import condition_accuracies, top1_by_condition
from bvg.scores.bootstrap import bootstrapped, resampled_accuracies
from bvg.scores.metric import Metric
from bvg.stimuli.batch import CLEAN

# AlexNet's errors in percent, each over five severities (Hendrycks & Dietterich 2019, Table 1).
ALEXNET = {
    "gaussian_noise": 88.6,
    "shot_noise": 89.4,
    "impulse_noise": 92.3,
    "defocus_blur": 82.0,
    "glass_blur": 82.6,
    "motion_blur": 78.6,
    "zoom_blur": 79.8,
    "snow": 86.7,
    "frost": 82.7,
    "fog": 81.9,
    "brightness": 56.5,
    "contrast": 85.3,
    "elastic_transform": 64.6,
    "pixelate": 71.8,
    "jpeg_compression": 60.7,
}
ALEXNET_CLEAN = 43.5  # the same table

# A measure: the conditions it needs, and a function of their accuracies in percent,
# (…, conditions) → (…).
Measure = tuple[tuple[str, ...], Callable[[np.ndarray], np.ndarray]]


def corruption_means(data: CorruptionSet) -> dict[str, Measure]:
    """Return the means by corruption, by subset and over everything, by key."""
    groups: dict[str, tuple[str, ...]] = {f"top1_acc/{name}": (name,) for name in data.corruptions}
    groups |= {f"top1_acc/{data.key}/{name}": members for name, members in data.subsets.items()}
    groups[f"top1_acc/{data.key}"] = data.corruptions
    return {key: (_conditions(members), _mean) for key, members in groups.items()}


def _own_means(data: CorruptionSet, conditions: tuple[str, ...]) -> dict[str, Measure]:
    """Return the means of added corruptions (not the data set's) over their measured severities."""
    severities: dict[str, list[str]] = {}
    for condition in conditions:
        parts = condition_parts(condition)
        if parts and parts[0] not in data.corruptions:
            severities.setdefault(parts[0], []).append(condition)
    return {f"top1_acc/{name}": (tuple(own), _mean) for name, own in severities.items()}


def corruption_errors() -> dict[str, Measure]:
    """Return the corruption errors and their means, in percent of AlexNet's, by key.

    mCE/<corruption>: error over the severities / AlexNet's; mCE: their mean over the standard 15.
    relative-mCE: the same for the increase of the error over that on clean images.
    """
    measures: dict[str, Measure] = {
        f"mCE/{name}": (_conditions((name,)), _errors(error)) for name, error in ALEXNET.items()
    }
    standard = _conditions(tuple(ALEXNET))
    measures["mCE"] = (standard, _mean_corruption_error)
    measures["relative-mCE"] = ((CLEAN, *standard), _relative_error)
    return measures


def measured(
    measures: dict[str, Measure], conditions: tuple[str, ...], accuracies: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the values (…) of the measures whose conditions were all evaluated, by key.

    accuracies: (…, C) in percent, columns as in `conditions`.
    """
    column = {condition: number for number, condition in enumerate(conditions)}
    return {
        key: of(accuracies[..., [column[condition] for condition in needed]])
        for key, (needed, of) in measures.items()
        if set(needed) <= set(conditions)
    }


def corruption_metrics(predictions: Predictions, data: CorruptionSet) -> dict[str, Metric]:
    """Return the accuracy under each condition and every measure, in percent, with intervals.

    If some severities or corruptions were not evaluated, the means that need them are undefined,
    and top1_acc/<key>/measured is the mean over those that were. Added corruptions, which are not
    the data set's, only have a separate mean over their severities. For ImageNet-C (whose subset
    "15" has AlexNet's errors), also the corruption errors. Images that are missing under some
    condition are excluded; raises UserError if none remains.
    """
    conditions, correct = top1_by_condition(_shared(predictions))
    metrics = condition_accuracies(conditions, correct)
    measures = corruption_means(data) | _own_means(data, conditions)
    whole = _conditions(data.corruptions)
    corrupted = tuple(name for name in conditions if name in whole)
    if corrupted and len(corrupted) < len(whole):
        measures[f"top1_acc/{data.key}/measured"] = (corrupted, _mean)
    if "15" in data.subsets:
        measures |= corruption_errors()
    accuracies = np.array([metrics[f"top1_acc/{name}"].value for name in conditions])
    values = measured(measures, conditions, accuracies)
    replicates = measured(measures, conditions, 100 * resampled_accuracies(correct))
    known = are_imagenet(predictions.classes)
    for key, (needed, _) in measures.items():
        missing = [name for name in needed if name not in conditions]
        if "mCE" in key and not known:
            note = "AlexNet's errors are known for ImageNet's 1000 classes only"
            metrics[key] = Metric(None, n=len(correct), note=note)
        elif not missing:
            share = (100.0, len(correct)) if key.startswith("top1_acc/") else None
            metrics[key] = bootstrapped(
                float(values[key]), replicates[key], len(correct), "", share=share
            )
        elif len(missing) < len(needed):  # evaluated in part
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            note = f"it needs {missing[0]}{more}, which this run did not measure"
            metrics[key] = Metric(None, n=len(correct), note=note)
    return metrics


def _shared(predictions: Predictions) -> Predictions:
    """Return the rows of the images that were evaluated under every condition."""
    image_of, images = pd.factorize(predictions.images)
    counts = np.bincount(image_of, minlength=len(images))
    keep = (counts == len(predictions.condition_names))[image_of]
    if keep.all() and len(keep):
        return predictions
    if not keep.any():
        raise UserError("no image could be used under every condition: check the data set")
    return predictions.select(keep)


def _conditions(corruptions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        corruption_condition(name, severity) for name in corruptions for severity in SEVERITIES
    )


def _mean(accuracies: np.ndarray) -> np.ndarray:
    return accuracies.mean(axis=-1)


def _errors(alexnet: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda accuracies: 100 * (100 - accuracies.mean(axis=-1)) / alexnet


def _by_corruption(accuracies: np.ndarray) -> np.ndarray:
    """Return the errors (…, 15) of accuracies (…, 15 * 5)."""
    shape = (*accuracies.shape[:-1], len(ALEXNET), len(SEVERITIES))
    return 100 - accuracies.reshape(shape).mean(axis=-1)


def _mean_corruption_error(accuracies: np.ndarray) -> np.ndarray:
    alexnet = np.array(list(ALEXNET.values()))
    return 100 * (_by_corruption(accuracies) / alexnet).mean(axis=-1)


def _relative_error(accuracies: np.ndarray) -> np.ndarray:
    """Return the relative mCE; accuracies (…, 1 + 15 * 5), the clean one first."""
    added = _by_corruption(accuracies[..., 1:]) - (100 - accuracies[..., :1])
    alexnet = np.array(list(ALEXNET.values())) - ALEXNET_CLEAN
    return 100 * (added / alexnet).mean(axis=-1)
