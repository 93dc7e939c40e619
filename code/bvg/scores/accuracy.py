"""Accuracy from predictions, overall and under each condition."""

from dataclasses import replace

import numpy as np
import pandas as pd

from bvg.data.categories import CATEGORY_INDICES
from bvg.data.imagenet import VAL_CLASSES
from bvg.predictions.table import Predictions
from bvg.scores.metric import Metric, percentage


def correct_in_top(predictions: Predictions, k: int) -> np.ndarray:
    """Return whether the label is among the k best answers, (N,) bool."""
    return (predictions.answers[:, :k] == predictions.labels[:, None]).any(axis=1)


def accuracy(predictions: Predictions, k: int) -> Metric:
    """Return the top-k accuracy in percent: correct images / images, not a mean of batches."""
    return percentage(correct_in_top(predictions, k))


def top1_and_top5(predictions: Predictions, key: str) -> dict[str, Metric]:
    """Return top1_acc/<key> and top5_acc/<key>."""
    return {f"top{k}_acc/{key}": accuracy(predictions, k) for k in (1, 5)}


def imagenet_accuracy(predictions: Predictions) -> dict[str, Metric]:
    """Return top-1 and top-5 accuracy under the study's keys."""
    return top1_and_top5(predictions, "imagenet")


def subset_accuracy(predictions: Predictions, key: str) -> dict[str, Metric]:
    """Return the accuracies among the classes of a data set, and among all classes of the model.

    The former, <key>, are from the predictions' answers; the latter, <key>/1000-way (or another
    number of classes), from the columns unrestricted_1, unrestricted_2, ….
    """
    names = [name for name in predictions.columns if name.startswith("unrestricted_")]
    unrestricted = np.stack([predictions.columns[name] for name in names], axis=1)
    among_all = top1_and_top5(
        replace(predictions, answers=unrestricted), f"{key}/{len(predictions.classes)}-way"
    )
    return top1_and_top5(predictions, key) | among_all


def by_condition(predictions: Predictions, values: np.ndarray) -> np.ndarray:
    """Return (N,) row values as (images, conditions), conditions as in `condition_names`.

    Images are in the order of the rows. Raises ValueError if an image lacks a condition.
    """
    image_of, images = pd.factorize(predictions.images)
    condition_of, conditions = pd.factorize(predictions.conditions)
    place = image_of * len(conditions) + condition_of
    if len(values) != len(images) * len(conditions) or len(np.unique(place)) != len(place):
        raise ValueError("not every image was measured under every condition")
    table = np.empty(len(place), values.dtype)
    table[place] = values
    return table.reshape(len(images), len(conditions))


def right_and_shown(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Return whether top-1 is correct, and whether the image is shown, under each condition.

    Both (images, conditions) bool, in the order of the rows; where conditions have other images.
    """
    image_of, images = pd.factorize(predictions.images)
    condition_of, conditions = pd.factorize(predictions.conditions)
    right = np.zeros((len(images), len(conditions)), bool)
    shown = right.copy()
    right[image_of, condition_of] = correct_in_top(predictions, 1)
    shown[image_of, condition_of] = True
    return right, shown


def top1_by_condition(predictions: Predictions) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the conditions, and whether top-1 is correct, (images, conditions) bool."""
    correct = by_condition(predictions, correct_in_top(predictions, 1))
    return predictions.condition_names, correct


def condition_accuracies(conditions: tuple[str, ...], correct: np.ndarray) -> dict[str, Metric]:
    """Return the accuracy in percent under each condition, as top1_acc/<condition>.

    correct: (images, conditions) bool.
    """
    return {
        f"top1_acc/{condition}": percentage(right)
        for condition, right in zip(conditions, correct.T, strict=True)
    }


def category_correct(predictions: Predictions, answers: np.ndarray | None = None) -> np.ndarray:
    """Return whether the category is right, (images of the 16 categories, conditions) bool.

    answers: (N,) the category answered in each row (default: the column `category`).

    Only images whose ImageNet class belongs to one of the 16 entry-level categories count (207 of
    1000 classes; Geirhos et al. 2018), since no answer would be right for the others.
    """
    wanted = category_of_class()[predictions.labels]
    answers = predictions.columns["category"] if answers is None else answers
    right = by_condition(predictions, answers == wanted)
    return right[by_condition(predictions, wanted >= 0)[:, 0]]


def category_of_class() -> np.ndarray:
    """Return the number of the category of each ImageNet class, (1000,), -1 for none."""
    category_of = np.full(VAL_CLASSES, -1)
    for category, indices in enumerate(CATEGORY_INDICES.values()):
        category_of[list(indices)] = category
    return category_of
