"""Accuracy on LAION-C, and the decision among superclasses, against plain Python."""

import numpy as np
import pytest
import torch

from bvg.data.imagenet import imagenet_classes
from bvg.data.laion_c import CORRUPTIONS, SEVERITIES, SUPERCLASS_INDICES, SUPERCLASSES
from bvg.predictions.table import Predictions
from bvg.run.decisions import best_groups
from bvg.scores.laion_c import laion_c_metrics

CONDITIONS = [f"{name}_{s}" for name in CORRUPTIONS for s in SEVERITIES]


def test_the_superclass_of_the_largest_mean_probability_is_the_answer():
    logits = torch.randn(50, 1000, generator=torch.Generator().manual_seed(0)) * 3
    columns = best_groups([*SUPERCLASS_INDICES.values()])(logits)
    assert len(imagenet_classes()) == 1000
    for row, answers, confidence in zip(
        logits.double().tolist(), columns["answers"], columns["confidence"], strict=True
    ):
        total = sum(np.exp(row))
        means = {
            label: sum(np.exp(row[index]) / total for index in indices) / len(indices)
            for label, indices in enumerate(SUPERCLASS_INDICES.values())
        }
        order = sorted(means, key=means.__getitem__, reverse=True)
        assert answers.tolist() == order[:5]
        assert confidence.item() == pytest.approx(means[order[0]], rel=1e-5)


def predictions_of(correct: dict[str, list[bool]], shared: bool = True) -> Predictions:
    """Return predictions that are right or wrong, of images that conditions share or not."""
    rows = [(c, k, right) for c, column in correct.items() for k, right in enumerate(column)]
    labels = np.array([k % 16 for _, k, _ in rows], np.int16)
    right = np.array([right for *_, right in rows])
    return Predictions(
        SUPERCLASSES,
        np.array([f"{k}" if shared else f"{c}/{k}" for c, k, _ in rows], object),
        np.array([c for c, *_ in rows], object),
        labels,
        np.where(right, labels, (labels + 1) % 16)[:, None].astype(np.int16),
        np.zeros(len(rows), np.float32),
        {},
    )


def random_answers(n: int = 40) -> dict[str, list[bool]]:
    generator = np.random.default_rng(0)
    rates = np.linspace(0.1, 0.9, len(CONDITIONS))
    return {c: (generator.random(n) < p).tolist() for c, p in zip(CONDITIONS, rates, strict=True)}


def test_means_by_corruption_and_over_all():
    correct = random_answers()
    metrics = laion_c_metrics(predictions_of(correct), "laion-c", CORRUPTIONS)
    value = {c: 100 * sum(column) / len(column) for c, column in correct.items()}
    for condition in CONDITIONS:
        assert metrics[f"top1_acc/laion-c/{condition}"].value == pytest.approx(value[condition])
    for name in CORRUPTIONS:
        expected = sum(value[f"{name}_{s}"] for s in SEVERITIES) / 5
        assert metrics[f"top1_acc/laion-c/{name}"].value == pytest.approx(expected)
    whole = metrics["top1_acc/laion-c"]
    assert whole.value == pytest.approx(sum(value.values()) / 30)
    assert whole.low < whole.value < whole.high and whole.n == 40
    assert "top1_acc/laion-c/measured" not in metrics


def test_conditions_of_different_sizes_have_equal_weight():
    correct = random_answers()
    correct["mosaic_3"] = [True] * 7
    value = laion_c_metrics(predictions_of(correct), "laion-c", CORRUPTIONS)
    expected = sum(100 * sum(column) / len(column) for column in correct.values()) / 30
    assert value["top1_acc/laion-c"].value == pytest.approx(expected)
    assert value["top1_acc/laion-c/mosaic_3"].n == 7


def test_a_missing_level_leaves_its_means_undefined():
    correct = random_answers()
    del correct["stickers_4"]
    metrics = laion_c_metrics(predictions_of(correct), "laion-c", CORRUPTIONS)
    assert metrics["top1_acc/laion-c"].value is None
    assert "stickers_4" in metrics["top1_acc/laion-c/stickers"].note
    assert metrics["top1_acc/laion-c/mosaic"].value is not None
    expected = sum(100 * sum(column) / len(column) for column in correct.values()) / 29
    assert metrics["top1_acc/laion-c/measured"].value == pytest.approx(expected)


def test_generated_conditions_have_keys_of_their_own():
    correct = {"clean": [True, False], "stickers_1": [False, True]}
    metrics = laion_c_metrics(predictions_of(correct), "laion-c-generated", ("stickers",))
    assert metrics["top1_acc/laion-c-generated/clean"].value == 50
    assert metrics["top1_acc/laion-c-generated/measured"].value == 50  # of stickers_1 alone
    assert all(key.startswith("top1_acc/laion-c-generated") for key in metrics)


def test_images_that_are_hard_everywhere_widen_the_interval():
    """The same images under all conditions: their means vary as much as a single accuracy."""
    right = (np.random.default_rng(0).random(200) < 0.4).tolist()
    width = {}
    for shared in (True, False):
        predictions = predictions_of(dict.fromkeys(CONDITIONS, right), shared)
        metric = laion_c_metrics(predictions, "laion-c", CORRUPTIONS)["top1_acc/laion-c"]
        width[shared] = metric.high - metric.low
    one = 2 * 1.96 * 100 * np.sqrt(0.4 * 0.6 / 200)
    assert width[True] == pytest.approx(one, rel=0.1)
    assert width[False] == pytest.approx(one / np.sqrt(30), rel=0.15)
