"""Rank correlation of many resamples at once.

Source: Spearman 1904; ties get their mean rank. A correlation with a constant is undefined (NaN).
"""

from functools import cache
from itertools import permutations
from math import factorial

import numpy as np
from scipy.stats import rankdata

RESAMPLES = 2000
PERMUTATIONS = 99_999  # so many that p-values survive being multiplied by the number of tests
MOST_NUMBERS = 4_800_000  # in an array of permutations; of many models, there are fewer
FEWEST = 3  # models; with two, every correlation is 1 or -1
_EPSILON = 1e-9  # correlations that differ by less are equal: sums in another order


def unit_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks along the last axis, of mean 0 and norm 1: their products sum to r.

    NaN where all values are equal.
    """
    ranks = rankdata(values, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    norm = np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
    return np.divide(ranks, norm, out=np.full_like(ranks, np.nan), where=norm > _EPSILON)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's r along the last axis of two arrays, whose other axes broadcast."""
    return np.clip((unit_ranks(x) * unit_ranks(y)).sum(axis=-1), -1, 1)


def partial_correlation(r_xy, r_xz, r_yz) -> np.ndarray:
    """Return the correlation of x and y given z, from the three plain ones (numbers or arrays).

    NaN where z alone determines x or y.
    """
    r_xy, r_xz, r_yz = (np.asarray(r, dtype=float) for r in (r_xy, r_xz, r_yz))
    rest = (1 - r_xz**2) * (1 - r_yz**2)
    left = np.where(rest > _EPSILON, rest, np.nan)
    return np.clip((r_xy - r_xz * r_yz) / np.sqrt(left), -1, 1)


def draws(strata: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """Return positions (resamples, n) drawn with replacement, within each stratum alone.

    strata: (n,) what each of the n models belongs to; all equal for a plain bootstrap.
    """
    generator = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(strata)), dtype=np.intp)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        drawn[:, members] = members[
            generator.integers(len(members), size=(resamples, len(members)))
        ]
    return drawn


@cache
def shuffles(n: int, most: int) -> tuple[np.ndarray, bool]:
    """Return permutations (P, n) of n positions, and whether these are all permutations.

    All n! where these are at most `most` + 1, else `most` random ones, fewer for many positions.
    """
    if factorial(min(n, 20)) <= most + 1:
        return np.array([*permutations(range(n))], dtype=np.intp), True
    generator = np.random.default_rng(0)
    rows = min(most, MOST_NUMBERS // n)
    return generator.permuted(np.tile(np.arange(n), (rows, 1)), axis=1), False


def random_subset(n: int, most: int) -> np.ndarray:
    """Return the positions, in order, of `most` of n models, drawn at random; all of fewer."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))


def permutation_p(observed: float, shuffled: np.ndarray, every: bool) -> float:
    """Return the share of permutations whose statistic is at least as large as the observed one.

    every: whether `shuffled` (P,) are all permutations, among them the observed one; if not, the
    observed one is counted besides, so that p is never 0 (Phipson & Smyth 2010).
    """
    if not np.isfinite(observed):
        return float("nan")
    extreme = int((shuffled >= observed - _EPSILON).sum())
    return extreme / len(shuffled) if every else (1 + extreme) / (1 + len(shuffled))
