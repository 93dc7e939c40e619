"""Error consistency: agreement of two observers' errors on the same images, beyond chance.

Source: Geirhos, Meding & Wichmann, "Beyond accuracy: quantifying trial-by-trial behaviour of CNNs
and humans by measuring error consistency", NeurIPS 2020. Cohen's kappa of two correct/incorrect
vectors: kappa = (c_obs - c_exp) / (1 - c_exp), c_exp = p1 p2 + (1 - p1)(1 - p2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bvg.scores.bootstrap import bootstrapped
from bvg.scores.metric import Metric

REPLICATES = 1_000
CONSTANT = "both are right on all images that they share, or wrong on all: kappa is 0 / 0"
NOTHING_SHARED = "the observers have no image in common"

Pairs = Sequence[tuple[str, str]]


def kappas(first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return Cohen's kappa of P pairs of observers, (R, P); NaN where it is undefined.

    first, second: (N, P), 1 if the observer of a pair is right on an image, 0 if wrong, NaN if it
    has not seen the image; images that only one has seen do not count.
    weights: (R, N), how often each image is drawn in each of R resamples (default: once).
    Only integers are summed, so that equal arguments give equal bits.
    """
    if weights is None:
        weights = np.ones((1, len(first)))
    shared = ~(np.isnan(first) | np.isnan(second))
    one, two = (np.where(shared, right, 0.0) for right in (first, second))
    n, right_one, right_two, both = (
        weights @ values for values in (shared.astype(float), one, two, one * two)
    )
    agreeing = n - right_one - right_two + 2 * both
    expected = right_one * right_two + (n - right_one) * (n - right_two)  # times n squared
    with np.errstate(invalid="ignore"):
        return (n * agreeing - expected) / np.where(n * n > expected, n * n - expected, np.nan)


def error_consistency(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return kappa of two observers' right (true) and wrong answers to the same images.

    NaN if it is undefined: without an image, or if all answers of both are right, or all wrong.
    """
    columns = (np.asarray(right, dtype=float)[:, None] for right in (first, second))
    return float(kappas(*columns)[0, 0])


def draws(n: int, generator: np.random.Generator, replicates: int = REPLICATES) -> np.ndarray:
    """Return how often each of n images is drawn in each resample of n, (replicates, n)."""
    weights = np.empty((replicates, n))
    for row in weights:
        row[:] = np.bincount(generator.integers(n, size=n), minlength=n)
    return weights


@dataclass(frozen=True)
class Consistency:
    """Kappa averaged over pairs of observers, and over conditions after that.

    conditions: the average over pairs under each condition.
    value: their mean; replicates: (R,) the mean in each resample of the images.
    images: the number of images that both observers of some pair have seen.
    undefined: the number of undefined kappas, which are excluded. compared: that of all kappas.
    """

    conditions: dict[str, Metric]
    value: float
    replicates: np.ndarray
    images: int
    undefined: int
    compared: int

    def metric(self) -> Metric:
        """Return the mean with its bootstrap interval over images; the note counts exclusions."""
        return _metric(self.value, self.replicates, self.images, self.undefined, self.compared)


def consistencies(
    right: pd.DataFrame, groups: Mapping[str, Pairs], conditions: Sequence[str], seed: int = 0
) -> dict[str, Consistency]:
    """Return the mean error consistency of each group of pairs of observers.

    right: one column per observer (1, 0, or NaN for an unseen image), indexed by condition and
    image. groups: name -> pairs of observers. conditions: those that count. Resamples draw the same
    images for all observers and groups, condition by condition; undefined kappas are excluded from
    means. seed: of the bootstrap; different for each data set, so that resamples are independent.
    """
    generator = np.random.default_rng(seed)
    pairs = sorted({pair for group in groups.values() for pair in group})
    place = {pair: number for number, pair in enumerate(pairs)}
    existing = set(right.index.get_level_values(0))
    counted = [condition for condition in conditions if condition in existing]
    values, resampled, images = [], [], []
    for condition in counted:
        table = right.loc[condition]
        first, second = (table[[pair[k] for pair in pairs]].to_numpy(float) for k in (0, 1))
        values.append(kappas(first, second)[0])
        resampled.append(kappas(first, second, draws(len(table), generator)))
        images.append(~np.isnan(first) & ~np.isnan(second))
    found = {}
    for name, group in groups.items():
        columns = [place[pair] for pair in group]
        if counted and columns:
            found[name] = _averaged(
                counted,
                np.array(values)[:, columns],
                np.array(resampled)[:, :, columns],
                [int(seen[:, columns].any(axis=1).sum()) for seen in images],
            )
    return found


def _averaged(
    conditions: list[str], values: np.ndarray, resampled: np.ndarray, images: list[int]
) -> Consistency:
    """Average (C, P) kappas, and their (C, R, P) resamples, over pairs and then conditions."""
    of_condition, of_resample = mean_of_defined(values), mean_of_defined(resampled)
    undefined = np.isnan(values).sum(axis=1)
    metrics = {
        condition: _metric(
            of_condition[c], of_resample[c], images[c], int(undefined[c]), values.shape[1]
        )
        for c, condition in enumerate(conditions)
    }
    return Consistency(
        metrics,
        float(mean_of_defined(of_condition)),
        mean_of_defined(of_resample.T),
        sum(images),
        int(undefined.sum()),
        values.size,
    )


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, ignoring NaN; NaN if all numbers are."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return total / np.where(count > 0, count, np.nan)


def _metric(value: float, replicates: np.ndarray, n: int, undefined: int, of: int) -> Metric:
    metric = bootstrapped(float(value), replicates, n, CONSTANT if n else NOTHING_SHARED)
    if metric.value is None or not undefined:
        return metric
    return metric.noted(f"{undefined} of {of} kappas are undefined and left out ({CONSTANT})")


def consistency_matrix(rights: Mapping[str, pd.DataFrame], counted: Mapping[str, Sequence[str]]):
    """Return every pair's kappa, averaged over conditions and then data sets, as a square table.

    rights: data set -> as in `consistencies`, all with the same columns. counted: data set -> the
    conditions that count. Undefined kappas are excluded from means; NaN if all are undefined.
    """
    observers = list(next(iter(rights.values())).columns)
    pairs = [(a, b) for i, a in enumerate(observers) for b in observers[: i + 1]]
    of_data_set = []
    for name, right in rights.items():
        existing = set(right.index.get_level_values(0))
        tables = [right.loc[condition] for condition in counted[name] if condition in existing]
        values = [
            kappas(*(table[[pair[k] for pair in pairs]].to_numpy(float) for k in (0, 1)))[0]
            for table in tables
        ]
        if values:
            of_data_set.append(mean_of_defined(np.array(values).T))
    matrix = pd.DataFrame(np.nan, index=observers, columns=observers)
    if of_data_set:
        for (a, b), value in zip(pairs, mean_of_defined(np.array(of_data_set).T), strict=True):
            matrix.loc[a, b] = matrix.loc[b, a] = value
    return matrix
