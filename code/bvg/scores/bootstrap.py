"""Bootstrap over images: how far a derived number may be off because other images were not drawn.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13. The same
images are drawn for all conditions, so that what conditions share (the images that are hard under
each of them) is not mistaken for independent error.
"""

from math import isfinite

import numpy as np

from bvg.scores.metric import Metric, wilson

CONSTANT = "all, or nearly all, resamples give the same value"

_BLOCK_BYTES = 4 * 2**20  # of weights that exist at a time: fits into a cache
_MOST_UNDEFINED = 0.05


def resampled_accuracies(correct: np.ndarray, replicates: int = 1000, seed: int = 0) -> np.ndarray:
    """Return the accuracies (replicates, C) in [0, 1] of N images resampled with replacement.

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


def percentile_interval(
    values: np.ndarray, ends: tuple[float, float] = (2.5, 97.5)
) -> tuple[float, float] | None:
    """Return the central 95 % of the finite values, or None where they do not make an interval.

    A 95 % interval leaves 5 % of the replicates outside. When more than that are undefined, its
    ends depend on where the undefined ones would have been. When both ends are equal, resampling
    had nothing to vary (all images right, say), and a width of 0 would claim certainty. ends: the
    percentiles that the interval is between, where it is not the plain one.
    """
    finite = _enough(values)
    if finite is None:
        return None
    low, high = np.percentile(finite, ends)
    return None if np.isclose(low, high, rtol=1e-12, atol=1e-12) else (float(low), float(high))


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

    undefined: why the value or a replicate may be NaN; becomes the note where that matters.
    constant: the same for replicates that are all alike, from which no interval follows.
    share: for an accuracy, its maximum (1 or 100) and a number of images; where it is 0 or the
        maximum in all resamples, the interval is Wilson's for that many images.
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
