"""Bootstrap over images: how far a derived number may be off because other images were not drawn.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13. The same
images are drawn for all conditions, so that what conditions share (the images that are hard under
each of them) is not mistaken for independent error.
"""

from math import isfinite

import numpy as np

from scoring.metric import Metric

_BLOCK_BYTES = 4 * 2**20  # of weights that exist at a time: fits into a cache
_MOST_UNDEFINED = 0.05


def resampled_accuracies(correct: np.ndarray, replicates: int = 1000, seed: int = 0) -> np.ndarray:
    """Return the accuracies (replicates, C) in [0, 1] of N images drawn anew, with replacement.

    correct: (N, C) bool, which images are right under which condition. A replicate draws the same
    images for all conditions. Equal arguments give equal bits on every machine: the sums are of
    whole numbers. Raises ValueError when there is no image.
    """
    n, conditions = correct.shape
    if n < 1:
        raise ValueError("no images to draw from")
    # Whole numbers up to n: float32 holds them exactly as long as they are under 2**24.
    dtype = np.float32 if n < 2**24 else np.float64
    right = correct.astype(dtype)
    generator = np.random.default_rng(seed)
    size = max(1, _BLOCK_BYTES // (n * right.itemsize))
    accuracies = np.empty((replicates, conditions))
    for start in range(0, replicates, size):
        block = accuracies[start : start + size]
        weights = np.empty((len(block), n), dtype)
        for row in weights:
            row[:] = np.bincount(generator.integers(n, size=n, dtype=np.int32), minlength=n)
        block[:] = weights @ right
    return accuracies / n


def percentile_interval(values: np.ndarray) -> tuple[float, float] | None:
    """Return the central 95 % of the finite values, or None if over 5 % of them are not finite.

    A 95 % interval leaves 5 % of the replicates outside. When more than that are undefined, its
    ends depend on where the undefined ones would have been, so there is no honest interval.
    """
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    if finite.size == 0 or values.size - finite.size > _MOST_UNDEFINED * values.size:
        return None
    low, high = np.percentile(finite, (2.5, 97.5))
    return float(low), float(high)


def bootstrapped(value: float, replicates: np.ndarray, n: int, undefined: str) -> Metric:
    """Return a value of n images with the 95 % interval of its replicates.

    undefined: why the value or a replicate may be NaN; becomes the note where that matters.
    """
    if not isfinite(value):
        return Metric(None, n=n, note=undefined)
    interval = percentile_interval(replicates)
    if interval is None:
        lost = int((~np.isfinite(replicates)).sum())
        note = f"no interval: in {lost} of {len(replicates)} resamples, {undefined}"
        return Metric(float(value), n=n, note=note)
    return Metric(float(value), *interval, n)
