"""Proportions and their intervals."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binomtest

from bvg.scores.metric import proportion, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 50), (7, 10), (361, 400), (50000, 50000)])
def test_wilson_equals_scipys(k, n):
    reference = binomtest(k, n).proportion_ci(method="wilson")
    low, high = wilson(k, n)
    assert low == pytest.approx(reference.low, abs=1e-12)
    assert high == pytest.approx(reference.high, abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1


def test_the_interval_covers_the_truth_about_95_times_in_100():
    draws = np.random.default_rng(0).binomial(200, 0.9, 4000)
    covered = np.mean([low <= 0.9 <= high for low, high in (wilson(int(k), 200) for k in draws)])
    assert 0.93 < covered < 0.97


def test_more_images_make_a_narrower_interval():
    widths = [np.diff(wilson(n // 4, n))[0] for n in (40, 400, 4000)]
    assert all(wide > narrow for wide, narrow in pairwise(widths))


def test_percent_and_nothing():
    metric = proportion(3, 4, scale=100)
    assert metric.value == 75
    assert metric.n == 4
    assert metric.low == pytest.approx(100 * wilson(3, 4)[0])
    assert proportion(0, 0).value is None
    assert proportion(0, 0).as_dict()["note"] == "no image"
    assert "note" not in metric.as_dict()
    with pytest.raises(ValueError, match="no images"):
        wilson(0, 0)
