"""Which images the human observers of model-vs-human got right.

Source: Geirhos et al., NeurIPS 2021; observers in a laboratory, published as
raw-data/<data set>/*.csv in https://github.com/bethgelab/model-vs-human.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from bvg.data.categories import CATEGORIES
from bvg.data.finding import look_for
from bvg.data.folders import existing_folder, subfolders, wrong_folder
from bvg.data.model_vs_human import (
    CUE_CONFLICT,
    DATA_SETS,
    PUBLISHED_NAME,
    condition_of,
    data_set_of,
)
from bvg.errors import UserError, first_few
from bvg.scores.decision_table import (
    correctness,
    joined,
    original_image,
    read_decisions,
    shape_in,
    table_files,
)
from bvg.scores.shape_bias import texture_of

SUBJECT = "subject-"  # published folders also contain models' tables
_NONE = "na"  # as published, for no response
MISSED = dict.fromkeys(("", "nan", "n/a", "<na>", "none", "null", _NONE), _NONE)
_SYNONYMS = {"aeroplane": "airplane", "automobile": "car"}


def locate_humans(given: str | None) -> Path | None:
    """Return the folder of human decisions: `given`, $BVG_HUMANS, the downloaded one, or None.

    Raises UserError if it contains none of the data sets.
    """
    folder = look_for("human-decisions", given)
    if folder is None:
        return None
    existing_folder(folder, "the folder of human decisions", "--humans")
    if not set(subfolders(folder)) & set(DATA_SETS):
        layout = "folders named like the data sets (contrast, edge, …) with decision tables (*.csv)"
        raise wrong_folder(folder, "human-decisions", layout, DATA_SETS)
    return folder


def human_decisions(folder: Path, data_set: str | None = None) -> pd.DataFrame:
    """Return the rows of humans (subject-…) in the decision tables of `folder`, if any.

    data_set: one of DATA_SETS (default: the folder's name). Unambiguous variants of the published
    spelling are accepted (letter case, spaces, "aeroplane"), and an empty response means "na" (no
    response). Raises UserError if there is no table, for a file that is no table or that contains
    an unknown response, category, condition or image, and for two people of one number.
    """
    data_set = data_set or folder.name
    tables: list[pd.DataFrame] = []
    for path in table_files(folder):
        table = read_decisions(path)
        table["subj"] = table["subj"].map(subject_of)
        table = table[table["subj"].str.startswith(SUBJECT)]
        if len(table):
            tables.append(checked(table, path, data_set).assign(path=str(path)))
    if not tables:
        return table
    trials = joined(tables)
    _check_namesakes(trials)
    return trials.drop(columns="path")


def _check_namesakes(trials: pd.DataFrame) -> None:
    """Raise UserError for two files with trials of one person, session, condition and image."""
    images = trials["imagename"].map(original_image)
    shown = trials.groupby(["subj", "session", "condition", images], dropna=False)
    first = shown["path"].transform("first")
    again = trials[trials["path"] != first]
    if len(again):
        subject, path = again[["subj", "path"]].iloc[0]
        raise UserError(
            f"{path} and {first[again.index[0]]} have different trials of {subject} with the same "
            "images in one session: give two people two numbers, or number the sessions"
        )


def subject_of(name: str) -> str:
    """Return subject-01 for variants such as Subject_1; other names unchanged."""
    number = re.fullmatch(r"subject[-_ ]?(\d+)", name.casefold())
    return f"{SUBJECT}{int(number[1]):02d}" if number else name


def checked(table: pd.DataFrame, path: Path, data_set: str) -> pd.DataFrame:
    """Return one file's rows with the published spelling of responses and categories.

    data_set: with its conditions and images as published where it is one of DATA_SETS, else any.
    Raises UserError for unknown values.
    """
    tidy = table.assign(
        object_response=[_word(word, MISSED) for word in table["object_response"]],
        category=[_word(word) for word in table["category"]],
        condition=conditions_of(data_set, table["condition"]),
    )
    found = set(tidy["category"])
    # If none of the categories is known, they are those of another data set.
    known = set(CATEGORIES) if found & set(CATEGORIES) else found
    allowed = {
        "category": known,
        "object_response": {*known, _NONE},
        "condition": {*_conditions(data_set, tidy["condition"])},
    }
    for column, values in allowed.items():
        expected = f"one of {', '.join(sorted(values))}"
        _refuse(path, column, table[column][~tidy[column].isin(values)], expected)
    _check_rows(tidy, path)
    if data_set in DATA_SETS:
        stated = table["imagename"].map(data_set_of)
        others = table["imagename"][~stated.isin(["", data_set])]
        _refuse(path, "imagename", others, f"an image of {data_set}")
    if data_set == CUE_CONFLICT:
        textures = tidy["imagename"].map(texture_of)
        expected = f"{CUE_CONFLICT}'s …-<texture><n>.png, with a category as texture,"
        _refuse(path, "imagename", table["imagename"][~textures.isin(known)], expected)
        shapes = [_word(shape_in(name)) for name in tidy["imagename"]]
        unlike = [
            shape not in ("", own) for shape, own in zip(shapes, tidy["category"], strict=True)
        ]
        expected = "the shape in the image's name, <shape><n>-<texture><m>,"
        _refuse(path, "category", table["category"][unlike], expected)
    return tidy.assign(condition=table["condition"])


def _check_rows(table: pd.DataFrame, path: Path) -> None:
    """Raise UserError where a condition or category is not of its row's image.

    Images named alike have one condition and category in all rows; not if a spreadsheet has sorted
    one column without the others. table: with the published spelling.
    """
    stated = table["imagename"].str.extract(PUBLISHED_NAME)
    for column in ("condition", "category"):
        pairs = pd.DataFrame({"named": stated[column], "given": table[column]}).dropna()
        pairs = pairs.drop_duplicates()
        mixed = pairs[pairs.duplicated("named", keep=False)]
        if len(mixed):
            name, given = mixed.iloc[0]
            other = mixed["given"][mixed["named"] == name].iloc[1]
            raise UserError(
                f"{path} has images that are named {name} both with {given} and with {other} in "
                f"the column {column}: its rows were mixed, as when a column is sorted without the "
                "others; download it again, or remove it"
            )


def conditions_of(data_set: str, spellings: Iterable[str]) -> list[str]:
    """Return each condition as DATA_SETS spells it; unchanged for other data sets."""
    if data_set not in DATA_SETS:
        return [*spellings]
    return [condition_of(data_set, spelling) for spelling in spellings]


def _conditions(data_set: str, found: Iterable[str]) -> Iterable[str]:
    return DATA_SETS[data_set].conditions if data_set in DATA_SETS else found


def _word(spelling: str, same: Mapping[str, str] = MappingProxyType({})) -> str:
    word = spelling.casefold()
    return same.get(word, _SYNONYMS.get(word, word))


def _refuse(path: Path, column: str, unknown: pd.Series, expected: str) -> None:
    if len(unknown):
        listed = first_few([repr(value) for value in dict.fromkeys(unknown)])
        raise UserError(
            f"{path} has {listed} in the column {column} ({len(unknown):,} row(s)), where "
            f"{expected} is expected: correct the file, or remove it"
        )


def humans_of_one_set(given: str) -> pd.DataFrame:
    """Return the rows of humans in cue-conflict's folder; raises UserError when there are none."""
    folder = existing_folder(given, "the folder of human decisions", "--humans")
    decisions = human_decisions(folder, CUE_CONFLICT)
    if decisions.empty:
        raise UserError(_nobody(folder))
    return decisions


def _nobody(folder: Path) -> str:
    return (
        f"{folder} holds decision tables, but none of humans (subj = {SUBJECT}01 and so on): "
        "give another folder with --humans"
    )


def humans_for(given: str | None, names: Sequence[str]) -> dict[str, pd.DataFrame] | None:
    """Return `read_humans` of the folder `given`, or the downloaded one, for these data sets.

    None if there are no decisions. Raises UserError if `given` contains none for any data set.
    """
    folder = locate_humans(given)
    if folder is None:
        return None
    found = read_humans(folder)
    if given and not found:
        raise UserError(_nobody(folder))
    return {name: right for name, right in found.items() if name in names} or None


def fingerprint(humans: Mapping[str, pd.DataFrame] | None) -> str | None:
    """Return a fingerprint of human decisions (from `read_humans`), or None without any."""
    if not humans:
        return None
    digest = hashlib.sha256()
    for name, right in sorted(humans.items()):
        digest.update(f"{name}\n{right.sort_index().to_csv()}".encode())
    count = sum(right.shape[1] for right in humans.values())
    sets = f"{len(humans)} data set{'s' * (len(humans) > 1)}"
    return f"{count} observers in {sets} (sha256 {digest.hexdigest()[:16]})"


def read_humans(folder: Path) -> dict[str, pd.DataFrame]:
    """Return, by data set, which images each human got right: 1, 0, or NaN for unseen ones.

    Rows by condition (as in DATA_SETS) and original image, a column per observer. Data sets without
    a folder, or without humans, are omitted. Raises UserError for a file that is no decision table.
    """
    right = {}
    for name in DATA_SETS:
        if (folder / name).is_dir():
            humans = human_decisions(folder / name)
            if len(humans):
                right[name] = correctness(humans, partial(condition_of, name))
    return right


def read_human_cues(folder: Path | None) -> pd.DataFrame | None:
    """Return the humans' decisions on cue-conflict stimuli, or None without any."""
    if folder is None or not (folder / CUE_CONFLICT).is_dir():
        return None
    humans = human_decisions(folder / CUE_CONFLICT)
    return humans if len(humans) else None
