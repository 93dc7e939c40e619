"""Sources of results: a results folder, or W&B projects."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bvg.errors import UserError, reason_of
from bvg.scores.metric import Metric
from bvg.table.columns import is_project_benchmark, rank

FORMAT = 1  # of summary.json
_INTERVAL = "interval/"


@dataclass(frozen=True)
class Measured:
    """One model's finished result on one benchmark.

    identity: benchmark, model, images and protocol, as in summary.json; empty if unknown. record:
    settings, versions, seconds. source: folder or run.
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
        if name.startswith(("_", _INTERVAL)) or not isinstance(value, int | float):
            continue
        low, high = (summary.get(f"{_INTERVAL}{name}/{end}") for end in ("low", "high"))
        metrics[name] = Metric(float(value), low, high)
    return metrics
