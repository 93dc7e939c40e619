"""The study's table, a row per model and a column per measure, with checks, as people edit it.

The format is that of the published table (Gavrikov & Keuper, CVPR 2024), which collect.py also
writes. Inconsistent tables are refused with an error message.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.errors import UserError, first_few, reason_of
from bvg.files import sha256_of
from bvg.scores.spectral import PREFIX
from bvg.table.columns import DECISIONS, is_published_attack
from bvg.table.measures import (
    ADVERSARIAL,
    ADVERSARIALLY_TRAINED,
    FRACTIONS,
    IMAGENET,
    LABELS,
    PERCENT,
    RATIOS,
    STUDY_COLUMNS,
)
from bvg.table.merging import NO_WEIGHTS
from bvg.zoo.table import find

MODEL = "model"
UNKNOWN = "unknown"  # the category of models without one
_MISSING = {  # in any case; "." is that of SAS and Stata
    *("nan", "na", "n/a", "n.a.", "#n/a", "#nv", "<na>", "null", "none"),
    *("-", "–", "—", "--", "."),
}
_INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff"  # characters, such as zero-width spaces
_UNNAMED = {"", "Unnamed: 0"}  # pandas' names of an index without a name
_SEPARATORS = ",;\t"
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*%?")
_POINT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?\s*%?")
_GOOD = 30.0  # if a model's ImageNet accuracy is above this, other accuracies are above 1 %
# Those of which this is true of some models only, or of a better one: A is what a ResNet-50 of 76 %
# misclassifies.
_MAY_BE_LOW = {ADVERSARIAL: _GOOD, "top1_acc/imagenet-a": 78.0}
_EQUAL = 1e-9  # relative, or absolute below 1: the same value
_ROUNDING = 1e-9  # by which a value may be outside of its range
_MOST = 2.0  # a ratio of accuracies above this is taken for a percentage
_SIMILAR = 0.93  # difflib's ratio above which a column's name is taken for a typing error
# People, as score_decisions.py names them, and what spreadsheets and pandas call summaries.
_NO_MODEL = (
    r"humans?|humans \(.+\)|\d+(\.\d+)?%"
    r"|(mean|average|avg\.?|median|std\.?|stdev|count|min|max|total|sum"
    r"|mittelwert|durchschnitt|summe|anzahl|moyenne|promedio|media)( ?\(.*\)|:)?"
)
_REMEDY = "correct the table, or write it again with code/collect.py"


@dataclass(frozen=True)
class StudyTable:
    """A table of models.

    values: numbers, a row per model (index `model`), a column per measure; NaN for empty cells.
    categories: the kind of training, by model.
    intervals: low, high and n by (model, column), as written by collect.py; empty if unknown.
    path: the file. notes: remarks for readers of figures.
    """

    values: pd.DataFrame
    categories: pd.Series
    intervals: pd.DataFrame
    path: Path
    notes: tuple[str, ...] = ()


def read_study_table(path: Path, categories: Path | None = None) -> StudyTable:
    """Return the table in a CSV file, with its models' categories and its cells' intervals.

    categories: a JSON file {category: [model, …]}; only its models are kept. Default: those of
    `models.csv` next to the table, else the zoo's. Intervals are from `intervals.csv` next to the
    table, if it exists. Cells are separated by commas, semicolons or tabs; decimal commas (unless
    commas separate cells) and percent signs are accepted. A model with two names counts once.
    Raises UserError for inconsistent tables: no column `model`, two columns of one name, a name
    similar to a known one, two different rows of one model, words or infinities among numbers,
    values outside their range.
    """
    notes: list[str] = []
    values = _numbers(_without_repetitions(_read(path, notes), path, notes), path, notes)
    values = _with_published_names(values)
    _check_names(values.columns, path)
    values = _without_others(values, notes)
    values = _in_range(values, path)
    if categories:
        of_model = _categories_in(categories)
        values = _chosen(values, of_model, categories, notes)
        of_model |= {row: of_model[name] for row, name in _rows_of(of_model, values).items()}
    else:
        of_model = _facts_beside(path, "category")
    _note_doubts(values, path, notes)
    values, names = _each_once(values, _facts_beside(path, "weights_sha256"), notes)
    intervals = _intervals_beside(path, names)
    if _is_changed(path):
        notes.append(
            f"{path.name} is not as code/collect.py wrote it: protocols, categories and intervals "
            "beside it are of the table before it was changed. Intervals without the value that "
            "they belong to are left out."
        )
        intervals = _around(values, intervals)
    kinds = {model: _category(model, of_model) for model in values.index}
    notes += [
        f"The category {name!r} is not {ADVERSARIALLY_TRAINED!r}, whose models are the group AT; "
        "rename it if these are."
        for name in sorted({*kinds.values()} - {ADVERSARIALLY_TRAINED})
        if re.match(r"adv|at$|robust", name.casefold())
    ]
    return StudyTable(
        values,
        pd.Series(kinds, dtype=object),
        intervals,
        path,
        tuple(notes),
    )


def _read(path: Path, notes: list[str]) -> pd.DataFrame:
    """Return the file's cells as text; missing values are empty."""
    try:
        header, rows = _cells_in(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist: write a table with code/collect.py, or download the "
            "published one with code/download.py study-table"
        ) from error
    if not header:
        raise UserError(f"{path} is empty: write it again with code/collect.py")
    header, rows = _with_named_models(header, rows, path, notes)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UserError(f"{path} has two columns called {twice[0]!r}: {_REMEDY}")
    if MODEL not in header:
        near = [name for name in header if _folded(name) in (MODEL, "models", "name")]
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"{path} has no column {MODEL!r}: {hint}Rename or add it in the first line")
    cells = [["" if cell.casefold() in _MISSING else cell for cell in row] for row in rows]
    frame = pd.DataFrame(cells, columns=header)
    return frame.assign(**{MODEL: [row[header.index(MODEL)] for row in rows]})


def _cells_in(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV file, without spaces around cells and empty lines.

    If semicolons or tabs separate the cells, decimal commas are replaced by points.
    Raises FileNotFoundError, and UserError for any other file.
    """
    try:
        content = path.read_bytes()
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # Excel's "Unicode text"
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
        first, _, rest = text.partition("\n")
        if declared := re.fullmatch(r"sep=(.)\s*", first):  # Excel's first line
            text = rest
        separator = declared[1] if declared else _separator(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        lines = [[cell.strip().strip(_INVISIBLE).strip() for cell in line] for line in reader]
    except (UnicodeError, csv.Error, IsADirectoryError) as error:
        raise UserError(
            f"{path} is not a table of comma-separated values in UTF-8 ({reason_of(error)}): "
            f"{_REMEDY}"
        ) from error
    header, *rows = [line for line in lines if any(line)] or [[]]
    if len(header) == 1:
        raise UserError(
            f"{path} is not a table: its first line has no comma, semicolon or tab; {_REMEDY}"
        )
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise UserError(
                f"{path}: row {number} below the header has {len(row)} cells, not {len(header)}; "
                f"{_REMEDY}"
            )
    # Spreadsheets may add empty columns.
    used = [k for k, name in enumerate(header) if name or any(row[k] for row in rows)]
    columns = [[row[k] for row in rows] for k in used]
    if separator != ",":
        columns = [_with_points(column) for column in columns]
    return [header[k] for k in used], [list(row) for row in zip(*columns, strict=True)]


def _separator(text: str) -> str:
    """Return the separator that gives the header the most cells; the comma in case of a tie."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(_SEPARATORS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


def _with_points(column: list[str]) -> list[str]:
    """Return a column with points instead of decimal commas, unless it has both."""
    commas = [bool(_COMMA.fullmatch(cell)) for cell in column]
    if any(_POINT.fullmatch(cell) for cell in column):
        return column
    return [
        cell.replace(",", ".") if comma else cell
        for cell, comma in zip(column, commas, strict=True)
    ]


def _with_named_models(
    header: list[str], rows: list[list[str]], path: Path, notes: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Return the cells without a numbered index; an unnamed first column of names is `model`."""
    if header[0] not in _UNNAMED or not rows:
        return header, rows
    numbered = all(row[0].isdecimal() for row in rows)
    if MODEL in header and numbered:
        return header[1:], [row[1:] for row in rows]
    if MODEL not in header and not numbered:
        notes.append("The first column has no name; it is taken as the models' names.")
        return [MODEL, *header[1:]], rows
    return header, rows


def _without_repetitions(frame: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    """Return the table with a row per model; raises UserError for different rows of one model."""
    unnamed = int((frame[MODEL] == "").sum())
    if unnamed:
        raise UserError(f"{path} has {unnamed} row(s) without a model's name: {_REMEDY}")
    repeated = int(frame.duplicated().sum())
    frame = frame.drop_duplicates()
    different = frame[MODEL][frame[MODEL].duplicated()]
    if len(different):
        raise UserError(
            f"{path} has two different rows for {different.iloc[0]!r}: keep the right one"
        )
    if repeated:
        notes.append(f"{repeated} row(s) are duplicates with equal cells; each counts once.")
    if frame.empty:
        raise UserError(f"{path} contains no models: write it again with code/collect.py")
    return frame.set_index(MODEL)


def _numbers(frame: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    """Return the columns of numbers; other columns are skipped, and noted.

    Raises UserError for other things in a column that is analysed.
    """
    columns, other, analysed = {}, [], {*STUDY_COLUMNS, *LABELS}
    for name in frame:
        numbers = pd.to_numeric(_without_percent(frame[name]), errors="coerce")
        bad = (numbers.isna() & (frame[name] != "")) | np.isinf(numbers)
        if not bad.any():
            columns[name] = numbers.astype(float)
            continue
        model = bad.index[bad.to_numpy().argmax()]
        found = f"{name} of {model} is {frame.loc[model, str(name)]!r}, not a number"
        if name in analysed:
            raise UserError(f"{path}: {found}; correct it, or leave the cell empty")
        if numbers[~bad].notna().any():
            notes.append(f"{found}: the column is skipped.")
        else:
            other.append(str(name))
    if other:
        notes.append(f"Columns without numbers are skipped: {', '.join(other)}.")
    return pd.DataFrame(columns, index=frame.index)


def _without_percent(column: pd.Series) -> pd.Series:
    """Return the column's cells with ASCII minus signs, and without percent signs.

    Percentages in columns of fractions, such as shape bias, are divided by 100.
    """
    name, text = str(column.name), column.str.replace("−", "-")
    signed = text.str.endswith("%")
    is_share = name in (*FRACTIONS, *RATIOS) or name.startswith(f"{PREFIX}/")
    if not signed.any() or not (is_share or name.startswith("top1_acc/")):
        return text
    numbers = pd.to_numeric(text.str.removesuffix("%").str.strip(), errors="coerce")
    numbers = numbers / 100 if is_share else numbers
    return text.mask(signed & numbers.notna(), numbers.astype(str))


def _with_published_names(values: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the study's name for the study's attack."""
    attacks = [name for name in values if is_published_attack(str(name))]
    if ADVERSARIAL in values or len(attacks) != 1:
        return values
    return values.rename(columns={attacks[0]: ADVERSARIAL})


def _check_names(columns: Iterable[str], path: Path) -> None:
    """Raise UserError for a name similar to a missing column's, or if no column is known."""
    present = set(columns)
    missing = [name for name in STUDY_COLUMNS if name not in present]
    folded = {_folded(name): name for name in missing}
    for name in present - set(STUDY_COLUMNS):
        same = folded.get(_folded(name))
        near = same or next(iter(get_close_matches(name, missing, 1, _SIMILAR)), None)
        if same or (near and not name.startswith(near) and not _are_siblings(name, near)):
            raise UserError(f"{path} has a column {name!r}; if {near!r} is meant, rename it")
    by_collect = path.with_name("provenance.json").is_file()  # may have other benchmarks only
    if not present & set(LABELS) and not by_collect:
        known = ", ".join(list(LABELS)[:3])
        raise UserError(
            f"{path} has none of the columns that are analysed ({known}, …): is it the table that "
            "code/collect.py writes?"
        )


def _are_siblings(name: str, other: str) -> bool:
    """Return whether two names differ in numbers only, or in a short ending, like A and R."""

    def kind(text: str) -> str:
        return re.sub(r"(?<=[/-])[^/-]{1,2}$", "#", re.sub(r"[\d._]+", "#", text))

    return kind(name) == kind(other)


def _folded(name: str) -> str:
    """Return a name as those that are meant alike are written: without case, spaces and units."""
    plain = name.strip().lower().replace("_", "-").replace(" ", "")
    return re.sub(r"[(\[](in)?(%|percent)[)\]]$|(in)?%$", "", plain)


def _in_range(values: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the table without rounding errors; raises UserError for values that cannot be."""
    values = values.copy()
    for names, top in ((PERCENT, 100.0), (FRACTIONS, 1.0), (RATIOS, np.inf)):
        for name in (name for name in names if name in values):
            column = values[name].dropna()
            outside = column[(column < -_ROUNDING) | (column > top + _ROUNDING)]
            if len(outside):
                between = f"between 0 and {top:g}" if top < np.inf else "at least 0"
                raise UserError(
                    f"{path}: {name} of {outside.index[0]} is {outside.iloc[0]:g}, which is not "
                    f"{between}; correct it, or leave the cell empty"
                )
            values[name] = values[name].clip(0, top)
    _check_percent(values, path)
    return values


def _check_percent(values: pd.DataFrame, path: Path) -> None:
    """Raise UserError for accuracies that are fractions instead of percentages."""
    tops = {name: values[name].max() for name in PERCENT if name in values}
    tops = {name: top for name, top in tops.items() if top > 0 and name not in _MAY_BE_LOW}
    shares = [name for name, top in tops.items() if top <= 1]
    # Untrained models are below 1 %, too; with intervals, the table was written by collect.py.
    all_shares = len(shares) == len(tops) and not _is_collected(path)
    if shares and (all_shares or tops.get(IMAGENET, 0) >= _GOOD):
        raise UserError(
            f"{path}: {shares[0]} is at most {tops[shares[0]]:g}; accuracies are in percent, so "
            "multiply " + ("the columns top1_acc/… by 100" if all_shares else "this column by 100")
        )


def _note_doubts(values: pd.DataFrame, path: Path, notes: list[str]) -> None:
    """Add notes on names, columns and units that are probably not meant as they are."""
    names: dict[str, str] = {}
    for model in map(str, values.index):
        plain = unicodedata.normalize("NFKC", "".join(model.split())).casefold()
        other = names.setdefault(plain, model)
        if other != model:
            notes.append(f"{other} and {model} differ in case or spaces only: both count.")
    known = {_folded(name): name for name in LABELS if name in values}
    for name in (str(name) for name in values if name not in LABELS):
        first = known.get(_folded(re.sub(r"\.\d$", "", name)))  # as pandas names the second of two
        if first:
            notes.append(f"{name} may be a second column {first}, and is not used as such.")
    if not _is_collected(path):
        _note_units(values, notes)


def _note_units(values: pd.DataFrame, notes: list[str]) -> None:
    """Add notes on accuracies that may be fractions, and on ratios that may be in percent."""
    present = [name for name in PERCENT if name in values]
    accuracies = values[[name for name in present if name not in _MAY_BE_LOW]]
    low = accuracies.max(axis=1).between(0, 1, inclusive="right")
    if low.any() and (accuracies > _GOOD).any(axis=None):
        notes.append(
            f"All accuracies of {', '.join(map(str, values.index[low]))} are at most 1 %: multiply "
            "them by 100 if they are fractions."
        )
    imagenet = values.get(IMAGENET, pd.Series(np.nan, values.index))
    for name in present:
        column = values[name]
        low = (column > 0) & (column <= 1)
        if name in _MAY_BE_LOW:  # of single models, it is
            low &= bool(imagenet.max() >= _MAY_BE_LOW[name] and column.max() <= 1)
        else:
            low &= imagenet >= _GOOD
        if low.any():
            models = first_few([str(model) for model in values.index[low]])
            notes.append(
                f"{name} of {models} is at most 1 %: multiply it by 100 if it is a fraction."
            )
    for name in (name for name in RATIOS if name in values):
        if len(large := values.index[values[name] > _MOST]):
            models = first_few([str(model) for model in large])
            notes.append(
                f"{name} of {models} is above {_MOST:g}: divide it by 100 if it is in percent."
            )


def _is_collected(path: Path) -> bool:
    """Return whether the table has intervals beside it, and so was written by collect.py."""
    return path.with_name("intervals.csv").is_file()


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
    rows = {name: row for row, name in _rows_of(of_model, values).items()}
    chosen = [rows[name] for name in of_model if name in rows]
    if not chosen:
        raise UserError(f"no model of {path} is in the table: check the names in both")
    if absent := [name for name in of_model if name not in rows]:
        notes.append(f"Without a row in the table: {', '.join(absent)}.")
    return values.loc[chosen]


def _rows_of(wanted: Iterable[str], values: pd.DataFrame) -> dict[str, str]:
    """Return the wanted name of each row, by its name or by another name in the zoo."""
    rows = {name: name for name in wanted if name in values.index}
    by_zoo = {known.name: str(row) for row in values.index if (known := find(str(row)))}
    for name in wanted:
        known = find(name)
        row = by_zoo.get(known.name) if known and name not in rows else None
        if row and row not in rows:
            rows[row] = name
    return rows


def _without_others(values: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return the table without the rows of what is no model.

    That is people, networks known by their decisions only, whose names do not tell their weights,
    and summaries of the other rows. A table of nothing else keeps its rows.
    """
    others = [name for name in values if not str(name).startswith(f"{DECISIONS}/")]
    by_decisions = values[others].isna().all(axis=1) & values.notna().any(axis=1)
    left_out = by_decisions | values.index.str.fullmatch(_NO_MODEL, case=False)
    if not left_out.any() or left_out.all():
        return values
    notes.append(
        f"Not counted among the models: {', '.join(map(str, values.index[left_out]))}, which are "
        "people, known by tables of their decisions only, or summaries of other rows."
    )
    return values[~left_out]


def _each_once(
    values: pd.DataFrame, weights: Mapping[str, str], notes: list[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the table with one row per model, and for each dropped name the one that is kept.

    Two names are one model if the hashes of their weights are equal or, if one is unknown, if they
    are the same row of the zoo. Their rows are merged if all common values agree; otherwise both
    are kept, with a note.
    """
    values, kept, instead = values.copy(), [], {}
    by_weights: dict[str, str] = {}
    by_zoo: dict[str, str] = {}
    for model in map(str, values.index):
        known, found = weights.get(model, "").replace(NO_WEIGHTS, ""), find(model)
        same = by_weights.get(known)
        if same is None and found and (alike := by_zoo.get(found.name)):
            same = None if known and weights.get(alike) else alike
        if known:
            by_weights.setdefault(known, model)
        if found:
            by_zoo.setdefault(found.name, model)
        if same is None:
            kept.append(model)
            continue
        one, other = (values.loc[name].to_numpy(dtype=float) for name in (same, model))
        differ = np.abs(one - other) > _EQUAL * np.maximum(1, np.abs(one))
        if differ.any():
            kept.append(model)
            where = int(differ.argmax())
            notes.append(
                f"{same} and {model} are one model under two names, but differ in "
                f"{values.columns[where]} ({one[where]:g} and {other[where]:g}): both count. "
                "Remove one if they should not."
            )
        else:
            values.loc[same] = np.where(np.isnan(one), other, one)
            instead[model] = same
            notes.append(f"{model} is {same} under another name: the two count as one model.")
    return values.loc[kept], instead


def _facts_beside(path: Path, column: str) -> dict[str, str]:
    """Return a column of models.csv next to the table, by model; empty without the file."""
    models = path.with_name("models.csv")
    if not models.is_file():
        return {}
    header, rows = _cells_in(models)
    if not {MODEL, column} <= {*header}:
        if column != "category" and MODEL in header:
            return {}
        raise UserError(
            f"{models} has no column {MODEL if MODEL not in header else column!r}: write it again "
            "with code/collect.py, or move it away"
        )
    model, fact = header.index(MODEL), header.index(column)
    return {row[model]: row[fact] for row in rows}


def _category(model: str, of_model: Mapping[str, str]) -> str:
    known = find(model)
    return of_model.get(model) or (known.category if known else UNKNOWN)


def _intervals_beside(path: Path, names: Mapping[str, str]) -> pd.DataFrame:
    """Return low, high and n by (model, column), from the file next to the table.

    names: dropped names of models, whose intervals are used if those of the kept name are missing.
    """
    beside, ends = path.with_name("intervals.csv"), ["low", "high", "n"]
    if not beside.is_file():
        index = pd.MultiIndex.from_arrays([[], []], names=[MODEL, "column"])
        return pd.DataFrame({end: [] for end in ends}, index=index, dtype=float)
    header, rows = _cells_in(beside)
    frame = pd.DataFrame(rows, columns=header)
    try:
        frame = frame[[MODEL, "column", *ends]].drop_duplicates()
        frame[ends] = frame[ends].apply(pd.to_numeric)
        if frame.duplicated([MODEL, "column"]).any():
            raise ValueError("two intervals of one cell")
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{beside} cannot be read ({reason_of(error)}): write it again with code/collect.py, "
            "or move it away"
        ) from error
    frame[MODEL] = frame[MODEL].replace(dict(names))
    return frame.drop_duplicates([MODEL, "column"]).set_index([MODEL, "column"])[ends].astype(float)


def _is_changed(path: Path) -> bool:
    """Return whether the record beside the table is of another table, or of another version."""
    try:
        record = json.loads(path.with_name("provenance.json").read_text(encoding="utf-8"))
        return record["sha256"] != sha256_of(path)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # there is none, or it does not tell


def _around(values: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """Return the intervals that hold the value of their cell, and those without ends."""
    cells = values.stack().reindex(intervals.index)
    inside = (intervals["low"] <= cells) & (cells <= intervals["high"])
    return intervals[intervals["low"].isna() | inside]
