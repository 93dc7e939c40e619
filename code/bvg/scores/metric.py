"""A number with its sampling uncertainty."""

from dataclasses import asdict, dataclass, replace
from math import sqrt

import numpy as np

Z95 = 1.959963984540054  # two-sided 95 % point of the normal distribution


@dataclass(frozen=True)
class Metric:
    """A value, its 95 % interval, and the number of images it is computed from.

    value is None if the quantity is undefined; `note` then has the reason.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON, without an empty note."""
        return {key: value for key, value in asdict(self).items() if key != "note" or value}

    def noted(self, words: str) -> "Metric":
        """Return the metric with `words`, if there are any, after its own note."""
        return replace(self, note="; ".join(filter(None, (self.note, words))))


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a proportion, as two numbers in [0, 1].

    Source: Wilson 1927. Unlike ±1.96 standard errors, it stays in [0, 1] and has the right coverage
    near 0 and 1. Raises ValueError if n is 0.
    """
    if n < 1:
        raise ValueError("a proportion of no images has no interval")
    p = successes / n
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n))
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def proportion(successes: int, n: int, scale: float = 1.0) -> Metric:
    """Return successes / n with its Wilson interval, times `scale` (100 for percent)."""
    if n == 0:
        return Metric(None, note="no image")
    low, high = wilson(successes, n)
    return Metric(scale * successes / n, scale * low, scale * high, n)


def percentage(right: np.ndarray) -> Metric:
    """Return the percentage of true values among `right`, (N,) bool, with its Wilson interval."""
    return proportion(int(right.sum()), len(right), scale=100)
