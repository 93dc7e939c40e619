"""Top-k accuracy is correct / seen."""

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.accuracy import imagenet_accuracy


def _predictions(labels, answers) -> Predictions:
    count = len(labels)
    names = np.array([f"i{n}" for n in range(count)], dtype=object)
    return Predictions(
        tuple("abcdefg"),
        names,
        np.array(["clean"] * count, dtype=object),
        np.array(labels, np.int16),
        np.array(answers, np.int16),
        np.ones(count, np.float32),
        {},
    )


def test_top_one_and_top_five():
    answers = [[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [1, 2, 3, 4, 0], [1, 2, 3, 4, 5]]
    metrics = imagenet_accuracy(_predictions([0, 0, 0, 0], answers))
    assert metrics["top1_acc/imagenet"].value == 25
    assert metrics["top5_acc/imagenet"].value == 75
    assert metrics["top5_acc/imagenet"].n == 4


def test_a_label_is_not_found_beyond_the_kept_answers():
    metrics = imagenet_accuracy(_predictions([6], [[0, 1, 2, 3, 4]]))
    assert metrics["top5_acc/imagenet"].value == 0
