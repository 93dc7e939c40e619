"""A model's result on one benchmark, from the empty folder to the finished summary."""

import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import isclose
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import nn

from bvg.data.image_set import RESTRICTED, ImageSet
from bvg.data.preprocessing import READY_224, Preprocessing
from bvg.errors import UserError
from bvg.predictions.identity import PROGRAM, differences
from bvg.predictions.store import ResultFolder
from bvg.predictions.table import Predictions, read_predictions
from bvg.progress import text_table
from bvg.run.batches import Rows
from bvg.run.checks import guessing, misplaced
from bvg.run.models import LoadedModel
from bvg.run.precision import State, report, sentence, state_from
from bvg.run.program import Program
from bvg.scores.metric import Metric

FORMAT = 1  # of summary.json
# The beginnings of scores that depend on the predictions alone, in every version.
_OF_PREDICTIONS = ("top1_acc/", "top5_acc/", "calibration/ece")
EAGER = "eager"  # the form of a model as it is
SCORED_BY = "scored_by"  # in summary.json: the digest of the script that scored it again
CHANGED = (
    "its outputs for test pictures are no longer those before the run, so its answers depend on "
    "their order: make it keep nothing from one call to the next"
)
_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pandas",
    "scipy",
    "pillow",
    "opencv-python-headless",
    "pyarrow",
    "wandb",
)


@dataclass(frozen=True)
class Form:
    """A model in the form in which it is computed.

    speeds: images per second of the forms that were timed on the first batch.
    """

    name: str
    model: nn.Module
    speeds: dict[str, float] = field(default_factory=dict)


@dataclass
class Run:
    """A model's result on one benchmark.

    view: the preprocessing of the model's input.
    program: the script that calls `evaluate`.
    identity: what a result on disk must agree with to be resumed or reused.
    rows: answers that are not yet on disk.
    check: what the check of the precision has shown so far, where there is one.
    form: in which the model is computed; None for the model as it is.
    input_check: what a check of the model's input found, if there was one.
    """

    model: LoadedModel
    view: Preprocessing
    program: Program
    store: ResultFolder
    identity: dict[str, Any]
    rows: list[Rows] = field(default_factory=list)
    check: State | None = None
    form: Form | None = None
    input_check: dict[str, Any] | None = None

    @property
    def computed(self) -> nn.Module:
        """Return the model in the form in which it is computed."""
        return self.form.model if self.form else self.model.model

    @property
    def name(self) -> str:
        """Return what tables, figures and W&B call the model."""
        return self.model.name

    @property
    def begun(self) -> str | None:
        """Return the form of the answers on disk; None if there are none."""
        chunks = self.store.chunks()
        return chunks[-1].info.get("form", EAGER) if chunks else None

    @property
    def folder(self) -> Path:
        """Return the folder of the result."""
        return self.store.folder

    @property
    def summary(self) -> dict[str, Any]:
        """Return the content of summary.json; raises FileNotFoundError before it is finished."""
        return json.loads(self.store.summary.read_text(encoding="utf-8"))

    @property
    def metrics(self) -> dict[str, Metric]:
        """Return the metrics in summary.json, by key."""
        return {key: Metric(**values) for key, values in self.summary["metrics"].items()}

    @property
    def predictions(self) -> Predictions:
        """Return the predictions, read from disk, since those of many models may not fit memory."""
        return read_predictions(self.store.predictions)


def open_run(
    benchmark: str,
    model: LoadedModel,
    view: Preprocessing,
    images: ImageSet,
    layout: pa.Schema,
    protocol: dict[str, Any],
    results: Path,
    overwrite: bool,
    locks: ExitStack,
    program: Program,
) -> Run:
    """Return the model's result; its folder stays locked until `locks` is closed.

    Raises UserError when the folder holds a result of another protocol, other weights or images.
    """
    store = ResultFolder(results / benchmark / model.name, layout)
    locks.callback(store.close)
    image_set: dict[str, Any] = {"count": len(images), "fingerprint": images.fingerprint}
    if RESTRICTED in images.notes:
        image_set[RESTRICTED] = images.notes[RESTRICTED]
    identity = {
        "benchmark": benchmark,
        "model": model.identity,
        "images": image_set,
        "protocol": {**protocol, "preprocessing": view.describe()},
        PROGRAM: program.digest,
    }
    store.open(identity, overwrite)
    return Run(model, view, program, store, identity)


def print_state(run: Run, total: int) -> None:
    """Print whether the result is complete or will be resumed; nothing for a new one."""
    if run.store.is_complete():
        print(f"{run.name}: already complete in {run.folder} (--overwrite re-runs it)")
    elif run.store.done:
        print(f"{run.name}: resuming at image {run.store.done:,} of {total:,}")
        if run.program.is_known_to_differ((run.store.recorded or {}).get(PROGRAM)):
            _warn(
                run,
                f"{run.program.name} has changed since this result was begun; if the stimuli or "
                "the decision did, start again with --overwrite",
            )


def finish(
    run: Run,
    images: ImageSet,
    score: Callable[[Predictions], dict[str, Metric]],
    scored_with: dict[str, str | None],
    settings: dict[str, Any],
    environment: dict[str, Any],
    has_changed: bool = False,
) -> None:
    """Concatenate the chunks, score them and write summary.json.

    scored_with: see evaluate. settings, environment: how and where the result was computed.
    has_changed: whether the model's outputs are no longer those before the run.
    Raises UserError if every image was skipped.
    """
    skipped = _skipped(run, len(images))
    run.store.consolidate()
    infos = [chunk.info for chunk in run.store.chunks()]
    predictions = run.predictions
    summary: dict[str, Any] = {
        "format": FORMAT,
        "identity": run.identity,
        "metrics": _as_json(score(predictions)),
        "images": {
            "folder": str(images.root.resolve()),
            "evaluated": len(images) - len(skipped),
            "skipped": skipped,
            "resized_although_ready": _resized(run, infos),
            **images.notes,
        },
        "seconds": _total_seconds(infos),
        "model": run.model.origin,
        "settings": settings,
        "environment": environment,
        **_form(run, infos),
    }
    if scored_with:
        summary["scored_with"] = scored_with
    if run.input_check:
        summary["input_check"] = run.input_check
    summary |= _warnings(run, predictions, images, has_changed) | _precision(run, infos)
    run.store.finish(summary)


def _skipped(run: Run, total: int) -> list[dict[str, str]]:
    """Return the images that were skipped, and print their number; raises UserError if all were."""
    skipped = run.store.skipped()
    if skipped:
        first = f"{skipped[0]['image']}: {skipped[0]['reason']}"
        if len(skipped) == total:
            raise UserError(
                f"none of the {total:,} images can be decoded ({first}): check the data set"
            )
        print(f"{run.name}: {len(skipped):,} image(s) skipped (the first is {first})")
    return skipped


def _resized(run: Run, infos: list[dict[str, Any]]) -> int:
    """Return how many ready-made stimuli were resized, and warn of them."""
    resized = len({name for info in infos for name in info["resized"]})
    if resized and run.view.crop == READY_224.crop:  # else the model has another input size
        _warn(
            run,
            f"{resized:,} stimuli are not 224 x 224 pixels, as published, and were resized; give "
            "them in their published size",
        )
    return resized


def _form(run: Run, infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the forms that computed the result, and their speeds, unless it was eager alone."""
    forms = sorted({info.get("form", EAGER) for info in infos})
    if run.form is None and forms == [EAGER]:
        return {}
    speeds = run.form.speeds if run.form else {}
    return {"form": {"computed": forms, "images_per_second": speeds}}


def _warnings(
    run: Run, predictions: Predictions, images: ImageSet, has_changed: bool
) -> dict[str, str]:
    """Return warnings about the model that its answers give rise to, and print them."""
    found = [CHANGED] if has_changed else []
    if not run.model.origin.get("untrained"):
        benchmark, classes = run.identity["benchmark"], run.model.classes
        found += filter(
            None,
            (
                guessing(benchmark, classes, predictions, images),
                misplaced(benchmark, classes, predictions, images),
            ),
        )
    for warning in found:
        _warn(run, warning)
    return {"warning": "; ".join(found)} if found else {}


def _precision(run: Run, infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the check of low precision found, if there was one, and print it."""
    checked = infos[-1].get("check") if infos else None
    if not checked:
        return {}
    precision = run.identity["protocol"]["precision"]
    found = report(state_from(checked), precision)
    print(sentence(run.name, found, precision))
    return {"precision": found}


def _warn(run: Run, message: str) -> None:
    print(f"{run.name}: warning: {message}", file=sys.stderr, flush=True)


def _as_json(metrics: dict[str, Metric]) -> dict[str, Any]:
    return {name: metric.as_dict() for name, metric in metrics.items()}


def _total_seconds(infos: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds of all calls that led to the result, by section.

    decode is the sum over the workers; wait is how long the loop waited for them. All but `model`
    is time of the pass, which the models of one call share.
    """
    total: dict[str, float] = {}
    for info in infos:
        for section, seconds in info["seconds"].items():
            total[section] = total.get(section, 0.0) + seconds
    return {section: round(seconds, 3) for section, seconds in sorted(total.items())}


def score_again(
    run: Run,
    score: Callable[[Predictions], dict[str, Metric]],
    scored_with: dict[str, str | None],
) -> bool:
    """Re-score a complete result if what its scores depend on has changed; return whether it had.

    That is `scored_with`, and the script. The scores are computed from the predictions on disk, and
    summary.json is rewritten. What the result was scored with besides `scored_with` stays, and so
    do all scores where nothing changed.
    """
    summary = run.summary
    recorded = summary.get("scored_with", {})
    before = {key: recorded[key] for key in scored_with if key in recorded}
    scored_by = summary.get(SCORED_BY) or summary["identity"].get(PROGRAM)
    has_changed = run.program.is_known_to_differ(scored_by)
    if before == scored_with and not has_changed:
        return False
    scores = score(run.predictions)
    if not has_changed:  # otherwise it may score differently on purpose
        check_alike(run.folder, run.metrics, scores)
    others = summary["metrics"] if recorded.keys() - scored_with.keys() else {}
    summary["metrics"] = others | _as_json(scores)
    if recorded or scored_with:
        summary["scored_with"] = recorded | scored_with
    summary[SCORED_BY] = run.program.digest
    run.store.finish(summary)
    changes = differences(before, scored_with) + [f"{run.program.name} has changed"] * has_changed
    reason = "; ".join(changes) or "nothing was recorded"
    print(f"{run.name}: re-scored from the predictions on disk ({reason})")
    if has_changed:
        _warn(
            run,
            f"its predictions are of {run.program.name} as it was before; if the stimuli or the "
            "decision changed, re-run it with --overwrite",
        )
    return True


def check_alike(folder: Path, recorded: Mapping[str, Metric], scores: Mapping[str, Metric]) -> None:
    """Raise UserError unless a result's basic scores are recorded as its predictions have them.

    Otherwise its files are of two results, for example copied by hand, or one was edited.
    """
    for key in recorded.keys() & scores.keys():
        before, now = recorded[key].value, scores[key].value
        if not key.startswith(_OF_PREDICTIONS) or before is None or now is None:
            continue
        if not isclose(before, now, rel_tol=1e-6):
            raise UserError(
                f"{folder}: {key} is {before:g} in summary.json and {now:g} by "
                "predictions.parquet, so the two are not of one result: copy both again, or re-run "
                "it with --overwrite"
            )


def environment_of(device: torch.device) -> dict[str, Any]:
    """Return versions, machine and the code's git commit, for the record."""
    name = f"{device.type} ({platform.processor() or platform.machine()})"
    return {
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else name,
        "git_commit": _git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Return the commit of this repository, with "+changes" where files differ from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None  # not a clone, or no git: an archive of the code works as well
    return commit + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments],
        cwd=Path(__file__).parent,
        capture_output=True,
        check=True,
        timeout=10,
        encoding="utf-8",
        errors="replace",
    )
    return result.stdout.strip()


def print_table(runs: Sequence[Run], *keys: str) -> None:
    """Print the metrics of these keys, a line per model and metric; nothing without a result.

    The first key is always printed, with the reason if it has no value; the others only if some
    model has a value.
    """
    metrics = {run.name: run.metrics for run in runs}
    shown = [
        key
        for number, key in enumerate(keys)
        if number == 0
        or any(key in found and found[key].value is not None for found in metrics.values())
    ]
    if runs:
        print(metrics_table(metrics, shown))


def metrics_table(metrics: dict[str, dict[str, Metric]], shown: Sequence[str]) -> str:
    """Return the metrics named in `shown` as text, a line per model and metric.

    Below the table, a line for each undefined value gives the reason.
    """
    rows = [("model", "metric", "value", "95 % interval", "images")]
    notes = []
    for model, values in metrics.items():
        for name in shown:
            if name in values:
                rows.append((model, name, *_cells(values[name])))
                if values[name].value is None:
                    notes.append(f"{model}, {name}: {values[name].note}")
    return "\n".join([text_table(rows, right=(2, 3, 4)), *notes])


def _cells(metric: Metric) -> tuple[str, str, str]:
    if metric.value is None:
        return "undefined", "", f"{metric.n:,}"
    digits = 4 if abs(metric.value) <= 1 and (metric.high or 0) <= 1 else 2
    interval = (
        f"{metric.low:.{digits}f} – {metric.high:.{digits}f}"
        if metric.low is not None and metric.high is not None
        else ""
    )
    return f"{metric.value:.{digits}f}", interval, f"{metric.n:,}"


def print_files(*paths: Path) -> None:
    """Print which files were written."""
    for path in paths:
        print(f"wrote {path}")
