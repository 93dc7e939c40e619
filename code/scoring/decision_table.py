"""Decision tables in the format of the psychophysics papers.

Columns `subj, session, trial, rt, object_response, category, condition, imagename`, as published
by Geirhos et al. (texture-vs-shape, model-vs-human): humans and models in one format.
"""

from pathlib import Path

import pandas as pd

from basics.errors import UserError
from basics.files import write_text
from predictions.table import Predictions

COLUMNS = [
    "subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename",
]  # fmt: skip
_AS_TEXT = {"object_response": str, "category": str, "condition": str, "imagename": str}


def read_decisions(path: Path) -> pd.DataFrame:
    """Return a published table; a missed response ("na") stays a string and counts as wrong.

    Column names are lower-cased (some files say `Session`). Raises UserError when one is missing.
    """
    table = pd.read_csv(path, dtype=_AS_TEXT, keep_default_na=False)
    table.columns = [name.strip().lower() for name in table.columns]
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UserError(f"{path} is not a decision table: it has no column {', '.join(missing)}")
    return table[COLUMNS]


def read_folder(folder: Path) -> pd.DataFrame:
    """Return all decision tables (*.csv) in `folder` as one; raises UserError without any."""
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise UserError(f"{folder} holds no decision tables (*.csv)")
    return pd.concat([read_decisions(path) for path in paths], ignore_index=True)


def write_decisions(table: pd.DataFrame, folder: Path, experiment: str) -> Path:
    """Return the CSV in `folder` that holds one subject's table, named as model-vs-human does."""
    subject = str(table["subj"].iloc[0]).replace("_", "-")  # `_` separates the parts of the name
    path = folder / f"{experiment}_{subject}_session-1.csv"
    write_text(path, table.to_csv(index=False))
    return path


def decision_table(predictions: Predictions, subject: str, experiment: str) -> pd.DataFrame:
    """Return a model's decisions among categories as such a table, one row per image.

    Image names follow the published pattern <trial>_<experiment>_<subject>_<condition>_<category>_
    <nn>_<original file>; the last field identifies the image across observers.
    """
    classes = predictions.classes
    rows = []
    for trial, (image, label, answers) in enumerate(
        zip(predictions.images, predictions.labels, predictions.answers, strict=True), start=1
    ):
        category = classes[label]
        name = f"{trial:04d}_{experiment}_dnn_0_{category}_00_{image.rpartition('/')[2]}"
        rows.append((subject, 1, trial, "NaN", classes[answers[0]], category, "0", name))
    return pd.DataFrame(rows, columns=COLUMNS)
