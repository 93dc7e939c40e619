"""Which images the human observers of model-vs-human got right.

Source: Geirhos et al., NeurIPS 2021; observers in a laboratory, published as
raw-data/<data set>/*.csv in https://github.com/bethgelab/model-vs-human.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from basics.errors import UserError
from basics.fetch import cache_folder
from images.image_set import existing_folder, subfolders
from images.model_vs_human import CUE_CONFLICT, DATA_SETS, condition_of
from scoring.decision_table import correctness, read_folder

_SUBJECT = "subject-"  # published folders hold models' tables as well


def locate_humans(given: str | None) -> Path | None:
    """Return the folder of human decisions: `given`, else the downloaded one, else None.

    Raises UserError when `given` holds no data set.
    """
    if not given:
        downloaded = cache_folder() / "data" / "human-decisions"
        return downloaded if downloaded.is_dir() else None
    folder = existing_folder(given, "the folder of human decisions", "--humans")
    if not set(subfolders(folder)) & set(DATA_SETS):
        raise UserError(_wrong_folder(folder))
    return folder


def _wrong_folder(folder: Path) -> str:
    if folder.resolve().name in DATA_SETS:
        return f"{folder} is one data set's folder: give the folder above it with --humans"
    for inner in subfolders(folder):
        if set(subfolders(folder / inner)) & set(DATA_SETS):
            return f"{folder} holds no data set, but {folder / inner} does: give that with --humans"
    return (
        f"{folder} holds no human decisions: folders named like the data sets (contrast, edge, …) "
        "with decision tables (*.csv), as model-vs-human's raw-data, are expected with --humans"
    )


def human_decisions(folder: Path) -> pd.DataFrame:
    """Return the rows of humans (subject-…) in the decision tables of `folder`; may be none.

    Raises UserError when there is no table, or a file is none.
    """
    table = read_folder(folder)
    return table[table["subj"].astype(str).str.startswith(_SUBJECT)]


def humans_of_one_set(given: str) -> pd.DataFrame:
    """Return the rows of humans in one data set's folder; raises UserError when there are none."""
    folder = existing_folder(given, "the folder of human decisions", "--humans")
    decisions = human_decisions(folder)
    if decisions.empty:
        raise UserError(
            f"{folder} holds decision tables, but none of humans (subj = {_SUBJECT}01 and so on): "
            "give another folder with --humans"
        )
    return decisions


def read_humans(folder: Path) -> dict[str, pd.DataFrame]:
    """Return, by data set, which images each human got right: 1, 0, or NaN for unseen ones.

    Rows by condition (as DATA_SETS names it) and original image, a column per observer. Data sets
    without a folder, or without humans, are left out. Raises UserError when a file is no decision
    table.
    """
    right = {}
    for name in DATA_SETS:
        if (folder / name).is_dir():
            humans = human_decisions(folder / name)
            if len(humans):
                right[name] = correctness(humans, partial(condition_of, name))
    return right


def read_human_cues(folder: Path) -> pd.DataFrame | None:
    """Return the humans' decisions on cue-conflict stimuli, or None without any."""
    if not (folder / CUE_CONFLICT).is_dir():
        return None
    humans = human_decisions(folder / CUE_CONFLICT)
    return humans if len(humans) else None
