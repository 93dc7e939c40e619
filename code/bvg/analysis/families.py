"""Rank correlations of models that come in families, and how far each can be trusted.

Models of one architecture family are not independent of each other: what counts is how many
families there are. So whole families are resampled, and left out, not models.

Sources: Spearman 1904. Field & Welsh, "Bootstrapping Clustered Data", JRSS B 2007 (whole clusters
are drawn). Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician
2015 (the percentile interval, expanded as a t interval is, since with few clusters it is too
narrow). Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11 (jackknife).
Kish, "Survey Sampling", 1965 (effective number of clusters of unequal sizes). Bell & McCaffrey,
"Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples", Survey
Methodology 2002 (a jackknife over clusters has fewer degrees of freedom than there are clusters).
docs/beyond_48.md has the coverage of these intervals and the size of these tests, by simulation.
"""

from dataclasses import dataclass, field
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bvg.analysis import ranks
from bvg.scores.bootstrap import percentile_interval

RESAMPLES = 2000
FEWEST_FAMILIES = 5  # of fewer, intervals are too narrow in simulations: no interval, no p
FEWEST_MODELS = 10
_UNDEFINED = {"low": nan, "high": nan, "p": nan, "least": nan, "most": nan, "turns_without": ""}


@dataclass
class Sample:
    """Models with their families, all columns known, and the ranks of each column in resamples.

    values: (models, columns). families: (models,) what is resampled as a whole; names: which there
    are. weights: see weights_of; distinct: how many models are in each column of them. effective:
    Kish's effective number of families, which is small where few of them have most of the models.
    """

    values: pd.DataFrame
    families: np.ndarray
    _ranked: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        self.names, numbers, sizes = np.unique(
            self.families, return_inverse=True, return_counts=True
        )
        self.weights = weights_of(numbers, len(self.names))
        self.distinct = (self.weights > 0).sum(axis=0)
        self.effective = float(sizes.sum() ** 2 / (sizes**2).sum())

    def correlation(self, x: str, y: str) -> np.ndarray:
        """Return Spearman's r of two columns, once for each column of `weights`.

        NaN where fewer than ranks.FEWEST different models are left, whose r is ±1 in any case.
        """
        r = np.einsum("ij,ij,ij->j", self.weights, self._ranks(x), self._ranks(y))
        return np.where(self.distinct >= ranks.FEWEST, r, nan)

    def partial_correlation(self, x: str, y: str, z: str) -> np.ndarray:
        """Return Spearman's r of x and y given z, once for each column of `weights`.

        NaN where that determines x or y, or where one model more than for r is not left.
        """
        r = ranks.partial_correlation(
            self.correlation(x, y), self.correlation(x, z), self.correlation(y, z)
        )
        return np.where(self.distinct > ranks.FEWEST, r, nan)

    def _ranks(self, name: str) -> np.ndarray:
        if name not in self._ranked:
            self._ranked[name] = weighted_ranks(self.values[name].to_numpy(), self.weights)
        return self._ranked[name]


def weights_of(numbers: np.ndarray, families: int) -> np.ndarray:
    """Return how often each model counts, (models, 1 + RESAMPLES + families).

    The first column is all models, once. Then come the resamples, each of as many families as there
    are, drawn with replacement; then all models without each family. numbers: (models,) the number
    of each model's family.
    """
    drawn = np.random.default_rng(0).integers(families, size=(RESAMPLES, families))
    cells = drawn * RESAMPLES + np.arange(RESAMPLES)[:, None]
    counts = np.bincount(cells.ravel(), minlength=families * RESAMPLES)
    of_family = np.hstack(
        [np.ones((families, 1)), counts.reshape(families, RESAMPLES), 1 - np.eye(families)]
    )
    return of_family[numbers]


def weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the ranks (n, columns) of n values of which each counts several times.

    weights: (n, columns), how often. Ranks are those within the repeated values, ties at their mean
    rank, scaled so that in each column their weighted mean is 0 and the weighted sum of their
    squares 1; NaN in columns whose values are all equal.
    """
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    ends = np.append(starts[1:], len(values))
    upto = np.cumsum(weights[order], axis=0)[ends - 1]
    below = np.vstack([np.zeros_like(upto[:1]), upto[:-1]])
    which = np.empty(len(values), dtype=np.intp)  # of the distinct values
    which[order] = np.repeat(np.arange(len(starts)), ends - starts)
    found = ((below + upto) / 2)[which]
    # Without its only family, a sample is empty.
    found -= np.einsum("ij,ij->j", weights, found) / np.maximum(upto[-1], 1)
    squares = np.einsum("ij,ij,ij->j", weights, found, found)
    return found / np.sqrt(np.where(squares > 1e-9, squares, nan))


def trust(r: np.ndarray, sample: Sample) -> dict[str, Any]:
    """Return a correlation, its interval, p and range, from what a sample returns for it.

    low, high: 95 % interval; p: of r = 0; NaN with fewer than FEWEST_FAMILIES. least, most: range
    of r without each family; turns_without: the families without which its sign is another.
    """
    if not np.isfinite(r[0]):
        return {"r": nan} | _UNDEFINED
    resampled, without = r[1 : 1 + RESAMPLES], r[1 + RESAMPLES :]
    known = np.isfinite(without)
    row = {"r": float(r[0])} | _UNDEFINED
    if known.any():
        row |= {"least": float(without[known].min()), "most": float(without[known].max())}
        row["turns_without"] = ", ".join(sample.names[known & (without * r[0] < 0)])
    if len(sample.names) >= FEWEST_FAMILIES:
        interval = percentile_interval(resampled, expanded_ends(sample.effective))
        row["low"], row["high"] = interval or (nan, nan)
        row["p"] = jackknife_p(float(r[0]), without, sample.effective)
    return row


def expanded_ends(families: float) -> tuple[float, float]:
    """Return between which percentiles of the resamples the 95 % interval is.

    families: their effective number. As far out as a t interval with the sample standard deviation
    is (Hesterberg 2015); with few families, the interval ends at the extreme resamples.
    """
    wider = sqrt(families / (families - 1)) * stats.t.ppf(0.975, families - 1)
    below = 100 * float(stats.norm.cdf(-wider))
    return below, 100 - below


def jackknife_p(r: float, without: np.ndarray, effective: float) -> float:
    """Return the two-sided p of r = 0, from r without each family.

    A t test of Fisher's z, arctanh r, whose standard error is the jackknife's over families, with
    one degree of freedom less than the effective number of families. NaN where r, or r without a
    family, is undefined or ±1.
    """
    families = len(without)
    with np.errstate(divide="ignore", invalid="ignore"):
        z, left = np.arctanh(r), np.arctanh(without)
        error = np.sqrt((families - 1) / families * ((left - left.mean()) ** 2).sum())
        t = abs(z) / error
    return 2 * float(stats.t.sf(t, effective - 1)) if np.isfinite(t) else nan
