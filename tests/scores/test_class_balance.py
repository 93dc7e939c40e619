"""Class balance against its definition."""

from dataclasses import replace

import numpy as np
import pytest

from bvg.predictions.table import LABEL_PROBABILITY, Predictions
from bvg.scores.class_balance import class_balance_metrics
from oracles.calibration import class_balance

KEYS = ("class-balance/accuracy", "class-balance/confidence", "class-balance")


def table(labels, correct, probability) -> Predictions:
    n, labels = len(labels), np.asarray(labels, np.int16)
    return Predictions(
        tuple("abcdefgh"),
        np.array([f"i{k}" for k in range(n)], object),
        np.full(n, "clean", object),
        labels,
        np.where(np.asarray(correct, bool), labels, (labels + 1) % 8).astype(np.int16)[:, None],
        np.ones(n, np.float32),
        {LABEL_PROBABILITY: np.asarray(probability, np.float32)},
    )


def sample(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels in mixed order, classes of different size and difficulty."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(8, n, p=np.arange(1, 9) / 36)
    probability = rng.random(n) ** (0.3 + labels / 4)
    return labels, rng.random(n) < probability, probability.astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_definition(seed):
    data = sample(400, seed)
    metrics = class_balance_metrics(table(*data), replicates=10)
    assert [metrics[key].value for key in KEYS] == pytest.approx(class_balance(*data), abs=1e-7)
    assert {metrics[key].n for key in KEYS} == {400}


def test_by_hand():
    metrics = class_balance_metrics(table([0, 0, 3, 3], [1, 1, 1, 0], [0.9, 0.7, 0.6, 0.6]))
    # Accuracies 1 and .5, whose spread is .5 / √2; probabilities of spread .1 and 0.
    assert metrics[KEYS[0]].value == pytest.approx(1 - 0.5 / 2**0.5)
    assert metrics[KEYS[1]].value == pytest.approx(0.95)
    assert metrics[KEYS[2]].value == pytest.approx((0.95 * (1 - 0.5 / 2**0.5)) ** 0.5)


def test_intervals_hold_the_balance_of_a_large_sample():
    large = class_balance_metrics(table(*sample(200_000, 50)), replicates=2)
    held = dict.fromkeys(KEYS, 0)
    for seed in range(60):
        metrics = class_balance_metrics(table(*sample(1_600, seed)), replicates=200)
        for key, metric in metrics.items():
            assert metric.low <= metric.value <= metric.high <= 1
            held[key] += metric.low <= large[key].value <= metric.high
    assert min(held.values()) >= 0.88 * 60


def test_without_the_column_only_the_accuracies_balance_is_known():
    predictions = table(*sample(200, 1))
    whole = class_balance_metrics(predictions)
    metrics = class_balance_metrics(replace(predictions, columns={}))
    assert metrics[KEYS[0]] == whole[KEYS[0]]
    for key in KEYS[1:]:
        assert metrics[key].value is None
        assert "--overwrite" in metrics[key].note


def test_one_class_has_no_balance():
    metrics = class_balance_metrics(table([2, 2], [1, 0], [0.5, 0.5]))
    assert all(metric.value is None and metric.note for metric in metrics.values())


def test_few_images_per_class_have_no_interval():
    few = class_balance_metrics(table(*sample(100, 2)))
    assert all(metric.low is None and metric.note for metric in few.values())
    assert few["class-balance"].value is not None


def test_classes_alike_have_no_interval():
    metrics = class_balance_metrics(table([0, 1] * 20, [1] * 40, [1] * 40))
    assert [metrics[key].value for key in KEYS] == [1, 1, 1]
    assert all(metric.low is None and metric.note for metric in metrics.values())
