import numpy as np
import pandas as pd
import pytest

from bvg.analysis import ranks
from bvg.analysis.correlations import Group
from bvg.analysis.dependence import dependence, distance_correlation, xi
from oracles import dependence as oracle


def group_of(x, y) -> Group:
    frame = pd.DataFrame({"x": x, "y": y}, dtype=float)
    return Group(frame, np.array(["a"] * len(frame)))


def parabola(n: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(-1, 1, n) + 0.001 * np.random.default_rng(0).standard_normal(n)
    return x, x**2


@pytest.mark.parametrize("seed", range(3))
def test_distance_correlation_is_the_definition(seed):
    x, y = np.random.default_rng(seed).integers(0, 9, (2, 12)).astype(float)
    value, _ = distance_correlation(x, y, *ranks.shuffles(12, 10))
    assert value == pytest.approx(oracle.distance_correlation(x, y), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_xi_is_the_definition(seed):
    generator = np.random.default_rng(seed)
    x, y = generator.standard_normal(15), generator.integers(0, 6, 15).astype(float)
    assert xi(x, y) == pytest.approx(oracle.xi(x, y), abs=1e-12)


def test_xi_of_many_is_that_of_each_and_ties_in_x_stand_in_their_order():
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 9, (4, 40)).astype(float), generator.standard_normal(40)
    in_order = x + np.arange(40) / 1000
    expected = [oracle.xi(row, y) for row in in_order]
    assert xi(x, y) == pytest.approx(expected, abs=1e-12)
    assert xi(y, x) == pytest.approx([oracle.xi(y, row) for row in x], abs=1e-12)


def test_numbers_stay_what_they_were():
    """A column with a tie: how ties are broken and shuffled decides these digits."""
    x = [1.0, 2, 3, 4, 4, 5, 6, 7, 8, 9]
    row = dependence(group_of(x, [1.0, 5, 2, 9, 3, 4, 8, 6, 7, 0]), "x", "y")
    assert row["dcor"] == pytest.approx(0.49294754078226044, abs=1e-10)
    assert row["p_dcor"] == pytest.approx(0.4917541229385307, abs=1e-10)
    assert row["xi"] == pytest.approx(0.1049382716049383, abs=1e-10)
    assert row["p_xi"] == pytest.approx(0.4447776111944028, abs=1e-10)


def test_a_parabola_is_found_where_r_is_blind():
    row = dependence(group_of(*parabola(31)), "x", "y")
    assert abs(ranks.rank_correlation(*parabola(31))) < 0.05
    assert row["dcor"] > 0.4
    assert row["p_dcor"] < 0.01
    assert row["xi"] > 0.7
    assert row["p_xi"] < 0.01


def test_independent_columns_are_not():
    small = 0
    for seed in range(20):
        row = dependence(group_of(*np.random.default_rng(seed).standard_normal((2, 20))), "x", "y")
        small += (row["p_dcor"] < 0.05) + (row["p_xi"] < 0.05)
    assert small <= 6  # 2 of 40 are expected


def test_ties_leave_xi_out_with_the_reason():
    row = dependence(group_of([1, 1, 1, 2, 2, 2, 3, 3], range(8)), "x", "y")
    assert "xi" not in row
    assert row["note"] == "no ξ: only 38% of the values are distinct"
    assert row["dcor"] > 0.9


def test_a_few_ties_are_broken_in_every_way():
    x = np.array([1.0, 2, 3, 4, 4, 5, 6, 7, 8, 9])
    y = np.array([1.0, 5, 2, 9, 3, 4, 8, 6, 7, 0])
    both = [oracle.xi(x + jitter, y) for jitter in (np.eye(10)[4] * 0.1, np.eye(10)[3] * 0.1)]
    row = dependence(group_of(x, y), "x", "y")
    other = oracle.xi(y, x)
    assert row["xi"] == pytest.approx(max(np.mean(both), other), abs=0.05)


def test_of_many_models_some_are_drawn():
    row = dependence(group_of(*np.random.default_rng(0).standard_normal((2, 300))), "x", "y")
    assert row["n"] == 200


def test_what_has_no_dependence_says_why():
    assert dependence(group_of([1, 2], [1, 2]), "x", "y")["note"].startswith("only 2 model(s)")
    assert "the same value" in dependence(group_of([1, 1, 1], [1, 2, 3]), "x", "y")["note"]
