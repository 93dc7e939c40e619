"""Cohen's kappa against a plain loop and scikit-style definitions, its edge cases and intervals."""

import math

import numpy as np
import pandas as pd
import pytest

from bvg.scores.error_consistency import (
    consistencies,
    consistency_matrix,
    draws,
    error_consistency,
    kappas,
    mean_of_defined,
)


def slow_kappa(one, other):
    n = len(one)
    p1, p2 = sum(one) / n, sum(other) / n
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    expected = p1 * p2 + (1 - p1) * (1 - p2)
    return math.nan if expected == 1 else (observed - expected) / (1 - expected)


def test_kappa_equals_the_definition_on_random_observers():
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 160):
        for _ in range(50):
            one, other = rng.random((2, n)) < rng.random((2, 1))
            expected = slow_kappa(one.tolist(), other.tolist())
            assert error_consistency(one, other) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_edge_cases():
    half = [True, False, True, False]
    opposite = [not right for right in half]
    assert error_consistency(half, half) == 1
    assert error_consistency(half, opposite) == -1
    assert error_consistency([True] * 4, half) == 0
    assert error_consistency([False] * 3, [True, False, False]) == 0  # exactly, without rounding
    assert error_consistency([True] * 4, [False] * 4) == 0
    for constant in (True, False):
        assert math.isnan(error_consistency([constant] * 4, [constant] * 4))
    assert math.isnan(error_consistency([], []))


def test_images_that_only_one_has_seen_do_not_count():
    one = np.array([[1, 0, 1, 0, np.nan, 1]]).T
    other = np.array([[1, 0, 0, 1, 1, np.nan]]).T
    assert kappas(one, other)[0, 0] == error_consistency([1, 0, 1, 0], [1, 0, 0, 1])


def test_a_resample_equals_repeating_the_images():
    rng = np.random.default_rng(1)
    one, other = (rng.random((2, 40, 3)) < 0.6).astype(float)
    weights = draws(40, rng, replicates=20)
    assert (weights.sum(axis=1) == 40).all()
    ours = kappas(one, other, weights)
    for row, times in enumerate(weights.astype(int)):
        for pair in range(3):
            expected = slow_kappa(
                np.repeat(one[:, pair], times).tolist(), np.repeat(other[:, pair], times).tolist()
            )
            assert ours[row, pair] == pytest.approx(expected, abs=1e-12)


def _table(columns: dict[str, list[float]], condition: str = "a") -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    index = pd.MultiIndex.from_product([[condition], [f"{k:04d}" for k in range(count)]])
    return pd.DataFrame(columns, index=index, dtype=float)


def test_means_are_over_pairs_then_conditions_and_excluded_ones_do_not_count():
    first = _table({"m": [1, 0, 1, 0], "h": [1, 0, 1, 1], "g": [0, 1, 0, 1]})
    second = _table({"m": [1, 1, 0, 0], "h": [1, 0, 0, 0], "g": [1, 1, 1, 0]}, "b")
    excluded = _table({"m": [1, 1, 0, 0], "h": [1, 1, 0, 0], "g": [1, 1, 0, 0]}, "c")
    right = pd.concat([first, second, excluded])
    found = consistencies(right, {"m": [("m", "h"), ("m", "g")]}, ["a", "b", "not there"])["m"]
    by_hand = []
    for table in (first, second):
        pairs = [slow_kappa(table["m"].tolist(), table[o].tolist()) for o in ("h", "g")]
        by_hand.append(sum(pairs) / 2)
    assert found.value == pytest.approx(sum(by_hand) / 2)
    assert [m.value for m in found.conditions.values()] == pytest.approx(by_hand)
    assert [*found.conditions] == ["a", "b"]
    assert (found.images, found.undefined, found.compared) == (8, 0, 4)


def test_undefined_kappas_are_left_out_and_counted():
    right = _table({"m": [1, 1, 1, 1], "h": [1, 1, 1, 1], "g": [1, 0, 1, 1]})
    both = consistencies(right, {"m": [("m", "h"), ("m", "g")]}, ["a"])["m"]
    assert both.value == 0
    assert "1 of 2 kappas are undefined and left out" in both.metric().note
    none = consistencies(right, {"m": [("m", "h")]}, ["a"])["m"].metric()
    assert none.value is None
    assert "or wrong on all: kappa is 0 / 0" in none.note


def test_no_image_in_common_is_said():
    nan = math.nan
    right = _table({"m": [1, 0, nan, nan], "h": [nan, nan, 1, 0]})
    metric = consistencies(right, {"m": [("m", "h")]}, ["a"])["m"].metric()
    assert (metric.value, metric.n) == (None, 0)
    assert "no image in common" in metric.note


def test_equal_calls_give_equal_bits_and_data_sets_other_draws():
    rng = np.random.default_rng(2)
    right = _table({name: (rng.random(60) < 0.6).tolist() for name in "mh"})
    pairs = {"m": [("m", "h")]}
    one, again, other = (consistencies(right, pairs, ["a"], seed)["m"] for seed in (1, 1, 2))
    assert (one.replicates == again.replicates).all()
    assert (one.replicates != other.replicates).any()
    assert one.value == other.value


def test_about_95_percent_of_the_intervals_cover_the_truth():
    """Two observers whose errors share a cause; kappa of a million images is the truth."""
    rng = np.random.default_rng(3)

    def observers(n):
        shared = rng.random(n) < 0.5
        return ((shared | (rng.random(n) < 0.3)).astype(float) for _ in range(2))

    one, other = observers(1_000_000)
    truth = error_consistency(one, other)
    covered = 0
    for trial in range(100):
        one, other = observers(160)
        right = _table({"m": one.tolist(), "h": other.tolist()})
        metric = consistencies(right, {"m": [("m", "h")]}, ["a"], seed=trial)["m"].metric()
        covered += metric.low <= truth <= metric.high
    assert 88 <= covered <= 99


def test_the_matrix_is_the_mean_of_data_sets_for_every_pair():
    rng = np.random.default_rng(4)
    rights = {
        name: pd.concat(
            [
                _table({o: (rng.random(30) < 0.5).tolist() for o in "xyz"}, condition)
                for condition in ("a", "b")
            ]
        )
        for name in ("one", "two")
    }
    matrix = consistency_matrix(rights, {"one": ("a", "b"), "two": ("b",)})
    assert (matrix.to_numpy() == matrix.to_numpy().T).all()
    assert (np.diag(matrix) == 1).all()

    def value(name, condition):
        table = rights[name].loc[condition]
        return slow_kappa(table["x"].tolist(), table["z"].tolist())

    expected = ((value("one", "a") + value("one", "b")) / 2 + value("two", "b")) / 2
    assert matrix.loc["z", "x"] == pytest.approx(expected, abs=1e-12)


def test_the_mean_of_defined_values():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    assert mean_of_defined(values)[0] == 2
    assert math.isnan(mean_of_defined(values)[1])


@pytest.mark.parametrize("answers", [([1, 0, 1, 0], [1, 0, 1, 0]), ([1, 1, 0, 1], [0, 0, 0, 0])])
def test_a_kappa_that_resampling_cannot_vary_has_no_interval(answers):
    one, other = answers
    right = _table({"m": one * 10, "h": other * 10})
    metric = consistencies(right, {"m": [("m", "h")]}, ["a"])["m"].metric()
    assert metric.value == slow_kappa(one, other)
    assert metric.low is metric.high is None
    assert metric.note
