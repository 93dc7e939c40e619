"""Bootstrap over images: the sampling uncertainty of derived numbers.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13. The same
images are drawn for all conditions, so that correlated errors (images that are hard under all
conditions) are not treated as independent.
"""

from collections.abc import Iterator
from math import isfinite

import numpy as np

from bvg.scores.metric import Metric, wilson

CONSTANT = "all, or nearly all, resamples give the same value"

_BLOCK_BYTES = 4 * 2**20  # memory of the weights in a block; fits into a cache
_MOST_UNDEFINED = 0.05


def draws(n: int, replicates: int = 1000, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield the positions of n images drawn with replacement, (n,) int32, for each replicate."""
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        yield generator.integers(n, size=n, dtype=np.int32)


def resampled_accuracies(correct: np.ndarray, replicates: int = 1000, seed: int = 0) -> np.ndarray:
    """Return the accuracies (replicates, C) in [0, 1] of N images resampled with replacement.

    correct: (N, C) bool, whether each image is right under each condition. A replicate draws the
    same images for all conditions. Equal arguments give equal bits on every machine, since only
    integers are summed. Raises ValueError if there is no image.
    """
    return resampled_counts(correct, replicates, seed) / len(correct)


def resampled_counts(correct: np.ndarray, replicates: int = 1000, seed: int = 0) -> np.ndarray:
    """Return how many of N images resampled with replacement are right, (replicates, C)."""
    n, conditions = correct.shape
    if n < 1:
        raise ValueError("no images to draw from")
    # Integers up to n, which are exact in float32 below 2**24.
    dtype = np.float32 if n < 2**24 else np.float64
    right = correct.astype(dtype)
    drawn = draws(n, replicates, seed)
    size = max(1, _BLOCK_BYTES // (n * right.itemsize))
    counts = np.empty((replicates, conditions))
    for start in range(0, replicates, size):
        block = counts[start : start + size]
        weights = np.empty((len(block), n), dtype)
        for row in weights:
            row[:] = np.bincount(next(drawn), minlength=n)
        block[:] = weights @ right
    return counts


def percentile_interval(
    values: np.ndarray, ends: tuple[float, float] = (2.5, 97.5)
) -> tuple[float, float] | None:
    """Return the central 95 % of the finite values, or None if they do not give an interval.

    ends: the two percentiles to return instead of 2.5 and 97.5.
    If more than 5 % of the replicates are undefined, the ends of a 95 % interval depend on their
    values. If both ends are equal, the resamples did not vary (for example, if all images are
    right), and a width of 0 would be misleading.
    """
    finite = _enough(values)
    if finite is None:
        return None
    low, high = np.percentile(finite, ends)
    return None if np.isclose(low, high, rtol=1e-12, atol=1e-12) else (float(low), float(high))


def reflected_interval(value: float, replicates: np.ndarray) -> tuple[float, float] | None:
    """Return the basic 95 % interval, 2 value - percentiles, or None as percentile_interval does.

    For statistics with a bias, such as means of absolute values: resampling adds the same bias once
    more, which the percentiles keep and the reflection takes away (Davison & Hinkley, "Bootstrap
    Methods and their Application", 1997, section 5.2).
    """
    interval = percentile_interval(replicates)
    return interval and (2 * value - interval[1], 2 * value - interval[0])


def _enough(values: np.ndarray) -> np.ndarray | None:
    """Return the finite values, or None if there are none or over 5 % are not finite."""
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    lost = values.size - finite.size
    return None if finite.size == 0 or lost > _MOST_UNDEFINED * values.size else finite


def bootstrapped(
    value: float,
    replicates: np.ndarray,
    n: int,
    undefined: str,
    constant: str = CONSTANT,
    share: tuple[float, int] | None = None,
) -> Metric:
    """Return a value of n images with the 95 % interval of its replicates.

    undefined: the note if the value or too many replicates are NaN.
    constant: the note if all replicates are equal, so that they give no interval.
    share: for an accuracy, its maximum (1 or 100) and a number of images; if it is 0 or the maximum
        in all resamples, the interval is Wilson's for that number of images.
    """
    if not isfinite(value):
        return Metric(None, n=n, note=undefined)
    interval = percentile_interval(replicates)
    if interval is None and _enough(replicates) is not None:
        if share and value in (0, share[0]):
            low, high = (
                share[0] * end for end in wilson(round(value / share[0]) * share[1], share[1])
            )
            return Metric(float(value), low, high, n, f"Wilson's interval: {constant}")
        return Metric(float(value), n=n, note=f"no interval: {constant}")
    if interval is None:
        lost = int((~np.isfinite(replicates)).sum())
        note = f"no interval: in {lost} of {len(replicates)} resamples, {undefined}"
        return Metric(float(value), n=n, note=note)
    return Metric(float(value), *interval, n)


def bootstrapped_mean(values: np.ndarray, undefined: str, is_share: bool = False) -> Metric:
    """Return the mean of (N,) values with its 95 % bootstrap interval over the N images or pairs.

    undefined: the note if there is none. is_share: whether they are true or false.
    """
    n = len(values)
    if not n:
        return Metric(None, note=undefined)
    means = np.array([values[drawn].mean() for drawn in draws(n)])
    share = (1, n) if is_share else None
    return bootstrapped(float(values.mean()), means, n, undefined, share=share)
