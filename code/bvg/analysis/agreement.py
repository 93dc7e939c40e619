"""How far sources that measure the same thing of the same model agree."""

from collections.abc import Iterator
from itertools import combinations
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis.beyond import BIASES, TARGETS, Tables
from bvg.table.measures import IMAGENET

MEASURES = (IMAGENET, "top1_acc/imagenet-c", *TARGETS, *BIASES, "fraction-correct-shape")
FEWEST = 3  # models; differences can be looked at one by one
_NAMED = 3  # models with the largest differences


def agreement(tables: Tables) -> pd.DataFrame:
    """Return a row for each measure and two sources that have it for FEWEST models or more.

    measure, a_source, b_source; n models; mean, sd, rms and largest (by size) of the differences a
    - b, in the measure's own unit; largest_models: which ones, with theirs. a_images, b_images: of
    how many images a value is. sampling: the root mean square that differences would have if each
    source had drawn its images on its own, which is the most that sampling can explain; where both
    used the same images, it explains nothing. remainder: what is left of rms without it, at the
    least the work of protocols (preprocessing, weights, decision, precision).
    """
    return pd.DataFrame(
        row
        for measure in MEASURES
        for pair in combinations(tables.values, 2)
        for row in _compared(tables, measure, *pair)
    )


def differences(tables: Tables, measure: str, a_source: str, b_source: str) -> pd.DataFrame:
    """Return the values `a` and `b` of two sources, for the models that both have."""
    a, b = (tables.values[source].get(measure) for source in (a_source, b_source))
    if a is None or b is None:
        return pd.DataFrame({"a": [], "b": []})
    return pd.DataFrame({"a": a, "b": b}).dropna()


def _compared(
    tables: Tables, measure: str, a_source: str, b_source: str
) -> Iterator[dict[str, Any]]:
    both = differences(tables, measure, a_source, b_source)
    if len(both) < FEWEST:
        return
    difference = both["a"] - both["b"]
    images = [tables.images[source].get(measure, nan) for source in (a_source, b_source)]
    largest = difference.sort_values(key=abs, ascending=False, kind="stable").head(_NAMED)
    sampling = sampling_error(both.mean(axis=1), measure, *images)
    rms = float(np.sqrt((difference**2).mean()))
    yield {
        "measure": measure,
        "a_source": a_source,
        "b_source": b_source,
        "n": len(both),
        "mean": difference.mean(),
        "sd": difference.std(),
        "rms": rms,
        "largest": largest.iloc[0],
        "largest_models": "; ".join(f"{name} {value:+.4g}" for name, value in largest.items()),
        "a_images": images[0],
        "b_images": images[1],
        "sampling": sampling,
        "remainder": np.sqrt(max(0.0, rms**2 - sampling**2)) if sampling == sampling else nan,
    }


def sampling_error(values: pd.Series, measure: str, *images: float) -> float:
    """Return the standard error of the difference of two shares of so many images each.

    values: the shares, one per model: accuracies in percent or shape biases. Binomial, with the
    mean variance of the models. NaN for measures that are no share of images.
    """
    whole = {"top1_acc": 100, "shape-bias": 1, "fraction-correct-shape": 1}.get(
        measure.split("/")[0], nan
    )
    share = (values / whole).clip(0, 1)
    return float(whole * np.sqrt((share * (1 - share)).mean() * sum(1 / n for n in images)))
