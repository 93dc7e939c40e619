"""The study's table: a row per model, a column per measure; read with care, since people edit it.

The format is that of the published table (Gavrikov & Keuper, CVPR 2024), which collect.py writes
too. A table that cannot be trusted is refused with a sentence: figures that are silently wrong are
worse than none.
"""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.measures import FRACTIONS, LABELS, PERCENT, STUDY_COLUMNS
from basics.errors import UserError, reason_of
from model_zoo.table import find

MODEL = "model"
UNKNOWN = "unknown"  # the category of a model that neither the user nor the zoo knows
_MISSING = {"nan", "NaN", "NA", "N/A", "na", "n/a", "null", "None", "-", "–"}
_ALIKE = 0.93  # difflib's ratio, from which a column's name is taken for a slip of the pen
_CAREFUL = "correct the table, or write it anew with code/collect.py"


@dataclass(frozen=True)
class StudyTable:
    """A table of models.

    values: numbers, a row per model (index `model`), a column per measure; NaN where there is none.
    categories: how each model was trained, by model.
    intervals: low, high and n by (model, column), as collect.py writes them; empty where unknown.
    path: the file. notes: what a reader of any figure must know about the table.
    """

    values: pd.DataFrame
    categories: pd.Series
    intervals: pd.DataFrame
    path: Path
    notes: tuple[str, ...] = ()


def read_study_table(path: Path, categories: Path | None = None) -> StudyTable:
    """Return the table in a CSV file, with its models' categories and its cells' intervals.

    categories: a JSON file {category: [model, …]}; only its models are kept. Without it, the
    category is that of `models.csv` beside the table, else the zoo's. Intervals are those of
    `intervals.csv` beside the table, where it is there. Raises UserError for what cannot be right:
    no column `model`, two columns of one name, a name that is nearly a known one, two different
    rows of one model, words or infinities among numbers, values outside their range.
    """
    notes: list[str] = []
    values = _numbers(_without_repetitions(_read(path), path, notes), path, notes)
    _check_names(values.columns, path)
    _check_ranges(values, path)
    if categories:
        of_model = _categories_in(categories)
        values = _chosen(values, of_model, categories, notes)
    else:
        of_model = _categories_beside(path) or {}
    return StudyTable(
        values,
        pd.Series({model: _category(model, of_model) for model in values.index}, dtype=object),
        _intervals_beside(path),
        path,
        tuple(notes),
    )


def _read(path: Path) -> pd.DataFrame:
    """Return the file's cells as text, empty where nothing is known."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            header, *rows = [line for line in csv.reader(file) if line] or [[]]
    except FileNotFoundError as error:
        raise UserError(
            f"there is no table {path}: write one with code/collect.py, or fetch the published "
            "one with code/download.py study-table"
        ) from error
    except (UnicodeDecodeError, csv.Error, IsADirectoryError) as error:
        raise UserError(
            f"{path} is not a table of comma-separated values ({reason_of(error)}): {_CAREFUL}"
        ) from error
    if not header:
        raise UserError(f"{path} is empty: write it anew with code/collect.py")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UserError(f"{path} has two columns called {twice[0]!r}: {_CAREFUL}")
    if MODEL not in header:
        near = [name for name in header if _folded(name) in (MODEL, "models", "name")]
        hint = f"is it the one called {near[0]!r}? " if near else ""
        raise UserError(f"{path} has no column {MODEL!r}: {hint}Rename or add it in the first line")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise UserError(
                f"{path}: row {number} below the header has {len(row)} cells, not {len(header)}; "
                f"{_CAREFUL}"
            )
    cells = [["" if cell.strip() in _MISSING else cell.strip() for cell in row] for row in rows]
    frame = pd.DataFrame(cells, columns=header)
    return frame.assign(**{MODEL: [row[header.index(MODEL)].strip() for row in rows]})


def _without_repetitions(frame: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    """Return the table with a row per model; equal rows count once, different ones are refused."""
    unnamed = int((frame[MODEL] == "").sum())
    if unnamed:
        raise UserError(f"{path} has {unnamed} row(s) without a model's name: {_CAREFUL}")
    repeated = int(frame.duplicated().sum())
    frame = frame.drop_duplicates()
    different = frame[MODEL][frame[MODEL].duplicated()]
    if len(different):
        raise UserError(
            f"{path} has two different rows for {different.iloc[0]!r}: keep the right one"
        )
    if repeated:
        notes.append(
            f"{repeated} row(s) stood in the table twice, with equal cells; each counts once."
        )
    if frame.empty:
        raise UserError(f"{path} has no model in it: write it anew with code/collect.py")
    return frame.set_index(MODEL)


def _numbers(frame: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    """Return the columns of numbers; columns of other things are left out, and that is noted."""
    columns, other = {}, []
    for name in frame:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        bad = (numbers.isna() & (frame[name] != "")) | np.isinf(numbers)
        if bad.any() and name in STUDY_COLUMNS:
            model = bad.index[bad.to_numpy().argmax()]
            raise UserError(
                f"{path}: {name} of {model} is {frame.loc[model, name]!r}, not a number; correct "
                "it, or leave the cell empty"
            )
        if bad.any():
            other.append(str(name))
        else:
            columns[name] = numbers.astype(float)
    if other:
        notes.append(f"Columns that hold no numbers are left out: {', '.join(other)}.")
    return pd.DataFrame(columns, index=frame.index)


def _check_names(columns: Iterable[str], path: Path) -> None:
    """Refuse a name that is nearly one of a missing column, and a table without any known one."""
    present = set(columns)
    missing = [name for name in STUDY_COLUMNS if name not in present]
    folded = {_folded(name): name for name in missing}
    for name in present - set(STUDY_COLUMNS):
        near = folded.get(_folded(name)) or next(
            iter(get_close_matches(name, missing, 1, _ALIKE)), None
        )
        if near and not name.startswith(near):
            raise UserError(f"{path} has a column {name!r}; if {near!r} is meant, rename it")
    if not present & set(LABELS):
        known = ", ".join(list(LABELS)[:3])
        raise UserError(
            f"{path} has none of the columns that are analysed ({known}, …): is it the table that "
            "code/collect.py writes?"
        )


def _folded(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "")


def _check_ranges(values: pd.DataFrame, path: Path) -> None:
    for names, top in ((PERCENT, 100.0), (FRACTIONS, 1.0)):
        for name in names:
            column = values.get(name, pd.Series(dtype=float)).dropna()
            outside = column[(column < 0) | (column > top)]
            if len(outside):
                raise UserError(
                    f"{path}: {name} of {outside.index[0]} is {outside.iloc[0]:g}, which is not "
                    f"between 0 and {top:g}; correct it, or leave the cell empty"
                )
    column = values.get("top1_acc/imagenet", pd.Series(dtype=float)).dropna()
    if len(column) and 0 < column.max() <= 1:
        raise UserError(
            f"{path}: top1_acc/imagenet is at most {column.max():g}; accuracies are in percent, so "
            "multiply the columns top1_acc/… by 100"
        )


def _categories_in(path: Path) -> dict[str, str]:
    """Return model -> category from a JSON file {category: [model, …]}."""
    try:
        groups = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(model), str(name)) for name, models in groups.items() for model in models]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} must be a JSON file of {{category: [model, …]}} ({reason_of(error)})"
        ) from error
    of_model: dict[str, str] = {}
    for model, category in pairs:
        if of_model.setdefault(model, category) != category:
            raise UserError(f"{path}: {model} is in {of_model[model]} and in {category}; keep one")
    return of_model


def _chosen(
    values: pd.DataFrame, of_model: Mapping[str, str], path: Path, notes: list[str]
) -> pd.DataFrame:
    chosen = [model for model in of_model if model in values.index]
    if not chosen:
        raise UserError(f"no model of {path} is in the table: check the names in both")
    if absent := [model for model in of_model if model not in values.index]:
        notes.append(f"Without a row in the table: {', '.join(absent)}.")
    return values.loc[chosen]


def _categories_beside(path: Path) -> dict[str, str] | None:
    models = path.with_name("models.csv")
    if not models.is_file():
        return None
    frame = pd.read_csv(models, dtype=str, keep_default_na=False)
    return dict(zip(frame[MODEL], frame["category"], strict=True))


def _category(model: str, of_model: Mapping[str, str]) -> str:
    known = find(model)
    return of_model.get(model) or (known.category if known else UNKNOWN)


def _intervals_beside(path: Path) -> pd.DataFrame:
    """Return low, high and n by (model, column), from the file beside the table."""
    beside = path.with_name("intervals.csv")
    if beside.is_file():
        frame = pd.read_csv(beside, dtype={MODEL: str, "column": str})
        return frame.set_index([MODEL, "column"])[["low", "high", "n"]]
    index = pd.MultiIndex.from_arrays([[], []], names=[MODEL, "column"])
    return pd.DataFrame({"low": [], "high": [], "n": []}, index=index, dtype=float)
