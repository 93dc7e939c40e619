"""The tidy tables of raw-data/published, which code/make_published.py writes.

One row per source, model, protocol and measure. sources.toml describes the sources; names.py has
the one name of a model across them.
"""

import csv
import io
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bvg.errors import UserError, reason_of
from bvg.published.reading import Value

TABLES = Path(__file__).resolve().parents[3] / "raw-data" / "published"
SOURCES = "sources.toml"
COLUMNS = ("source", "model", "protocol", "measure", "value", "n", "flag", "file", "row")


def read_sources(folder: Path = TABLES) -> dict[str, dict[str, Any]]:
    """Return what sources.toml says of each source, by name."""
    with open(folder / SOURCES, "rb") as file:
        return tomllib.load(file)


def table_text(source: str, values: Sequence[Value]) -> str:
    """Return a source's table as CSV: sorted, and every number as short as it can be written."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for value in sorted(values, key=lambda v: (v.model, v.measure, v.protocol)):
        n = "" if value.n is None else value.n
        cells = (value.model, value.protocol, value.measure, repr(value.value), n)
        writer.writerow((source, *cells, value.flag, value.file, value.row))
    return text.getvalue()


def read_published(folder: Path = TABLES) -> pd.DataFrame:
    """Return the tables of all sources that are there, as one with the columns COLUMNS, and `size`.

    size: the images' side in pixels, as text, where the protocol says it; else "". It is part of
    the key where a source has a model at several sizes.
    Raises UserError where a table is missing that the repository has, or is not one.
    """
    parts = []
    for source, about in read_sources(folder).items():
        path = folder / f"{source}.csv"
        if path.exists():
            parts.append(_read(path))
        elif about["committed"]:
            raise UserError(f"{path} is missing: restore it with git, or run make_published.py")
    table = pd.concat(parts, ignore_index=True)
    return table.assign(
        size=table["protocol"].str.extract(r"\bsize=(\d+)", expand=False).fillna("")
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if tuple(table.columns) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(map(str, table.columns))}")
        return table.assign(value=table["value"].astype(float), n=pd.to_numeric(table["n"]))
    except ValueError as error:
        raise UserError(
            f"{path} is not a table of published values ({reason_of(error)}): write it again with "
            "python code/make_published.py"
        ) from error


def wide(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return a source's values, a row per (model, size) and a column per measure.

    Raises UserError where a model has two values of a measure.
    """
    own = table[table["source"] == source]
    keys = ["model", "size", "measure"]
    twice = own[own.duplicated(keys)]
    if len(twice):
        model, _, measure = twice.iloc[0][keys]
        raise UserError(f"{source} has two values of {measure} for {model}: remove one")
    return own.pivot(index=["model", "size"], columns="measure", values="value")
