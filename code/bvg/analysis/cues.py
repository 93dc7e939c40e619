"""Whether measures of shape agree, and what measures of single cues say beyond accuracy.

All of them are said to tell how much a model goes by shape. If they do, models have the same order
by each. Correlations are those of correlations.py; r without measurement error is attenuation's.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from bvg.analysis.correlations import LEVEL, Group, corrected, correlate
from bvg.analysis.measurement_error import attenuation
from bvg.analysis.measures import AGGREGATES, TOTAL, TOWARDS_SHAPE, short
from bvg.table.measures import CUES, IMAGENET, SHAPE_BIAS

_ID = next(iter(AGGREGATES))


def shape_pairs(values: pd.DataFrame, categories: np.ndarray, errors: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each two measures of shape that the models have; none for fewer than two.

    values: (models, columns) with ImageNet accuracy, if it is known; errors: their standard errors.
    bias, target: the two measures. The other columns are those of `correlate` and `attenuation`,
    as if a higher value of each measure were more shape: r > 0 where two of them agree. The
    corrections (holm_permutation, …) are for the number of pairs.
    """
    names = [name for name in TOWARDS_SHAPE if name in values]
    control = [IMAGENET] if IMAGENET in values else []
    turned = values[names] * [TOWARDS_SHAPE[name] for name in names]
    group = Group(turned.join(values[control]), categories, "".join(control))
    rows = [
        {"group": TOTAL, **attenuation(group, a, b, errors), **correlate(group, a, b)}
        for a, b in combinations(names, 2)
    ]
    table = pd.DataFrame(rows)
    if "p_permutation" not in table:
        return table
    return table.join(corrected(table["p_permutation"]).add_suffix("_permutation"))


def as_measured(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return r and its interval of pairs of measures as they are, whatever is more shape."""
    if "high" not in pairs:  # there is no pair, or none with an r
        return pairs
    turned = pairs["bias"].map(TOWARDS_SHAPE) * pairs["target"].map(TOWARDS_SHAPE) < 0
    ends = {"r": -pairs["r"], "low": -pairs["high"], "high": -pairs["low"]}
    return pairs.assign(**{name: pairs[name].where(~turned, end) for name, end in ends.items()})


def beyond_accuracy(correlations: pd.DataFrame) -> pd.DataFrame:
    """Return what shape bias and each cue measure say of generalisation given ImageNet accuracy.

    The rows of `correlations` of all models with these measures and the aggregates except ID, with
    holm_given: p_given corrected for the number of these rows. None where no cue was measured.
    """
    if "r_given" not in correlations or not correlations["bias"].isin([*CUES]).any():
        return correlations.iloc[:0]
    rows = correlations[
        (correlations["group"] == TOTAL)
        & correlations["bias"].isin([SHAPE_BIAS, *CUES])
        & ~correlations["target"].str.startswith(_ID)
        & correlations["r_given"].notna()
    ]
    return rows.assign(holm_given=corrected(rows["p_given"])["holm"])


def measures_in(pairs: pd.DataFrame) -> list[str]:
    """Return the measures of these pairs, in the order of TOWARDS_SHAPE."""
    there = {*pairs["bias"], *pairs["target"]} if len(pairs) else set()
    return [name for name in TOWARDS_SHAPE if name in there]


def turned(name: str) -> str:
    """Return a measure's name, "(reversed)" where a lower value is more shape."""
    return short(name) + (" (reversed)" if TOWARDS_SHAPE[name] < 0 else "")


def verdicts(pairs: pd.DataFrame) -> pd.Series:
    """Return 1 for pairs that agree, -1 for those that contradict each other, else 0.

    Only what survives Holm's correction counts as either.
    """
    if "holm_permutation" not in pairs:
        return pd.Series(0, pairs.index)
    return np.sign(pairs["r"]).where(pairs["holm_permutation"] < LEVEL, 0).astype(int)
