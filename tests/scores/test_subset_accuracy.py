"""Accuracy among a data set's own classes, and among all."""

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.accuracy import subset_accuracy, top1_and_top5


def _predictions(answers, unrestricted, classes) -> Predictions:
    count = len(answers)
    return Predictions(
        classes,
        np.array([f"i{k}" for k in range(count)], object),
        np.array(["clean"] * count, object),
        np.zeros(count, np.int16),
        np.array(answers, np.int16),
        np.ones(count, np.float32),
        {
            f"unrestricted_{k + 1}": column
            for k, column in enumerate(np.array(unrestricted, np.int16).T)
        },
    )


ANSWERS = [[0, 6, 7], [6, 0, 7], [6, 7, 8], [0, 6, 7]]
UNRESTRICTED = [[1, 2, 0, 3, 4], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [0, 1, 2, 3, 4]]


def test_both_are_reported_under_names_of_their_own():
    predictions = _predictions(ANSWERS, UNRESTRICTED, tuple(map(str, range(1000))))
    metrics = subset_accuracy(predictions, "imagenet-a")
    assert {key: metric.value for key, metric in metrics.items()} == {
        "top1_acc/imagenet-a": 50,
        "top5_acc/imagenet-a": 75,
        "top1_acc/imagenet-a/1000-way": 25,
        "top5_acc/imagenet-a/1000-way": 50,
    }
    assert all(metric.n == 4 for metric in metrics.values())


def test_the_number_of_ways_is_the_models():
    predictions = _predictions(ANSWERS, UNRESTRICTED, tuple("abcdefghi"))
    assert "top1_acc/imagenet-r/9-way" in subset_accuracy(predictions, "imagenet-r")
    assert set(top1_and_top5(predictions, "x")) == {"top1_acc/x", "top5_acc/x"}
