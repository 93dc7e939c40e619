"""The sign-flip test equals enumeration, and McNemar's exact test for right answers."""

import numpy as np
import pytest
from scipy.stats import binomtest

from bvg.scores.sign_flip import EXACT_UP_TO, sign_flip_p
from oracles import sign_flip


@pytest.mark.parametrize("seed", range(12))
def test_it_equals_enumeration(seed):
    rng = np.random.default_rng(seed)
    whole = rng.integers(-200, 201, rng.integers(1, 12))
    whole[0] = 200  # so that the steps are whole numbers
    assert sign_flip_p(whole / 7) == pytest.approx(sign_flip.p_value(whole.tolist()), abs=1e-12)


@pytest.mark.parametrize(
    ("gained", "lost", "same"), [(0, 0, 5), (8, 0, 8), (40, 22, 60), (3, 9, 1)]
)
def test_of_right_answers_it_is_mcnemars(gained, lost, same):
    differences = np.array([1] * gained + [-1] * lost + [0] * same)
    expected = 1.0
    if gained + lost:
        expected = binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue
    assert sign_flip_p(differences) == pytest.approx(expected, rel=1e-9)


def test_rounding_and_the_approximation_hardly_matter():
    rng = np.random.default_rng(1)
    differences = rng.normal(0, 1, EXACT_UP_TO)
    differences += 0.18 - differences.mean()
    exact = sign_flip_p(differences)
    z = differences.sum() / np.sqrt(np.square(differences).sum())
    approximate = sign_flip_p(np.append(differences, 0.0))
    assert 2 < z < 4
    assert approximate == pytest.approx(exact, rel=0.1)


def test_under_the_null_hypothesis_it_rejects_as_often_as_it_says():
    rng = np.random.default_rng(2)
    found = np.array([sign_flip_p(rng.standard_t(3, 20)) for _ in range(2000)])
    for level in (0.01, 0.05, 0.5):
        sampling = np.sqrt(level * (1 - level) / len(found))
        assert np.mean(found <= level) == pytest.approx(level, abs=3.5 * sampling)


def test_no_difference_is_no_evidence():
    assert sign_flip_p(np.zeros(9)) == 1.0
    assert sign_flip_p(np.zeros(0)) == 1.0
    assert sign_flip_p(-np.ones(5)) == 1.0
