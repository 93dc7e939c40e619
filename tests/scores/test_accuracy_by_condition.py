"""Accuracy by condition, and among the 16 categories."""

import numpy as np
import pytest

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import by_condition, category_correct, condition_accuracies, correct_in_top


def table(images, conditions, labels, answers, category=None) -> Predictions:
    columns = {} if category is None else {"category": np.array(category, np.int16)}
    return Predictions(
        imagenet_classes(),
        np.array(images, object),
        np.array(conditions, object),
        np.array(labels, np.int16),
        np.array(answers, np.int16)[:, None],
        np.ones(len(labels), np.float32),
        columns,
    )


def test_each_condition_is_counted_by_itself():
    predictions = table(list("aabbcc"), ["x", "y"] * 3, [1, 1, 2, 2, 3, 3], [1, 0, 2, 2, 0, 0])
    correct = by_condition(predictions, correct_in_top(predictions, 1))
    assert correct.tolist() == [[True, False], [True, True], [False, False]]
    metrics = condition_accuracies(predictions.condition_names, correct)
    assert metrics["top1_acc/x"].value == pytest.approx(200 / 3)
    assert metrics["top1_acc/y"].value == pytest.approx(100 / 3)
    assert metrics["top1_acc/y"].n == 3


def test_a_missing_condition_is_noticed():
    predictions = table(list("aab"), ["x", "y", "x"], [1, 1, 2], [1, 0, 2])
    with pytest.raises(ValueError, match="not every image"):
        by_condition(predictions, correct_in_top(predictions, 1))
    twice = table(list("aabb"), ["x", "y", "x", "x"], [1, 1, 2, 2], [1, 0, 2, 2])
    with pytest.raises(ValueError, match="not every image"):
        by_condition(twice, correct_in_top(twice, 1))


def test_rows_may_come_condition_by_condition():
    predictions = table(list("abcabc"), ["x"] * 3 + ["y"] * 3, [1, 2, 3] * 2, [1, 2, 0, 0, 2, 0])
    correct = by_condition(predictions, correct_in_top(predictions, 1))
    assert correct.tolist() == [[True, False], [True, True], [False, False]]


def test_only_images_of_the_16_categories_count_among_them():
    dog, cat, tench = CATEGORY_INDICES["dog"][3], CATEGORY_INDICES["cat"][0], 0
    k_dog, k_cat = CATEGORIES.index("dog"), CATEGORIES.index("cat")
    predictions = table(
        list("aabbcc"),
        ["x", "y"] * 3,
        [dog, dog, tench, tench, cat, cat],
        [0] * 6,
        [k_dog, k_cat, k_dog, 0, k_cat, k_cat],
    )
    assert category_correct(predictions).tolist() == [[True, False], [True, True]]
