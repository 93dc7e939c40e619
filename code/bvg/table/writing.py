"""The files of a collected table: benchmark.csv, intervals.csv, models.csv and provenance.json."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bvg.errors import UserError
from bvg.files import lock_folder, make_folder, sha256_of, write_text
from bvg.table.merging import Table
from bvg.zoo.table import find

TABLE, INTERVALS, MODELS, PROVENANCE = (
    "benchmark.csv",
    "intervals.csv",
    "models.csv",
    "provenance.json",
)
FORMAT = 1  # of provenance.json
UNKNOWN, OBSERVER = "unknown", "observer"  # categories of what the zoo does not know


def write_table(table: Table, folder: Path, notes: list[str]) -> list[Path]:
    """Write the table's files and return their paths.

    Raises UserError, before anything is written, if benchmark.csv was not written by this function
    or was edited since, so that no table of the user's is overwritten, or if another process writes
    there. The record is written first and includes the previous table's hash, so that an
    interrupted call can be repeated.
    """
    make_folder(folder, "--out")
    texts = {
        INTERVALS: _csv(["model", "column", "low", "high", "n", "note"], _intervals(table)),
        MODELS: _csv(_MODEL_COLUMNS, _models(table)),
        TABLE: _csv(["model", *table.columns], _rows(table)),
    }
    now = hashlib.sha256(texts[TABLE].encode()).hexdigest()
    with ExitStack() as held:
        lock_folder(folder, held, "--out")
        record = _provenance(table, notes) | {"sha256": now, "replaces": _check_unedited(folder)}
        write_text(folder / PROVENANCE, json.dumps(record, indent=1, sort_keys=True) + "\n")
        for name, text in texts.items():
            write_text(folder / name, text)
    return [folder / name for name in (TABLE, INTERVALS, MODELS, PROVENANCE)]


def _check_unedited(folder: Path) -> str | None:
    """Return the SHA-256 of an existing table, if any; raises UserError for a user's files."""
    try:
        record = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        known = {record["sha256"], record.get("replaces")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known = set()
    table = folder / TABLE
    found = sha256_of(table) if table.exists() else None
    if found and found not in known:
        raise UserError(
            f"{table} was not written by collect.py, or was edited since: move it away, or choose "
            "another folder with --out"
        )
    others = [name for name in (INTERVALS, MODELS, PROVENANCE) if (folder / name).exists()]
    if others and not known:
        raise UserError(
            f"{folder / others[0]} was not written by collect.py: move it away, or choose another "
            "folder with --out"
        )
    return found


def _csv(header: list[str], rows: Iterable[list[Any]]) -> str:
    """Return a table as text; numbers keep all their digits, None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _rows(table: Table) -> Iterable[list[Any]]:
    for model in table.models:
        cells = (table.cells.get((model, column)) for column in table.columns)
        yield [model, *(None if cell is None else cell.value for cell in cells)]


def _intervals(table: Table) -> Iterable[list[Any]]:
    for model in table.models:
        for column in table.columns:
            if metric := table.cells.get((model, column)):
                yield [model, column, metric.low, metric.high, metric.n or None, metric.note]


_MODEL_COLUMNS = ["model", "category", "year", "trained_on", "method", "paper", "weights_sha256"]


def _models(table: Table) -> Iterable[list[Any]]:
    """Yield the zoo's facts about each model; none about observers of decision tables.

    A model is known by what --model was given, not by the name that its results were given.
    """
    for model in table.models:
        if model in table.observers:
            yield [model, OBSERVER, None, None, None, None, None]
            continue
        results = [result for (name, _), result in table.sources.items() if name == model]
        identity: dict[str, Any] = next(
            (r.identity["model"] for r in results if "model" in r.identity), {}
        )
        known = find(identity.get("spec", model))
        facts = (
            [known.category, known.year, known.trained_on, known.method, known.paper]
            if known
            else [UNKNOWN, None, None, None, None]
        )
        yield [model, *facts, identity.get("weights_sha256")]


def _provenance(table: Table, notes: list[str]) -> dict[str, Any]:
    results = {r.source: r for r in table.sources.values()}
    return {
        "format": FORMAT,
        "notes": notes,
        "protocols": table.protocols,
        "results": {
            source: {
                "model": r.model,
                "benchmark": r.benchmark,
                "identity": r.identity,
                **r.record,
            }
            for source, r in sorted(results.items())
        },
    }
