"""Published tables joined and correlated, straight from their files, with pandas and scipy."""

from pathlib import Path

import pandas as pd

from oracles.families import beyond_accuracy, partial, spearman

ACCURACY = "top1_acc/imagenet"


def column(folder: Path, source: str, measure: str) -> pd.Series:
    """Return a measure of a source by the models' one names."""
    table = pd.read_csv(folder / f"{source}.csv", keep_default_na=False, low_memory=False)
    names = pd.read_csv(folder / "models.csv", keep_default_na=False)
    names = names[(names["source"] == source) & (names["data"] != "none")]
    names = names[~names["family"].isin(["human", "no-network"])]
    table = table[table["measure"] == measure]
    joined = table.merge(names, left_on="model", right_on="name", suffixes=("_source", ""))
    joined["side"] = joined["protocol"].str.extract(r"size=(\d+)")[0].astype(float).fillna(0)
    least = joined.groupby("model")["side"].transform("min")
    return joined[joined["side"] == least].groupby("model")["value"].mean()


def facts(folder: Path) -> pd.DataFrame:
    """Return family, kind, data and adversarial of each model."""
    names = pd.read_csv(folder / "models.csv", keep_default_na=False)
    return names.drop_duplicates("model").set_index("model")


def statistics(
    x: pd.Series, y: pd.Series, accuracy: pd.Series, models: pd.DataFrame, subset: pd.Series
) -> dict[str, float]:
    """Return n, families, r, r given accuracy and r with effective robustness in a subset.

    x, y, accuracy: bias, benchmark and ImageNet accuracy by model; subset: which models count.
    """
    ordinary = (models["data"] == "imagenet-1k") & (models["adversarial"] == "no")
    effective = beyond_accuracy(y, accuracy, ordinary)
    frame = pd.DataFrame({"x": x, "y": y, "z": accuracy, "e": effective}).dropna()
    frame = frame[subset.reindex(frame.index)]
    return {
        "n": len(frame),
        "families": models.loc[frame.index, "family"].nunique(),
        "r": spearman(frame, "x", "y"),
        "r_given": partial(frame, "x", "y", "z"),
        "r_effective": spearman(frame, "x", "e"),
    }
