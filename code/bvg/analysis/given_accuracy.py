"""Effective robustness: how much better a model does than its ImageNet accuracy predicts.

Source: Taori et al., "Measuring Robustness to Natural Distribution Shifts in Image Classification",
NeurIPS 2020: on a logit scale, accuracies elsewhere lie on a line over ImageNet accuracy for
ordinary models; effective robustness is the distance above that line.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis.measures import AGGREGATES, names_of

REFERENCE = ("baseline", "training_recipes")
FEWEST = 3  # reference models
# Half an image of 50,000, in percent: the logits of 0 and 100 are infinite.
NEAREST = 100 * 0.5 / 50_000
POOR_FIT = 0.5
_DIGITS = 9  # of residuals, in logits: what is beyond are rounding errors, which have no ranks


@dataclass(frozen=True)
class EffectiveRobustness:
    """Residuals in logits (models, targets), and of each target's line slope, intercept, r2 and n.

    lines has a `note` where there is no line, or one that explains little; `outside` is how many
    models have an ImageNet accuracy below or above that of all reference models.
    """

    residuals: pd.DataFrame
    lines: pd.DataFrame


def logit(percent: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) of accuracies in percent, kept half an image from 0 and 100."""
    share = np.clip(percent, NEAREST, 100 - NEAREST) / 100
    return np.log(share / (1 - share))


def effective_robustness(
    targets: pd.DataFrame, accuracy: pd.Series, reference: np.ndarray
) -> EffectiveRobustness:
    """Return how far each model's accuracy is from that predicted by its ImageNet accuracy.

    targets, accuracy: in percent, a row per model; reference: (models,) bool, whose line it is.
    ID itself is left out.
    """
    x = logit(accuracy.to_numpy())
    residuals, lines = {}, []
    for name in names_of(targets):
        if name.split(" (")[0] == next(iter(AGGREGATES)) or name == accuracy.name:
            continue
        y = logit(targets[name].to_numpy())
        used = reference & np.isfinite(x) & np.isfinite(y)
        line = {"target": name, **_line(x[used], y[used]), "outside": _outside(x, x[used])}
        residuals[name] = np.round(y - (line["intercept"] + line["slope"] * x), _DIGITS)
        lines.append(line)
    columns = ["target", "slope", "intercept", "r2", "n", "outside", "note"]
    return EffectiveRobustness(
        pd.DataFrame(residuals, index=targets.index), pd.DataFrame(lines, columns=columns)
    )


def _line(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the least-squares line of y over x."""
    none = {"slope": np.nan, "intercept": np.nan, "r2": np.nan, "n": len(x)}
    if len(x) < FEWEST:
        return none | {"note": f"{len(x)} reference model(s), at least {FEWEST} are needed"}
    if np.ptp(x) == 0:
        return none | {"note": "all reference models have the same ImageNet accuracy"}
    if np.ptp(y) == 0:
        note = "all reference models have the same accuracy"
        return none | {"slope": 0.0, "intercept": y[0], "note": note}
    slope, intercept = np.polyfit(x, y, 1)
    left = ((y - intercept - slope * x) ** 2).sum()
    r2 = float(1 - left / ((y - y.mean()) ** 2).sum())
    note = "" if r2 >= POOR_FIT else f"the line explains only {max(r2, 0):.0%} of the variance"
    return {"slope": slope, "intercept": intercept, "r2": r2, "n": len(x), "note": note}


def _outside(x: np.ndarray, reference: np.ndarray) -> int:
    if not len(reference):
        return 0
    return int(((x < reference.min()) | (x > reference.max())).sum())
