"""Dependence that need not be monotonic: distance correlation, and Chatterjee's ξ.

Sources: Székely, Rizzo & Bakirov, Annals of Statistics 2007; Chatterjee, "A New Coefficient of
Correlation", JASA 2021.

ξ is SciPy's. Distance correlation is computed here, since the package dcor needs numba and llvmlite
(208 MB) and 7 s to be imported, for the ten lines below; its values are the same to 1e-14.
"""

from typing import Any

import numpy as np
from scipy.stats import chatterjeexi, rankdata

from bvg.analysis import ranks
from bvg.analysis.correlations import Group, undefined

SHUFFLES = 2000
MOST_MODELS = (
    200  # the distances of all pairs are permuted; of more models, as many drawn at random
)
TIE_BREAKS = 100
_BLOCK = 200_000  # numbers that are permuted at a time: they fit into a cache
FEW_TIES = 0.8  # share of distinct values from which ξ is reported


def dependence(group: Group, bias: str, target: str) -> dict[str, Any]:
    """Return distance correlation and ξ of one bias and one benchmark, with permutation p."""
    rows = group.complete(bias, target)
    x, y = (group.values[name].to_numpy()[rows] for name in (bias, target))
    kept = ranks.random_subset(len(x), MOST_MODELS)
    x, y = x[kept], y[kept]
    row: dict[str, Any] = {"bias": bias, "target": target, "n": len(x)}
    if note := undefined(x, y):
        return row | {"note": note}
    order, every = ranks.shuffles(len(x), SHUFFLES)
    row["dcor"], row["p_dcor"] = distance_correlation(x, y, order, every)
    share = min(len(np.unique(x)), len(np.unique(y))) / len(x)
    if share < FEW_TIES:
        return row | {"note": f"no ξ: only {share:.0%} of the values are distinct"}
    row["xi"], row["p_xi"] = symmetrised_xi(x, y, order, every)
    return row | {"note": ""}


def distance_correlation(
    x: np.ndarray, y: np.ndarray, order: np.ndarray, every: bool
) -> tuple[float, float]:
    """Return the distance correlation of two columns (n,), in [0, 1], and its permutation p.

    order: permutations (P, n) of the models; every: whether these are all there are.
    """
    a, b = _centred(x), _centred(y)
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    if scale == 0:
        return float("nan"), float("nan")
    size = max(1, _BLOCK // len(x) ** 2)
    blocks = (order[start : start + size] for start in range(0, len(order), size))
    shuffled = np.concatenate(
        [np.einsum("ij,pij->p", a, b[p[:, :, None], p[:, None, :]]) for p in blocks]
    )
    shuffled /= scale
    observed = float((a * b).sum() / scale)
    return float(np.sqrt(max(observed, 0))), ranks.permutation_p(observed, shuffled, every)


def _centred(x: np.ndarray) -> np.ndarray:
    """Return the distances |x_i - x_j| (n, n) without the means of their rows and columns."""
    distances = np.abs(x[:, None] - x)
    means = distances.mean(axis=0)
    return distances - means - means[:, None] + distances.mean()


def symmetrised_xi(
    x: np.ndarray, y: np.ndarray, order: np.ndarray, every: bool
) -> tuple[float, float]:
    """Return the larger of ξ(x, y) and ξ(y, x), and its permutation p.

    Ties in what is sorted by are broken at random; each ξ is the mean over many ways to do so.
    """
    observed = max(_mean_xi(x, y), _mean_xi(y, x))
    shuffled = y[order]
    at_random = np.maximum(xi(x, shuffled), xi(shuffled, x))
    return observed, ranks.permutation_p(observed, at_random, every)


def _mean_xi(x: np.ndarray, y: np.ndarray) -> float:
    jitter = np.random.default_rng(0).random((TIE_BREAKS, len(x)))
    order = np.lexsort((jitter, np.broadcast_to(x, jitter.shape)))
    return float(xi(np.arange(len(x)), y[order]).mean())


def xi(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how far y is a function of x: ξ along the last axis; the other axes broadcast.

    About 0 for independent columns, near 1 where x determines y. Ties in x stand in their order.
    """
    x, y = np.broadcast_arrays(x, y)
    return chatterjeexi(rankdata(x, "ordinal", axis=-1), y, axis=-1).statistic
