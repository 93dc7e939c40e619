"""ImageNet-X: which of sixteen factors of variation a model's errors come with.

Source: Idrissi et al., "ImageNet-X: Understanding Model Mistakes with Factor of Variation
Annotations", ICLR 2023. An image has the factor that sets it apart most from the prototypical
images of its class. The error ratio of a factor is the error rate on its images over that on all
annotated images: 2 means that the model errs twice as often where, say, the pose is unusual.
"""

from pathlib import Path

import numpy as np

from bvg.data.imagenet import VAL_CLASSES, imagenet_classes, val_number
from bvg.data.imagenet_x import FACTORS, Annotations
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import correct_in_top
from bvg.scores.bootstrap import bootstrapped, draws
from bvg.scores.metric import Metric, percentage, proportion

PREFIX = "imagenet-x"
OVERALL = f"{PREFIX}/accuracy"
UNDEFINED = "no image has the factor, or none at all is wrong"


def accuracy_key(factor: str) -> str:
    """Return the name of the accuracy on a factor's images."""
    return f"{PREFIX}/{factor}/accuracy"


def error_ratio_key(factor: str) -> str:
    """Return the name of a factor's error ratio."""
    return f"{PREFIX}/{factor}/error-ratio"


def imagenet_x_metrics(predictions: Predictions, annotations: Annotations) -> dict[str, Metric]:
    """Return imagenet-x/accuracy, and each factor's accuracy (both percent) and error ratio.

    They are of the annotated images. Intervals: Wilson's for accuracies; for ratios the bootstrap's
    over images, drawn jointly for all factors, since a factor's images are among all images.
    Factors that no annotated image has are left out. Where the annotations are of other images,
    there is only imagenet-x/accuracy, with the reason.
    """
    rows, factors, problem = annotated(predictions, annotations)
    if problem:
        return {OVERALL: Metric(None, note=problem)}
    correct = correct_in_top(predictions, 1)[rows]
    counts = _counts(correct, factors)
    resampled = np.stack([_counts(correct, factors, drawn) for drawn in draws(len(rows))])
    metrics = {OVERALL: percentage(correct)}
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios, replicates = _error_ratios(counts), _error_ratios(resampled)
    for k in sorted({*annotations.factors.tolist()} - {-1}):
        factor, (wrong, right) = FACTORS[k], counts[k].tolist()
        metrics[accuracy_key(factor)] = proportion(right, wrong + right, scale=100)
        metrics[error_ratio_key(factor)] = bootstrapped(
            float(ratios[k]), replicates[:, k], wrong + right, UNDEFINED
        )
    return metrics


def _counts(correct: np.ndarray, factors: np.ndarray, drawn: slice | np.ndarray = slice(None)):
    """Return how many images are wrong and right, (F + 1, 2): by factor, and last without one."""
    group = 2 * (factors % (len(FACTORS) + 1)) + correct
    return np.bincount(group[drawn], minlength=2 * len(FACTORS) + 2).reshape(-1, 2)


def _error_ratios(counts: np.ndarray) -> np.ndarray:
    """Return each factor's error rate over that of all images, (…, F), from (…, F + 1, 2)."""
    wrong, images = counts[..., 0], counts.sum(axis=-1)
    overall = wrong.sum(axis=-1) / images.sum(axis=-1)
    return (wrong / images)[..., :-1] / overall[..., None]


def annotated(
    predictions: Predictions, annotations: Annotations
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return which rows of the predictions are annotated, (M,), their factors, (M,), and "".

    Or why the annotations cannot be of these images: none is among them, or one has another label.
    """
    numbers = [val_number(Path(name).stem) for name in predictions.images]
    index = {number: k for k, number in enumerate(annotations.numbers.tolist())}
    rows = np.array([k for k, number in enumerate(numbers) if number in index], dtype=np.int64)
    chosen = np.array([index[numbers[row]] for row in rows], dtype=np.int64)
    problem = "" if len(rows) else "none of the images is annotated"
    expected = _positions(predictions.classes)[annotations.classes[chosen]]
    other = np.flatnonzero(predictions.labels[rows] != expected)
    if len(other):
        name = predictions.images[rows[other[0]]]
        problem = f"the annotations are of other images: their label of {name} is another one"
    return rows, annotations.factors[chosen], problem


def _positions(classes: tuple[str, ...]) -> np.ndarray:
    """Return the position in a model's classes of each annotated class, -1 beyond them."""
    if len(classes) >= VAL_CLASSES and {*imagenet_classes()} <= {*classes}:
        places = {name: label for label, name in enumerate(classes)}
        return np.array([places[name] for name in imagenet_classes()])
    # Another data set's classes are annotated by position.
    return np.where(np.arange(VAL_CLASSES) < len(classes), np.arange(VAL_CLASSES), -1)
