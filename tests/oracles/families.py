"""Statistics of models in families, one resample and one pair of columns at a time."""

import numpy as np
import pandas as pd
from scipy import stats


def spearman(frame: pd.DataFrame, x: str, y: str) -> float:
    """Return the correlation of ranks."""
    return frame[x].corr(frame[y], method="spearman")


def partial(frame: pd.DataFrame, x: str, y: str, z: str) -> float:
    """Return the correlation of what the ranks of x and y have beyond a line over those of z."""
    ranks = frame[[x, y, z]].rank()
    left = []
    for name in (x, y):
        line = stats.linregress(ranks[z], ranks[name])
        left.append(ranks[name] - line.intercept - line.slope * ranks[z])
    return stats.pearsonr(*left).statistic


def beyond_accuracy(percent: pd.Series, accuracy: pd.Series, reference: pd.Series) -> pd.Series:
    """Return effective robustness: log odds beyond the line of the reference models."""
    both = pd.DataFrame({"y": percent, "x": accuracy}).dropna()
    odds = np.log(both / (100 - both))
    ordinary = odds[reference.reindex(odds.index)]
    line = stats.linregress(ordinary["x"], ordinary["y"])
    return odds["y"] - line.intercept - line.slope * odds["x"]


def resample(frame: pd.DataFrame, families: pd.Series, drawn: list[str]) -> pd.DataFrame:
    """Return all rows of the families that were drawn, as often as they were."""
    return pd.concat([frame[families == name] for name in drawn], ignore_index=True)


def jackknife_p(r: float, without: list[float], sizes: tuple[int, ...]) -> float:
    """Return the p of a t test of Fisher's z with its jackknife standard error."""
    left = [0.5 * np.log((1 + value) / (1 - value)) for value in without]
    error = np.sqrt((len(left) - 1) * np.var(left))
    degrees = sum(sizes) ** 2 / sum(size**2 for size in sizes) - 1
    return 2 * (1 - stats.t(degrees).cdf(abs(0.5 * np.log((1 + r) / (1 - r))) / error))
