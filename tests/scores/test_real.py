"""ReaL accuracy against its definition."""

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.imagenet_real import in_real_labels, real_accuracy
from oracles.variants import real_accuracy as definition


def table(labels, answers, real) -> Predictions:
    count, width = len(labels), max(map(len, real))
    padded = np.array([[*own, *[-1] * (width - len(own))] for own in real], np.int16)
    return Predictions(
        tuple("abcdefg"),
        np.array([f"i{k}" for k in range(count)], object),
        np.array(["clean"] * count, object),
        np.array(labels, np.int16),
        np.array(answers, np.int16),
        np.ones(count, np.float32),
        {f"real_{k + 1}": padded[:, k] for k in range(width)},
    )


def test_any_of_an_images_labels_is_right_but_only_for_the_best_answer():
    predictions = table([0, 0, 2, 3], [[1, 0], [0, 1], [0, 2], [3, 4]], [[1, 0], [1], [2], [5, 3]])
    assert in_real_labels(predictions).tolist() == [True, False, False, True]
    metrics = real_accuracy(predictions)
    assert metrics["top1_acc/imagenet-real"].value == 50
    assert metrics["top1_acc/imagenet-real"].n == 4
    assert metrics["top1_acc/imagenet-real/original-label"].value == 50
    assert in_real_labels(table([0], [[0]], [[1]])).tolist() == [False]


def test_random_labels_give_what_plain_python_gives():
    rng = np.random.default_rng(5)
    real = [list(rng.choice(7, rng.integers(1, 5), replace=False)) for _ in range(500)]
    answers = [list(rng.permutation(7)[:5]) for _ in range(500)]
    value, count = definition(
        {f"i{k}": own[0] for k, own in enumerate(answers)},
        {f"i{k}": own for k, own in enumerate(real)},
    )
    metric = real_accuracy(table([0] * 500, answers, real))["top1_acc/imagenet-real"]
    assert (metric.value, metric.n) == (value, count)
    assert 20 < value < 50
