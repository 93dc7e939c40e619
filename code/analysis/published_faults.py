"""What is known to be wrong with the published table, recognised in the numbers themselves.

A table that was made from it, by selecting rows or columns, has the same faults, whatever it is
called; a table of one's own has not.
"""

import numpy as np
import pandas as pd

WIDEST = 7.0  # octaves that were tested

SOURCE = (
    "This is the table of Gavrikov & Keuper (CVPR 2024), "
    "https://github.com/paulgavrikov/biases_vs_generalization, CC BY-SA 4.0."
)
LAST_BATCH = 326  # images of it that have ReaL labels
_PADDED = 391 * 128  # what robust images were divided by
_CONSTANT_BAND = 11295.3  # octaves: the bandwidth that all-equal thresholds give


def published_faults(values: pd.DataFrame) -> list[str]:
    """Return a sentence for each known fault that the table has; none for a table without them."""
    found = []
    if real_is_last_batch(values):
        found.append(
            f"ReaL is the accuracy on {LAST_BATCH} images only, the last batch (every value is a "
            f"multiple of 1/{LAST_BATCH}), with a standard error of about 2 points. On all images "
            "timm reports 82.96 for tv_resnet50 (here 86.50) and 85.71 for resnet50.a1_in1k "
            "(here 88.65)."
        )
    if _are_shares(values, "top1_acc/PGD-40/low", _PADDED):
        found.append(
            f"PGD-40 counts robust images among {_PADDED:,} instead of 50,000; values are up to "
            "0.096 points off, and 0.0959 means that no image was robust."
        )
    if "top1_acc/PGD-40/high" in values:
        missing = int(values["top1_acc/PGD-40/high"].isna().sum())
        found.append(
            f"PGD-40/high is missing for {missing} of these {len(values)} models and its ε is "
            "stated nowhere: it is not used."
        )
    raw = values.get("metric/criticalband/bw", pd.Series(dtype=float))
    if (constant := int(((raw - _CONSTANT_BAND).abs() < 1).sum())) > 0:
        distinct = ", ".join(
            f"{values[f'metric/criticalband/{name}_norm'].nunique()} ({name})"
            for name in ("bw", "cf", "pns")
            if f"metric/criticalband/{name}_norm" in values
        )
        found.append(
            f"The raw critical-band columns are degenerate for {constant} models (a bandwidth of "
            f"11,295 octaves); only the _norm columns are used. They take few values, {distinct}, "
            f"so their correlations are full of ties; and {_too_broad(values)} of those bandwidths "
            "exceed the seven octaves that were tested."
        )
    return [SOURCE, *found] if len(found) > 1 else found


def real_is_last_batch(values: pd.DataFrame) -> bool:
    """Return whether the table's ReaL accuracies are those of the last batch."""
    return _are_shares(values, "top1_acc/imagenet-real", LAST_BATCH)


def _are_shares(values: pd.DataFrame, name: str, n: int) -> bool:
    """Return whether a column's percentages are whole numbers of n images, as of no other count."""
    column = values.get(name, pd.Series(dtype=float)).dropna().to_numpy()
    counts = column * n / 100
    whole = np.abs(counts - counts.round()) < 1e-6
    return bool(len(column) and whole.all() and ((column > 0) & (column < 100)).any())


def _too_broad(values: pd.DataFrame) -> int:
    return int((values.get("metric/criticalband/bw_norm", pd.Series(dtype=float)) > WIDEST).sum())
