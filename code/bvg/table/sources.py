"""Sources of results: a results folder, or W&B projects."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from bvg.errors import UserError, reason_of
from bvg.predictions.store import PREDICTIONS
from bvg.scores.metric import Metric
from bvg.table.columns import is_project_benchmark, rank

FORMAT = 1  # of summary.json
_INTERVAL = "interval/"


@dataclass(frozen=True)
class Measured:
    """One model's finished result on one benchmark.

    identity: benchmark, model, images and protocol, as in summary.json; empty if unknown. record:
    settings, versions, seconds, and a warning, if there was one. source: folder or run.
    """

    model: str
    benchmark: str
    metrics: dict[str, Metric]
    identity: dict[str, Any]
    source: str
    record: dict[str, Any] = field(default_factory=dict)


def from_folder(results: Path) -> tuple[list[Measured], list[str]]:
    """Return the finished results below a folder, and a message for each unfinished one.

    Those copied in part are unfinished, too.
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
        elif (folder / PREDICTIONS).exists() or (folder.is_symlink() and not folder.exists()):
            notes.append(
                f"{folder} has no summary.json and is skipped; copy it again, or re-run it"
            )
    if not found:
        rest = f" ({notes[0]})" if notes else ""
        near = _near(results)
        remedy = f"give {near} with --results" if near else "run an eval_*.py first"
        raise UserError(f"{results} has no finished result{rest}: {remedy}")
    return sorted(found, key=lambda result: (rank(result.benchmark), result.model)), notes


def _near(results: Path) -> Path | None:
    """Return the folder of results that a folder is part of, or that it contains, if there is."""
    if any(results.glob("*/summary.json")):
        return results.resolve().parent
    return next((path.parents[2] for path in results.glob("*/*/*/summary.json")), None)


def _read(folder: Path) -> Measured:
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        version = summary["format"]
        metrics = {name: _metric(name, values) for name, values in summary["metrics"].items()}
        identity = summary["identity"]
        benchmark = str(identity["benchmark"])
        for part in ("model", "images", "protocol"):
            identity.get(part, {}).keys()  # raises AttributeError unless it is a record
        if "scored_with" in summary:
            identity = {**identity, "scored_with": summary["scored_with"]}
        kept = ("environment", "settings", "seconds", "warning")
        record = {key: summary[key] for key in kept if key in summary}
        record |= {"origin": {k: v for k, v in summary.get("model", {}).items() if k != "spec"}}
        record["images"] = {k: v for k, v in summary.get("images", {}).items() if k != "folder"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read ({reason_of(error)}): copy it again, re-run it with "
            "--overwrite, or move its folder away"
        ) from error
    if version != FORMAT:
        raise UserError(
            f"{path} has format {version!r}, not {FORMAT}: use the version that wrote it"
        )
    source = f"{folder.parent.name}/{folder.name}"
    return Measured(folder.name, benchmark, metrics, identity, source, record)


def _metric(name: str, values: dict[str, Any]) -> Metric:
    """Return a metric of a summary; raises ValueError unless it consists of finite numbers."""
    metric = Metric(**values)
    for number in (metric.value, metric.low, metric.high, metric.n):
        if number is not None and not _is_finite(number):
            raise ValueError(f"{name} has {number!r}, not a number")
    return metric


def _is_finite(value: Any) -> bool:
    """Return whether a value of JSON is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def from_wandb(projects: list[str]) -> tuple[list[Measured], list[str]]:
    """Return the finished runs of W&B projects, and a message for each run that is skipped.

    projects: "entity/project", or "entity" for all its projects that are named like a benchmark.
    Of several finished runs of one name, the newest counts. Raises UserError if W&B cannot be
    reached, or has no such project.
    """
    try:
        import wandb
    except ImportError as error:
        raise UserError("reading W&B needs its client: pip install 'wandb>=0.31'") from error
    found: dict[tuple[str, str], Measured] = {}
    notes: list[str] = []
    try:
        api = wandb.Api()
        for project in _projects(api, projects):
            # Oldest first: a newer run of the same name takes the place of an older one.
            for run in api.runs(project, order="+created_at"):
                _take(run, project, found, notes)
    except Exception as error:  # the client raises many kinds: no login, no network, no project
        raise UserError(
            f"W&B could not be read ({reason_of(error)}): check the name, `wandb login` and the "
            "network, or collect from the results folder"
        ) from error
    if not found:
        raise UserError(f"no finished run in {', '.join(projects)}: check the names")
    return sorted(found.values(), key=lambda r: (rank(r.benchmark), r.model)), notes


def _projects(api: Any, projects: list[str]) -> Iterator[str]:
    for name in projects:
        if "/" in name:
            yield name
        else:
            named = (project.name for project in api.projects(name))
            yield from (f"{name}/{project}" for project in named if is_project_benchmark(project))


def _take(run: Any, project: str, found: dict[tuple[str, str], Measured], notes: list[str]) -> None:
    benchmark, source = project.rpartition("/")[2], f"wandb:{project}/{run.id}"
    if run.state != "finished":
        notes.append(f"{source} ({run.name}) is {run.state} and is skipped")
        return
    identity = {
        k: run.config[k]
        for k in ("benchmark", "model", "images", "protocol", "scored_with")
        if k in run.config
    }
    if (run.name, benchmark) in found:
        notes.append(f"{found[run.name, benchmark].source} ({run.name}) is older than {source}")
    metrics = _metrics(dict(run.summary_metrics))
    found[run.name, benchmark] = Measured(run.name, benchmark, metrics, identity, source)


def _metrics(summary: dict[str, Any]) -> dict[str, Metric]:
    """Return the metrics of a run's summary, in which intervals are separate keys."""
    metrics = {}
    for name, value in summary.items():
        if name.startswith(("_", _INTERVAL)) or not _is_finite(value):
            continue
        low, high = (summary.get(f"{_INTERVAL}{name}/{end}") for end in ("low", "high"))
        metrics[name] = Metric(float(value), low, high)
    return metrics
