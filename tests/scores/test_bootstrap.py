import tracemalloc
from math import inf, nan

import numpy as np
import pytest

from bvg.scores import bootstrap
from bvg.scores.bootstrap import bootstrapped, percentile_interval, resampled_accuracies
from bvg.scores.metric import wilson


def some_answers(n: int, conditions: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.random((n, conditions)) < generator.random(conditions)


def test_it_is_the_mean_over_images_drawn_one_by_one():
    correct = some_answers(37, 5)
    generator = np.random.default_rng(3)
    slow = [
        np.mean([correct[image] for image in generator.integers(37, size=37, dtype=np.int32)], 0)
        for _ in range(20)
    ]
    np.testing.assert_allclose(resampled_accuracies(correct, 20, seed=3), slow, rtol=1e-15)


def test_the_blocks_do_not_show(monkeypatch):
    correct = some_answers(50, 4)
    whole = resampled_accuracies(correct, 30)
    monkeypatch.setattr(bootstrap, "_BLOCK_BYTES", 7 * 50 * 4)  # 7 replicates at a time
    np.testing.assert_array_equal(resampled_accuracies(correct, 30), whole)


def test_the_same_images_are_drawn_for_all_conditions():
    first = some_answers(200, 1)
    accuracies = resampled_accuracies(np.hstack([first, first, ~first]), 50)
    np.testing.assert_array_equal(accuracies[:, 0], accuracies[:, 1])
    np.testing.assert_allclose(accuracies[:, 0] + accuracies[:, 2], 1, rtol=1e-12)
    assert len(np.unique(accuracies[:, 0])) > 10


def test_a_seed_repeats_and_another_does_not():
    correct = some_answers(100, 3)
    np.testing.assert_array_equal(resampled_accuracies(correct), resampled_accuracies(correct))
    assert (resampled_accuracies(correct, seed=1) != resampled_accuracies(correct, seed=2)).any()


def test_shape_and_range():
    accuracies = resampled_accuracies(some_answers(40, 6), 25)
    assert accuracies.shape == (25, 6)
    assert accuracies.dtype == np.float64
    assert 0 <= accuracies.min() <= accuracies.max() <= 1
    assert (resampled_accuracies(np.ones((9, 2), bool), 5) == 1).all()


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="no images"):
        resampled_accuracies(np.zeros((0, 3), bool))


def test_a_large_set_needs_little_memory():
    correct = some_answers(50_000, 60)
    tracemalloc.start()
    resampled_accuracies(correct, 150)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24e6  # of which the answers as float32 are 12


def test_intervals_of_a_proportion_cover_it_as_often_as_they_say():
    # 400 data sets at once: the columns are independent, that they share draws does not matter.
    correct = np.random.default_rng(5).random((300, 400)) < 0.3
    replicates = resampled_accuracies(correct)
    intervals = [percentile_interval(column) for column in replicates.T]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.92 <= covered <= 0.975  # 0.95 ± two standard errors of 400 draws, and a little less


def test_percentiles_by_hand():
    assert percentile_interval(np.arange(1001)) == (25, 975)
    assert percentile_interval(np.full(7, 0.25)) is None  # a width of 0 would claim certainty
    assert percentile_interval(np.r_[np.full(990, 0.25), np.ones(10)]) is None
    assert percentile_interval(np.r_[np.full(900, 0.25), np.ones(100)]) == (0.25, 1)


def test_undefined_replicates_are_left_out_up_to_five_percent():
    values = np.arange(100.0)
    values[[3, 20, 50, 70, 98]] = nan, inf, -inf, nan, nan
    finite = values[np.isfinite(values)]
    assert percentile_interval(values) == tuple(np.percentile(finite, (2.5, 97.5)))
    values[0] = nan
    assert percentile_interval(values) is None
    assert percentile_interval(np.array([])) is None


def test_a_metric_says_why_it_has_no_value_or_no_interval():
    good = np.linspace(0, 1, 1001)
    metric = bootstrapped(0.5, good, 7, "it is odd")
    assert (metric.value, metric.n, metric.note) == (0.5, 7, "")
    assert (metric.low, metric.high) == pytest.approx((0.025, 0.975))

    metric = bootstrapped(nan, good, 7, "it is odd")
    assert (metric.value, metric.low, metric.high, metric.n) == (None, None, None, 7)
    assert metric.note == "it is odd"

    metric = bootstrapped(0.5, np.array([0.4, nan, 0.6, nan]), 7, "it is odd")
    assert (metric.value, metric.low, metric.high, metric.n) == (0.5, None, None, 7)
    assert metric.note == "no interval: in 2 of 4 resamples, it is odd"


@pytest.mark.parametrize(("value", "scale"), [(0.0, 1), (1.0, 1), (0.0, 100), (100.0, 100)])
def test_a_share_that_does_not_vary_has_wilsons_interval(value, scale):
    metric = bootstrapped(value, np.full(50, value), 20, "", share=(scale, 20))
    expected = [scale * end for end in wilson(round(20 * value / scale), 20)]
    assert (metric.low, metric.high) == pytest.approx(expected)
    assert metric.low < metric.high and metric.note


@pytest.mark.parametrize("value", [-0.2, 0.0, 0.4, 1.0])
def test_other_values_that_do_not_vary_have_no_interval_and_say_why(value):
    metric = bootstrapped(value, np.full(50, value), 20, "")
    assert (metric.value, metric.low, metric.high, metric.n) == (value, None, None, 20)
    assert "resamples" in metric.note
    between = bootstrapped(0.4, np.full(50, 0.4), 20, "", share=(1, 20))
    assert (between.value, between.low, between.high) == (0.4, None, None)
