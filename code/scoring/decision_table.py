"""Decision tables in the format of the psychophysics papers.

Columns `subj, session, trial, rt, object_response, category, condition, imagename`, as published
by Geirhos et al. (texture-vs-shape, model-vs-human): humans and models in one format.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from basics.errors import UserError
from basics.files import write_text
from predictions.table import Predictions

COLUMNS = [
    "subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename",
]  # fmt: skip
# The parts of an image's name, before the original file's.
_PATTERN = ("trial", "experiment", "subject", "condition", "category", "number")
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
    <nn>_<original file>. Files that are so named keep their name, and the condition in it; others
    get one, with the condition "0". The session is the number in a folder session-<n>, else 1.
    """
    classes = predictions.classes
    rows = []
    for trial, (image, label, answers) in enumerate(
        zip(predictions.images, predictions.labels, predictions.answers, strict=True), start=1
    ):
        category = classes[label]
        folder, _, file = image.rpartition("/")
        session = re.search(r"session-(\d+)$", folder)
        parts = file.split("_")
        named = len(parts) > len(_PATTERN) and parts[_PATTERN.index("category")] == category
        condition = parts[_PATTERN.index("condition")] if named else "0"
        name = file if named else f"{trial:04d}_{experiment}_dnn_0_{category}_00_{file}"
        number = int(session[1]) if session else 1
        rows.append((subject, number, trial, "NaN", classes[answers[0]], category, condition, name))
    return pd.DataFrame(rows, columns=COLUMNS)


def original_image(image_name: str) -> str:
    """Return what identifies an image across observers: the original file's name, without ending.

    That is the last part of the name between underscores, with the part before it where that
    begins with n0 (a wnid, which belongs to the names of ImageNet's files).
    """
    parts = image_name.rpartition("/")[2].rpartition(".")[0].split("_")
    return "_".join(parts[-2:]) if len(parts) > 1 and parts[-2].startswith("n0") else parts[-1]


def correctness(table: pd.DataFrame, condition_of: Callable[[str], str]) -> pd.DataFrame:
    """Return which images each subject of decision tables got right: 1, 0, or NaN for unseen ones.

    One row per condition and original image, one column per subject. condition_of: maps a
    condition as it is written to its name. A missed response is wrong. Of an image that a subject
    saw twice under one condition, the first response counts.
    """
    names = {written: condition_of(written) for written in table["condition"].unique()}
    tidy = pd.DataFrame(
        {
            "condition": table["condition"].map(names),
            "image": table["imagename"].map(original_image),
            "subj": table["subj"].astype(str),
            "right": (table["object_response"] == table["category"]).astype(float),
        }
    )
    seen = tidy.drop_duplicates(["condition", "image", "subj"])
    return seen.pivot(index=["condition", "image"], columns="subj", values="right")
