"""The study's aggregates and correlations, straight from its description, with pandas and scipy."""

import pandas as pd
from scipy import stats


def aggregates(table: pd.DataFrame) -> pd.DataFrame:
    """Return ID, Robustness, Concepts and Adversarial of the published table."""
    top1 = {
        name: table[f"top1_acc/{name}"]
        for name in (
            "imagenet",
            "imagenet-v2",
            "imagenet-real",
            "imagenet-a",
            "imagenet-c",
            "imagenet-cbar",
            "imagenet-sketch",
            "imagenet-r",
            "stylized",
            "PGD-40/low",
        )
    }
    return pd.DataFrame(
        {
            "ID": (top1["imagenet"] + top1["imagenet-v2"] + top1["imagenet-real"]) / 3,
            "Robustness": (top1["imagenet-a"] + top1["imagenet-c"] + top1["imagenet-cbar"]) / 3,
            "Concepts": (top1["imagenet-sketch"] + top1["imagenet-r"] + top1["stylized"]) / 3,
            "Adversarial": top1["PGD-40/low"],
        }
    )


def biases(table: pd.DataFrame) -> pd.DataFrame:
    """Return the biases of the published table by our names of their columns."""
    cutoffs = ("0.1", "0.2", "0.3", "0.4", "0.5")
    low = sum(table[f"metric/bandpass/LFC/{c}"] for c in cutoffs) / 5
    high = sum(table[f"metric/bandpass/HFC/{c}"] for c in cutoffs) / 5
    columns = {
        "shape-bias": table["shape-bias"],
        "metric/bandpass/LPP": low,
        "metric/bandpass/HPP": high,
        "metric/bandpass/spectral-bias": high / (low + high),
    }
    for name in ("bw", "cf", "pns"):
        columns[f"metric/criticalband/{name}_norm"] = table[f"metric/criticalband/{name}_norm"]
    return pd.DataFrame(columns)


def correlations(table: pd.DataFrame, robust: pd.Series) -> dict[tuple[str, str, str], tuple]:
    """Return r and p by group, bias and aggregate; robust: which models are of AT."""
    found = {}
    for group, rows in {"Total": robust | True, "AT": robust, "Other": ~robust}.items():
        for bias, x in biases(table[rows]).items():
            for aggregate, y in aggregates(table[rows]).items():
                found[group, bias, aggregate] = tuple(stats.spearmanr(x, y))
    return found
