"""Measurement error: how much the finite number of images per cell weakens correlations.

Reliability is the share of a column's variance between models that is not sampling error; the
correlation of two error-free columns would be about r / sqrt(product of their reliabilities)
(Spearman 1904). Standard errors come from the cells' own intervals (intervals.csv) or, without
them, from the sizes of the published data sets.
"""

from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis import ranks
from bvg.analysis.correlations import Group, undefined
from bvg.analysis.measures import Measures, cutoffs_of, with_derived
from bvg.analysis.published_faults import LAST_BATCH, real_of_last_batch
from bvg.scores.bootstrap import percentile_interval
from bvg.scores.metric import Z95
from bvg.scores.spectral import MEAN_CUTOFFS
from bvg.table.measures import HPP, IMAGENET, LPP, SHAPE_BIAS, SPECTRAL

# Images behind a cell of the published table. Conditions of C and C-bar share their 50,000 images:
# they are no more than these, since what is hard under one condition is hard under others.
IMAGES = {
    IMAGENET: 50_000,
    "top1_acc/imagenet-v2": 10_000,
    "top1_acc/imagenet-real": 46_837,
    "top1_acc/imagenet-a": 7_500,
    "top1_acc/imagenet-c": 50_000,
    "top1_acc/imagenet-cbar": 50_000,
    "top1_acc/imagenet-sketch": 50_889,
    "top1_acc/imagenet-r": 30_000,
    "top1_acc/stylized": 800,
    "top1_acc/PGD-40/low": 50_000,
}
CONFLICTS = 1_200  # cue-conflict images whose cues differ
NOISES = 2000


def standard_errors(
    values: pd.DataFrame, measures: Measures, intervals: pd.DataFrame
) -> pd.DataFrame:
    """Return the standard errors of biases, benchmarks and aggregates; NaN where unknown.

    A DataFrame (models, columns). An aggregate's is the mean of its parts', as if their errors went
    together: the largest that it can be.
    """
    values = with_derived(values)
    errors = {}
    for name in [*measures.biases, *measures.benchmarks]:
        known = _of_intervals(intervals, name, values.index)
        guessed = _of_sizes(values, name)
        errors[name] = known.where(known.notna(), guessed)
    for name, parts in measures.components.items():
        errors[name] = pd.concat([errors[part] for part in parts], axis=1).mean(
            axis=1, skipna=False
        )
    return pd.DataFrame(errors, index=values.index)


def _of_intervals(intervals: pd.DataFrame, name: str, models: pd.Index) -> pd.Series:
    """Return half the width of the 95 % intervals, as standard errors."""
    if not len(intervals) or name not in intervals.index.get_level_values("column"):
        return pd.Series(nan, models)
    cells = intervals.xs(name, level="column")
    return ((cells["high"] - cells["low"]) / (2 * Z95)).reindex(models)


def _of_sizes(values: pd.DataFrame, name: str) -> pd.Series:
    """Return the standard errors that follow from how many images there are in a data set."""
    if name in IMAGES:
        images = pd.Series(float(IMAGES[name]), values.index)
        if name == "top1_acc/imagenet-real":
            images[real_of_last_batch(values)] = LAST_BATCH
        return 100 * _binomial(values[name] / 100, images)
    if name == SHAPE_BIAS and "top1_acc/cue-conflict" in values:
        # Images decided by shape are about the share that is right; shape bias says the rest.
        shape = CONFLICTS * values["top1_acc/cue-conflict"] / 100
        decided = shape / values[SHAPE_BIAS].where(values[SHAPE_BIAS] > 0)
        return _binomial(values[SHAPE_BIAS], decided)
    if name in (LPP, HPP):
        return _of_mean(values, "LFC" if name == LPP else "HFC")
    if name == SPECTRAL and LPP in values and HPP in values:
        low, high = (_of_mean(values, short) for short in ("LFC", "HFC"))
        both = values[LPP] + values[HPP]
        return ((values[LPP] * high) ** 2 + (values[HPP] * low) ** 2) ** 0.5 / both**2
    return pd.Series(nan, values.index)


def _of_mean(values: pd.DataFrame, short: str) -> pd.Series:
    """Return the error of LPP or HPP, as if the errors under all its cutoffs went together."""
    columns = cutoffs_of(values, short)
    if IMAGENET not in values or not {*MEAN_CUTOFFS} <= {*columns}:
        return pd.Series(nan, values.index)
    clean = values[IMAGENET] / 100
    parts = [values[columns[cutoff]] * clean for cutoff in MEAN_CUTOFFS]
    errors = [_binomial(share.clip(0, 1), IMAGES[IMAGENET]) / clean for share in parts]
    return pd.concat(errors, axis=1).mean(axis=1, skipna=False)


def _binomial(share: pd.Series, n: int | pd.Series) -> pd.Series:
    return (share * (1 - share) / n) ** 0.5


def reliability(values: np.ndarray, errors: np.ndarray) -> float:
    """Return the share of the variance of (n,) values that is not error, 0 … 1; NaN if unknown."""
    known = np.isfinite(values) & np.isfinite(errors)
    if known.sum() < ranks.FEWEST or np.ptp(values[known]) == 0 or not known.any():
        return nan
    return float(max(0.0, 1 - (errors[known] ** 2).mean() / values[known].var(ddof=1)))


def attenuation(group: Group, bias: str, target: str, errors: pd.DataFrame) -> dict[str, Any]:
    """Return the reliabilities of a bias and a benchmark, and what that means for their r.

    r_corrected: what r would be about without error (at most 1 in size); low_noise, high_noise: the
    central 95 % of r when errors of this size are added once more. errors: by model.
    """
    rows = group.complete(bias, target)
    x, y = (group.values[name].to_numpy()[rows] for name in (bias, target))
    row: dict[str, Any] = {"bias": bias, "target": target, "n": len(x)}
    if note := undefined(x, y):
        return row | {"note": note}
    own = errors.loc[group.values.index[rows]]
    of_x, of_y = own[bias].to_numpy(), own[target].to_numpy()
    row["reliability_bias"], row["reliability_target"] = reliability(x, of_x), reliability(y, of_y)
    both = row["reliability_bias"] * row["reliability_target"]
    r = float(ranks.rank_correlation(x, y))
    if not both > 0:
        return row | {
            "r": r,
            "note": "the error of one of the two is unknown, or accounts for all of its variance",
        }
    row |= {"r": r, "r_corrected": float(np.clip(r / sqrt(both), -1, 1)), "note": ""}
    generator = np.random.default_rng(0)
    noisy = [
        v + np.nan_to_num(e) * generator.standard_normal((NOISES, len(v)))
        for v, e in ((x, of_x), (y, of_y))
    ]
    interval = percentile_interval(ranks.rank_correlation(*noisy))
    row["low_noise"], row["high_noise"] = interval or (nan, nan)
    return row
