"""Finished results, from a results folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bvg.errors import UserError, reason_of
from bvg.scores.metric import Metric
from bvg.table.columns import rank

FORMAT = 1  # of summary.json


@dataclass(frozen=True)
class Measured:
    """One model's finished result on one benchmark.

    identity: benchmark, model, images and protocol, as in summary.json; empty if unknown. record:
    settings, versions, seconds. source: the folder.
    """

    model: str
    benchmark: str
    metrics: dict[str, Metric]
    identity: dict[str, Any]
    source: str
    record: dict[str, Any] = field(default_factory=dict)


def from_folder(results: Path) -> tuple[list[Measured], list[str]]:
    """Return the finished results below a folder, and a message for each unfinished one.

    Raises UserError if there is no finished result, or if one cannot be read.
    """
    if not results.is_dir():
        raise UserError(f"{results} is not a folder: give the folder of the results with --results")
    found, notes = [], []
    for folder in sorted(results.glob("*/*")):
        if (folder / "summary.json").is_file():
            found.append(_read(folder))
            if (folder / "partial").is_dir():
                notes.append(f"{folder} is being re-run; its last complete result is used")
        elif (folder / "partial").is_dir():
            notes.append(f"{folder} is incomplete and is skipped; the same command resumes it")
    if not found:
        rest = f" ({notes[0]})" if notes else ""
        raise UserError(f"{results} has no finished result{rest}: run an eval_*.py first")
    return sorted(found, key=lambda result: (rank(result.benchmark), result.model)), notes


def _read(folder: Path) -> Measured:
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        metrics = {name: Metric(**values) for name, values in summary["metrics"].items()}
        identity = summary["identity"]
        if "scored_with" in summary:
            identity = {**identity, "scored_with": summary["scored_with"]}
        version = summary["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({reason_of(error)}): re-run it with --overwrite, or exclude "
            "it with --without"
        ) from error
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, not {FORMAT}: use the version that wrote it")
    record = {key: summary[key] for key in ("environment", "settings", "seconds") if key in summary}
    record |= {"origin": {k: v for k, v in summary.get("model", {}).items() if k != "spec"}}
    record["images"] = {k: v for k, v in summary.get("images", {}).items() if k != "folder"}
    source = f"{folder.parent.name}/{folder.name}"
    return Measured(folder.name, identity["benchmark"], metrics, identity, source, record)
