"""Decision tables in the format of the psychophysics papers.

Columns `subj, session, trial, rt, object_response, category, condition, imagename`, as published
by Geirhos et al. (texture-vs-shape, model-vs-human): humans and models in one format. The format of
the vision-language study (Gavrikov et al. 2024), `image, response`, is read into the same columns.
"""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from bvg.errors import UserError, first_few, reason_of
from bvg.files import write_text
from bvg.predictions.table import Predictions

COLUMNS = [
    "subj",
    "session",
    "trial",
    "rt",
    "object_response",
    "category",
    "condition",
    "imagename",
]
# The parts of an image's name, before the original file's.
_PATTERN = ("trial", "experiment", "subject", "condition", "category", "number")
_TEXT = ("subj", "object_response", "category", "condition", "imagename")
_IMAGE, RESPONSES = "image", ("pred_label", "response")
_CUES = re.compile(r"([a-z]+)\d+-[a-z]+\d+")
_SESSION = "_session-1.csv"  # how the names of our tables end
_ANOTHER = "download it again, or move it out of the folder"
_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{1,4}$")  # of an image file


def read_decisions(path: Path) -> pd.DataFrame:
    """Return a table in the published format: one row per trial, with the columns COLUMNS.

    A missed response ("na") is kept and counts as wrong. Column names are lower-cased (some
    published files have `Session`). Files saved by spreadsheets are accepted: with a byte-order
    mark, semicolons or tabs, spaces around values, further columns, in UTF-16 or Latin-1.
    Raises UserError for any other file, or one without trials or with an incomplete one.
    """
    table = _cells(path)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UserError(
            f"{path} is not a decision table: it has no column {', '.join(missing)}; remove it, or "
            f"give it the columns {', '.join(COLUMNS)}"
        )
    table = _stripped(table, path, COLUMNS)
    if (table[["subj", "category", "condition", "imagename"]] == "").any(axis=None):
        raise UserError(f"{path} has an incomplete row: download it again, or remove the row")
    return table.apply(lambda column: column if column.name in _TEXT else _numbers(column))


def read_responses(path: Path, answers: Sequence[str] = RESPONSES) -> pd.DataFrame:
    """Return a table of cue-conflict images and responses, as `read_decisions` does others.

    That is the format of the vision-language study (Gavrikov et al. 2024): a model per file, which
    names it, and the columns `image` (<shape><n>-<texture><m>) and the first that there is of
    `answers`: `pred_label` is the category that its authors took the `response` for.
    Raises UserError for any other file, or one without a row.
    """
    table = _cells(path)
    answer = next((name for name in answers if name in table.columns), None)
    if answer is None or _IMAGE not in table.columns:
        raise UserError(f"{path} lacks the column {_IMAGE}, or {' or '.join(answers)}: {_ANOTHER}")
    table = _stripped(table, path, [_IMAGE, answer])
    shapes = [_CUES.fullmatch(without_suffix(name)) for name in table[_IMAGE]]
    if not all(shapes):
        unknown = table[_IMAGE][[shape is None for shape in shapes]].iloc[0]
        raise UserError(
            f"{path} has the image {unknown!r}, whose name is not <shape><n>-<texture><m>: "
            f"{_ANOTHER}"
        )
    columns = {
        "subj": re.sub(r"\.csv(\.gz)?$", "", path.name, flags=re.IGNORECASE),
        "session": 1,
        "trial": range(1, len(table) + 1),
        "rt": float("nan"),
        "object_response": table[answer].to_numpy(),
        "category": [shape[1] for shape in shapes if shape],
        "condition": "0",
        "imagename": table[_IMAGE].to_numpy(),
    }
    return pd.DataFrame(columns, index=range(len(table)))


def shape_in(image_name: str) -> str:
    """Return the shape in an image's original name <shape><n>-<texture><m>; of others, nothing."""
    cues = _CUES.fullmatch(original_image(image_name))
    return cues[1] if cues else ""


def has_two_cues(image_name: str) -> bool:
    """Return whether an image's original file is named <shape><n>-<texture><m>."""
    return bool(shape_in(image_name))


def holds_responses(path: Path) -> bool:
    """Return whether a file is a table for `read_responses`, rather than for `read_decisions`.

    Raises UserError, which says what was found and what is needed, where it is neither.
    """
    found = [*_cells(path).columns]
    if {*COLUMNS} <= {*found}:
        return False
    if _IMAGE in found and any(name in found for name in RESPONSES):
        return True
    raise UserError(
        f"{path} is no decision table: its columns are {first_few(found, 12)}, where "
        f"{', '.join(COLUMNS)} (texture-vs-shape, model-vs-human) or {_IMAGE} and "
        f"{' or '.join(RESPONSES)} (cue-conflict only) are needed; rename its columns, or move it "
        "out of the folder"
    )


def _cells(path: Path) -> pd.DataFrame:
    """Return a file's cells as text, with column names in lower case; raises UserError."""
    text = _text(path)
    text = re.sub(r"\A\s*sep=.\s*\n", "", text, flags=re.IGNORECASE)  # a line of Excel's
    header = next(filter(str.strip, text.splitlines()), "")
    if not header:
        raise UserError(f"{path} is empty: remove it, or download it again")
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=max(",;\t", key=header.count), dtype=str, keep_default_na=False
        )
    except ValueError as error:  # including pandas' ParserError, for rows of different lengths
        raise UserError(
            f"{path} is not a decision table ({reason_of(error)}): remove it, or download it again"
        ) from error
    table.columns = [str(name).strip().lower() for name in table.columns]
    return table


def _stripped(table: pd.DataFrame, path: Path, columns: list[str]) -> pd.DataFrame:
    """Return these columns without spaces around values; raises UserError without a row."""
    twice = [name for name in columns if (table.columns == name).sum() > 1]
    if twice:
        raise UserError(f"{path} has the column {twice[0]} twice: remove one")
    table = table[columns].fillna("").apply(lambda column: column.str.strip())
    table = table[(table != "").any(axis=1)]  # spreadsheets may add empty rows
    if table.empty:
        raise UserError(f"{path} has no trials, only column names: remove it, or download it again")
    return table


def _text(path: Path) -> str:
    """Return the text of a file, which may be compressed."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({reason_of(error)}): download it again") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # which accepts any bytes; categories are ASCII


def _numbers(column: pd.Series) -> pd.Series:
    """Return a column as numbers if all its values are numbers."""
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column


def table_files(folder: Path) -> list[Path]:
    """Return the files *.csv and *.csv.gz in `folder`, sorted; raises UserError without any.

    Hidden files are ignored: macOS writes ._<name>.csv next to files on other file systems.
    """
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith((".csv", ".csv.gz")) and not path.name.startswith(".")
    )
    if not paths:
        raise UserError(f"{folder} holds no decision tables (*.csv)")
    return paths


def joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return several tables as one, without duplicate trials."""
    table = pd.concat(tables, ignore_index=True)
    return table.drop_duplicates([name for name in COLUMNS if name != "rt"], ignore_index=True)


def write_decisions(tables: Iterable[tuple[str, pd.DataFrame]], folder: Path) -> list[Path]:
    """Write subjects' tables to `folder`, named as in model-vs-human, and return their paths.

    tables: experiment and table. Those that an earlier call wrote there are removed: they may be of
    other weights, by a rule that now decides alike, or of another experiment.
    """
    paths = []
    for experiment, table in tables:
        subject = str(table["subj"].iloc[0]).replace("_", "-")  # `_` separates parts of the name
        paths.append(folder / f"{experiment}_{subject}{_SESSION}")
        write_text(paths[-1], table.to_csv(index=False))
    for earlier in {*folder.glob(f"*_*{_SESSION}")} - {*paths}:
        earlier.unlink()
    return paths


def decision_table(predictions: Predictions, subject: str, experiment: str) -> pd.DataFrame:
    """Return a model's decisions among categories in the published format, one row per image.

    Image names follow the published pattern <trial>_<experiment>_<subject>_<condition>_<category>_
    <nn>_<original file>. Files with such names keep them and their condition; others are named
    accordingly, with condition "0". The session is the number in a folder session-<n>, else 1.
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
    """Return an image's identity across observers: the name of the original file without suffix.

    That is the last part of the name between underscores, preceded by the part before it if that
    begins with n0 (a wnid, which is part of the names of ImageNet's files); in lower case.
    """
    parts = without_suffix(re.split(r"[/\\]", image_name)[-1]).split("_")
    return "_".join(parts[-2:]) if len(parts) > 1 and parts[-2].startswith("n0") else parts[-1]


def without_suffix(name: str) -> str:
    """Return an image file's name in lower case, without .png and the like."""
    return _SUFFIX.sub("", name.strip().casefold())


def correctness(table: pd.DataFrame, condition_of: Callable[[str], str]) -> pd.DataFrame:
    """Return which images each subject of decision tables got right: 1, 0, or NaN for unseen ones.

    One row per condition and original image, one column per subject. condition_of: returns the
    name of a condition for its spelling in the table. A missed response is wrong. If a subject saw
    an image twice under one condition, the first response counts.
    """
    names = {spelling: condition_of(spelling) for spelling in table["condition"].unique()}
    tidy = pd.DataFrame(
        {
            "condition": table["condition"].map(names),
            "image": table["imagename"].map(original_image),
            "subj": table["subj"].astype(str),
            "right": (
                table["object_response"].str.casefold() == table["category"].str.casefold()
            ).astype(float),
        }
    )
    seen = tidy.drop_duplicates(["condition", "image", "subj"])
    return seen.pivot(index=["condition", "image"], columns="subj", values="right")
