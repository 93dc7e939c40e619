import numpy as np
import pytest
from scipy import stats

from bvg.analysis import ranks


def test_rank_correlations_with_ties_are_scipys():
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 6, (2, 50, 20)).astype(float)
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(ranks.rank_correlation(x, y), expected, atol=1e-12)


def test_a_constant_has_no_correlation():
    assert np.isnan(ranks.rank_correlation(np.ones(5), np.arange(5.0)))


def test_partial_correlation_is_that_of_the_residuals():
    generator = np.random.default_rng(1)
    x, y, z = generator.standard_normal((3, 30))
    x, y = x + z, y - z
    rank = [stats.rankdata(values) for values in (x, y, z)]
    left = [r - np.polyval(np.polyfit(rank[2], r, 1), rank[2]) for r in rank[:2]]
    expected = stats.pearsonr(*left).statistic
    r = [stats.spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z))]
    assert ranks.partial_correlation(*r) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(ranks.partial_correlation(0.5, 1.0, 0.5))  # z alone determines x


def test_draws_stay_within_their_strata():
    strata = np.array(list("aabbbc"))
    drawn = ranks.draws(strata, 500)
    assert drawn.shape == (500, 6)
    assert (strata[drawn] == strata).all()
    assert len(np.unique(drawn[:, 2])) == 3
    assert (drawn == ranks.draws(strata, 500)).all()
    assert (ranks.draws(np.zeros(6), 500).max(axis=1) == 5).mean() > 0.5


def test_few_models_have_all_their_permutations():
    order, every = ranks.shuffles(4, 99)
    assert every
    assert len({tuple(row) for row in order}) == len(order) == 24
    order, every = ranks.shuffles(9, 50)
    assert not every
    assert (np.sort(order, axis=1) == np.arange(9)).all()


def test_permutation_p_is_exact_for_few_models_and_never_zero_for_many():
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 3, 5, 4])
    expected = stats.permutation_test(
        (x,), lambda a: stats.spearmanr(a, y).statistic, permutation_type="pairings"
    ).pvalue
    order, every = ranks.shuffles(5, 999)
    a, b = ranks.unit_ranks(x), ranks.unit_ranks(y)
    assert ranks.permutation_p(abs(a @ b), np.abs(a[order] @ b), every) == pytest.approx(expected)
    assert ranks.permutation_p(1.0, np.zeros(99), False) == 0.01
    assert np.isnan(ranks.permutation_p(np.nan, np.zeros(9), False))


def test_some_of_many_are_drawn_without_repetition():
    assert ranks.random_subset(5, 9).tolist() == [0, 1, 2, 3, 4]
    drawn = ranks.random_subset(1000, 200)
    assert len(set(drawn.tolist())) == 200
    assert drawn.max() > 900
