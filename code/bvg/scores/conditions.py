"""Accuracy under each condition of a benchmark."""

import numpy as np
import pandas as pd

from bvg.data.categories import CATEGORY_INDICES
from bvg.data.imagenet import VAL_CLASSES
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import correct_in_top
from bvg.scores.metric import Metric, proportion


def by_condition(predictions: Predictions, values: np.ndarray) -> np.ndarray:
    """Return (images, conditions) from (N,) row values, conditions as in `condition_names`.

    Images are in the order in which they were first measured. Raises ValueError when some image
    lacks a condition.
    """
    image_of, images = pd.factorize(predictions.images)
    condition_of, conditions = pd.factorize(predictions.conditions)
    place = image_of * len(conditions) + condition_of
    if len(values) != len(images) * len(conditions) or len(np.unique(place)) != len(place):
        raise ValueError("not every image was measured under every condition")
    table = np.empty(len(place), values.dtype)
    table[place] = values
    return table.reshape(len(images), len(conditions))


def top1_by_condition(predictions: Predictions) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the conditions, and which images are right under which, (images, conditions) bool."""
    correct = by_condition(predictions, correct_in_top(predictions, 1))
    return predictions.condition_names, correct


def condition_accuracies(
    conditions: tuple[str, ...], correct: np.ndarray, prefix: str = "top1_acc/"
) -> dict[str, Metric]:
    """Return the accuracy in percent under each condition, named `prefix` + condition.

    correct: (images, conditions) bool.
    """
    hits = correct.sum(axis=0)
    return {
        prefix + condition: proportion(int(hit), len(correct), scale=100)
        for condition, hit in zip(conditions, hits, strict=True)
    }


def category_correct(predictions: Predictions, column: str = "category") -> np.ndarray:
    """Return whether a column of categories is right, (images of the 16 categories, conditions).

    Only images whose ImageNet class belongs to one of the 16 entry-level categories count (207 of
    1000 classes; Geirhos et al. 2018): of the others no answer would be right.
    """
    wanted = category_of_class()[predictions.labels]
    right = by_condition(predictions, predictions.columns[column] == wanted)
    return right[by_condition(predictions, wanted >= 0)[:, 0]]


def category_of_class() -> np.ndarray:
    """Return the number of the category that each ImageNet class belongs to, (1000,), -1 for none.

    The categories are the 16 of Geirhos et al. 2018.
    """
    category_of = np.full(VAL_CLASSES, -1)
    for category, indices in enumerate(CATEGORY_INDICES.values()):
        category_of[list(indices)] = category
    return category_of
