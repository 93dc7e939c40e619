"""BG-gap and object focus, against counting; what pairing does to their intervals."""

import numpy as np
import pytest
import torch

from bvg.data.imagenet9 import CATEGORIES, VARIANTS
from bvg.predictions.table import Predictions
from bvg.run.decisions import top1_category
from bvg.scores.imagenet9 import FOCUS, GAP, imagenet9_metrics, key_of
from oracles import imagenet9 as oracle


def predictions_of(right: dict[str, dict[str, bool]]) -> Predictions:
    """Return predictions by variant and by object; a wrong one is of no category."""
    rows = [(v, image, ok) for v, of in right.items() for image, ok in of.items()]
    return Predictions(
        CATEGORIES,
        np.array([image for _, image, _ in rows], object),
        np.array([variant for variant, _, _ in rows], object),
        np.zeros(len(rows), np.int16),
        np.array([[0 if ok else -1] for *_, ok in rows], np.int16),
        np.ones(len(rows), np.float32),
        {},
    )


def drawn(seed: int, n: int = 400, paired: bool = True) -> Predictions:
    """Return predictions whose errors are correlated among variants: some objects are hard."""
    generator = np.random.default_rng(seed)
    hard = generator.random(n)
    shares = dict(zip(VARIANTS, (0.95, 0.85, 0.75, 0.7, 0.3, 0.2, 0.8, 0.5), strict=True))
    right = {}
    for variant, share in shares.items():
        order = generator.permutation(n)
        names = [f"{k}" if paired else f"{variant}/{k}" for k in order]
        right[variant] = dict(zip(names, (hard[order] < share).tolist(), strict=True))
    return predictions_of(right)


def test_values_equal_counting():
    predictions = drawn(0)
    metrics = imagenet9_metrics(predictions)
    right = predictions.answers[:, 0] == predictions.labels
    expected = oracle.accuracies([*zip(predictions.conditions, right, strict=True)])
    assert {v: metrics[key_of(v)].value for v in VARIANTS} == pytest.approx(expected)
    assert metrics[GAP].value == pytest.approx(oracle.gap(expected))
    assert metrics[FOCUS].value == pytest.approx(oracle.focus(expected))
    assert set(metrics) == {*map(key_of, VARIANTS), GAP, FOCUS}


def test_the_interval_is_that_of_paired_differences():
    predictions = drawn(1)
    metric = imagenet9_metrics(predictions)[GAP]
    right = predictions.answers[:, 0] == predictions.labels
    by_object = {
        variant: {
            image: float(ok)
            for image, of, ok in zip(predictions.images, predictions.conditions, right, strict=True)
            if of == variant
        }
        for variant in ("mixed_same", "mixed_rand")
    }
    differences = 100 * np.array(
        [by_object["mixed_same"][k] - by_object["mixed_rand"][k] for k in by_object["mixed_same"]]
    )
    half = 1.96 * differences.std() / np.sqrt(len(differences))
    assert metric.n == 400
    assert metric.low == pytest.approx(metric.value - half, abs=0.12 * half)
    assert metric.high == pytest.approx(metric.value + half, abs=0.12 * half)


def test_variants_of_different_objects_are_compared_as_independent():
    metric = imagenet9_metrics(drawn(1, paired=False))[GAP]
    assert metric.n == 800
    accuracy = imagenet9_metrics(drawn(1))
    shares = np.array([accuracy[key_of(v)].value / 100 for v in ("mixed_same", "mixed_rand")])
    half = 196 * np.sqrt((shares * (1 - shares) / 400).sum())
    assert metric.low == pytest.approx(metric.value - half, abs=0.12 * half)
    assert metric.high == pytest.approx(metric.value + half, abs=0.12 * half)


def test_focus_needs_an_original_that_is_right():
    wrong = {variant: {"a": False, "b": False} for variant in VARIANTS}
    metric = imagenet9_metrics(predictions_of(wrong))[FOCUS]
    assert metric.value is None and metric.note


def test_what_was_not_evaluated_is_named():
    some = {v: {"a": True, "b": False} for v in VARIANTS if v != "mixed_rand"}
    metrics = imagenet9_metrics(predictions_of(some))
    for key in (GAP, FOCUS):
        assert metrics[key].value is None and "mixed_rand" in metrics[key].note
    assert key_of("mixed_rand") not in metrics
    assert metrics[key_of("original")].value == 50


def test_the_answer_is_the_category_of_the_best_class():
    logits = torch.tensor([[0.0, 3, 1, 2], [5, 1, 5, 2], [0, 1, 2, 3]])
    columns = top1_category((2, -1, 0, 2))(logits)
    assert columns["answers"].tolist() == [[-1], [2], [2]]  # of equal logits, the lower class
    assert columns["answers"].dtype == torch.int16
    best = logits.double().softmax(dim=1).amax(dim=1)
    assert columns["confidence"].tolist() == pytest.approx(best.tolist())
