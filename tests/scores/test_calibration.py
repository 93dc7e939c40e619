"""The calibration error against its definition, and whether its interval keeps its promise."""

import numpy as np
import pytest

from bvg.predictions.table import Predictions
from bvg.scores.calibration import BINS, bins_of, calibration_metrics, gap_key, reliability
from oracles.calibration import expected_calibration_error

ECE, DEBIASED = "calibration/ece", "calibration/ece/debiased"
OVER = "calibration/overconfidence"


def table(confidence, correct) -> Predictions:
    """Return predictions of two classes, of which all images are of the first."""
    n = len(confidence)
    return Predictions(
        ("a", "b"),
        np.array([f"i{k}" for k in range(n)], object),
        np.full(n, "clean", object),
        np.zeros(n, np.int16),
        np.where(np.asarray(correct, bool), 0, 1).astype(np.int16).reshape(n, 1),
        np.asarray(confidence, np.float32),
        {},
    )


def sample(n: int, seed: int, excess: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidences and the right answers of a model too confident by a share `excess`."""
    rng = np.random.default_rng(seed)
    confidence = (0.2 + 0.8 * rng.beta(2, 1, n)).astype(np.float32)
    return confidence, rng.random(n) < confidence * (1 - excess)


def test_a_gap_in_two_bins_by_hand():
    metrics = calibration_metrics(table([0.9, 0.92, 0.5, 0.5], [1, 0, 1, 1]))
    # |.91 - .5| / 2 + |.5 - 1| / 2; too confident above, too cautious below.
    assert metrics[ECE].value == pytest.approx(0.455)
    assert metrics[OVER].value == pytest.approx(0.705 - 0.75)
    assert metrics[ECE].n == 4


def test_an_edge_belongs_to_the_lower_bin():
    edges = np.linspace(0, 1, BINS + 1)
    assert bins_of(edges).tolist() == [0, *range(BINS)]
    assert bins_of(np.nextafter(edges[:-1], 1)).tolist() == [*range(BINS)]


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_definition(seed):
    confidence, correct = sample(3_000, seed, 0.1 * seed)
    value = calibration_metrics(table(confidence, correct), replicates=20)[ECE].value
    assert value == pytest.approx(expected_calibration_error(confidence, correct), abs=1e-12)


def test_the_bins_of_the_diagram_make_up_the_error():
    confidence, correct = sample(500, 1, 0.2)
    gaps = reliability(table(confidence, correct))
    assert {*gaps} == {gap_key(k) for k in set(bins_of(confidence))} and len(gaps) < BINS
    assert sum(gap.n for gap in gaps.values()) == 500
    assert all(gap.low < gap.value < gap.high for gap in gaps.values() if gap.n > 20)
    expected = sum(abs(gap.value) * gap.n for gap in gaps.values()) / 500
    assert calibration_metrics(table(confidence, correct))[ECE].value == pytest.approx(expected)


def true_error(excess: float) -> float:
    """Return the error of an infinite sample: every image's gap has one sign."""
    confidence = 0.2 + 0.8 * np.random.default_rng(9).beta(2, 1, 1_000_000)
    return float(excess * confidence.mean())


@pytest.mark.parametrize("excess", [0.0, 0.05, 0.2])
def test_the_interval_holds_the_true_error_and_debiasing_comes_closer(excess):
    true, values, debiased, held = true_error(excess), [], [], []
    for seed in range(120):
        metrics = calibration_metrics(table(*sample(500, seed, excess)), replicates=200)
        values.append(metrics[ECE].value)
        debiased.append(metrics[DEBIASED].value)
        held.append(metrics[ECE].low <= true <= metrics[ECE].high)
    assert np.mean(held) >= 0.9
    bias = np.mean(values) - true
    assert bias > 0
    assert abs(np.mean(debiased) - true) < bias


def test_a_calibrated_model_is_told_what_chance_makes():
    metric = calibration_metrics(table(*sample(500, 3, 0.0)))[ECE]
    assert metric.low == 0 < metric.value <= metric.high
    by_chance = float(metric.note.split("have ")[1].split()[0])
    values = [expected_calibration_error(*sample(500, 100 + seed, 0.0)) for seed in range(60)]
    assert by_chance == pytest.approx(np.mean(values), rel=0.1)
    overconfident = calibration_metrics(table(*sample(500, 3, 0.3)))[ECE]
    assert overconfident.low > 0 and not overconfident.note


def test_an_interval_of_overconfidence_is_that_of_a_mean():
    confidence, correct = sample(2_000, 5, 0.1)
    metric = calibration_metrics(table(confidence, correct))[OVER]
    gaps = confidence.astype(float) - correct
    half = 1.96 * gaps.std() / 2_000**0.5
    assert metric.value == pytest.approx(gaps.mean(), abs=1e-7)
    assert (metric.low, metric.high) == pytest.approx(
        (gaps.mean() - half, gaps.mean() + half), abs=0.1 * half
    )


def test_what_does_not_vary_has_no_interval_and_no_image_no_value():
    metrics = calibration_metrics(table([1.0] * 5, [1] * 5))
    assert [metrics[name].value for name in (ECE, DEBIASED, OVER)] == [0, 0, 0]
    assert all(metric.low is None and metric.note for metric in metrics.values())
    assert all(metric.value is None for metric in calibration_metrics(table([], [])).values())
