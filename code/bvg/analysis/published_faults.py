"""Known errors of the published table, wherever its rows are used.

A row of a table is a published one if its values are, whatever the model, the file or the order of
the columns are called. Its values are known by fingerprints only (published_rows.txt), so that the
published table is no part of this repository. A fault is stated for published rows that still hold
the faulty value, and never for your own results, whatever their values.
"""

import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = (
    "This is the table of Gavrikov & Keuper (CVPR 2024), "
    "https://github.com/paulgavrikov/biases_vs_generalization, CC BY-SA 4.0."
)
LAST_BATCH = 326  # images of it that have ReaL labels
PADDED = 391 * 128  # what robust images were divided by
_CONSTANT_BAND = 11295.3  # octaves: the bandwidth that all-equal thresholds give
WIDEST = 7.0  # octaves that the study tested
_ROWS = Path(__file__).with_name("published_rows.txt")
_REAL, _LOW, _HIGH, _BAND = (
    "top1_acc/imagenet-real",
    "top1_acc/PGD-40/low",
    "top1_acc/PGD-40/high",
    "metric/criticalband/bw",
)


def published_faults(values: pd.DataFrame) -> list[str]:
    """Return a sentence for each known fault that the table has; none for a table without them."""
    cells = published_cells(values)
    found = []
    if count := _count(cells, _REAL):
        found.append(
            f"ReaL is the accuracy on {LAST_BATCH} images only, the last batch (every value is a "
            f"multiple of 1/{LAST_BATCH}), with a standard error of about 2 points"
            f"{_of(count, values)}. On all images timm reports 82.96 for tv_resnet50 (published: "
            "86.50) and 85.71 for resnet50.a1_in1k (published: 88.65)."
        )
    if count := _count(cells, _LOW):
        found.append(
            f"PGD-40 counts robust images among {PADDED:,} instead of 50,000{_of(count, values)}; "
            "values are up to 0.096 points off, and 0.0959 means that no image was robust."
        )
    if _count(cells, _HIGH):
        missing = int(values[_HIGH].isna().sum())
        found.append(
            f"PGD-40/high is missing for {missing} of these {len(values)} models and its ε is "
            "stated nowhere: it is not used."
        )
    constant = 0
    if _BAND in cells:
        constant = int((cells[_BAND] & ((values[_BAND] - _CONSTANT_BAND).abs() < 1)).sum())
    if constant:
        norms = {
            name: values.get(f"metric/criticalband/{name}_norm") for name in ("bw", "cf", "pns")
        }
        distinct = ", ".join(
            f"{column.nunique()} ({name})" for name, column in norms.items() if column is not None
        )
        few = f" They take few values, {distinct}, so their correlations are full of ties"
        broad = norms["bw"]
        if broad is not None:
            few += f"; and {int((broad > WIDEST).sum())} of those bandwidths exceed the seven "
            few += "octaves that were tested"
        found.append(
            f"The raw critical-band columns are degenerate for {constant} models (a bandwidth of "
            "11,295 octaves); only the _norm columns are used." + (f"{few}." if distinct else "")
        )
    return [SOURCE, *found] if found else []


def real_of_last_batch(values: pd.DataFrame) -> pd.Series:
    """Return for which models the ReaL accuracy is the published one, of the last batch."""
    return published_cells(values).get(_REAL, pd.Series(False, values.index))


def published_cells(values: pd.DataFrame) -> pd.DataFrame:
    """Return which cells hold the value of a published row: bool (models, columns that are known).

    A row is a published one if it has at least two of that row's values (to four digits) and these
    are most of those that can be compared, or six, as in a table that was rounded. All cells of
    other rows are False.
    """
    published = _published()
    columns = [name for name in published if name in values]
    if not columns:
        return pd.DataFrame(index=values.index)
    prints = {name: fingerprints(name, values[name]) for name in columns}
    # (models, published rows, columns)
    equal = np.stack([prints[name][:, None] == published[name] for name in columns], axis=-1)
    compared = sum((prints[name] != "-").astype(int) for name in columns)
    equal &= np.stack([prints[name] != "-" for name in columns], axis=-1)[:, None]
    shared = equal.sum(axis=-1)
    best = shared.argmax(axis=1)
    most = shared.max(axis=1)
    is_published = ((most >= 2) & (2 * most > compared)) | (most >= 6)
    cells = equal[np.arange(len(values)), best] & is_published[:, None]
    return pd.DataFrame(cells, values.index, columns)


def fingerprints(name: str, column: pd.Series) -> np.ndarray:
    """Return a short hash of each of a column's values to four digits; "-" where there is none."""
    return np.array(
        [
            "-" if pd.isna(value) else f"{zlib.crc32(f'{name} {value:.4g}'.encode()) % 16**5:05x}"
            for value in column
        ],
        dtype=object,
    )


@cache
def _published() -> dict[str, np.ndarray]:
    """Return the fingerprints of the published table: by column, a value for each row."""
    header, *rows = _ROWS.read_text(encoding="utf-8").splitlines()
    cells = np.array([row.split() for row in rows], dtype=object)
    return dict(zip(header.split(), cells.T, strict=True))


def _count(cells: pd.DataFrame, name: str) -> int:
    return int(cells[name].sum()) if name in cells else 0


def _of(count: int, values: pd.DataFrame) -> str:
    return f", for {count} of these {len(values)} models" if count < len(values) else ""
