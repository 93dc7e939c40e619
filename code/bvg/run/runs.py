"""A model's result on one benchmark, from the empty folder to the finished summary."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from bvg.data.image_set import RESTRICTED, ImageSet
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError
from bvg.predictions.identity import differences, is_unprobed
from bvg.predictions.store import ResultFolder
from bvg.predictions.table import Predictions, read_predictions
from bvg.run.models import LoadedModel
from bvg.run.rows import Columns
from bvg.run.summary import metrics_table, summarise
from bvg.scores.metric import Metric


@dataclass
class Run:
    """A model's result on one benchmark.

    view: the preprocessing of the model's input. identity: what a result must share to be this one.
    rows: answers that are not yet on disk.
    """

    model: LoadedModel
    view: Preprocessing
    store: ResultFolder
    identity: dict[str, Any]
    rows: list[Columns] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what tables, figures and W&B call the model."""
        return self.model.name

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
        """Return the predictions, read from disk: those of many models need not fit into memory."""
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
    held: ExitStack,
) -> Run:
    """Return the model's result, its folder locked until `held` is closed.

    Raises UserError when the folder holds a result of another protocol, other weights or images.
    """
    store = ResultFolder(results / benchmark / model.name, layout)
    held.callback(store.close)
    shown: dict[str, Any] = {"count": len(images), "fingerprint": images.fingerprint}
    if RESTRICTED in images.notes:
        shown[RESTRICTED] = images.notes[RESTRICTED]
    identity = {
        "benchmark": benchmark,
        "model": model.identity,
        "images": shown,
        "protocol": {**protocol, "preprocessing": view.describe()},
    }
    store.open(identity, overwrite)
    if store.recorded is not None and is_unprobed(store.recorded, identity):
        print(
            f"{model.name}: {store.folder} was recorded before models were probed with test "
            "pictures; it is kept, since the hash of the weights is the same",
            file=sys.stderr,
        )
    return Run(model, view, store, identity)


def announce(run: Run, total: int) -> bool:
    """Print the state of the result, and return whether it is complete."""
    if run.store.is_complete():
        print(f"{run.name}: already complete in {run.folder} (--overwrite re-runs it)")
    elif run.store.done:
        print(f"{run.name}: resuming at image {run.store.done:,} of {total:,}")
    return run.store.is_complete()


def complete(
    run: Run,
    images: ImageSet,
    score: Any,
    record: dict[str, Any],
    facts: dict[str, Any],
    scored_with: dict[str, str | None],
) -> None:
    """Concatenate the chunks, score them and write the summary.

    Raises UserError if every image was skipped.
    """
    skipped = run.store.skipped()
    if skipped:
        first = f"{skipped[0]['image']}: {skipped[0]['reason']}"
        if len(skipped) == len(images):
            raise UserError(
                f"none of the {len(images):,} images can be decoded ({first}): check the data set"
            )
        print(f"{run.name}: {len(skipped):,} image(s) skipped (the first is {first})")
    run.store.consolidate()
    summary = summarise(run.store, run.identity, images, score(run.predictions))
    summary |= {"model": run.model.origin, "settings": facts, "environment": record}
    if scored_with:
        summary["scored_with"] = scored_with
    run.store.finish(summary)


def score_again(run: Run, score: Any, scored_with: dict[str, str | None]) -> bool:
    """Re-score a complete result if what its scores depend on has changed; return whether so.

    The scores are computed from the predictions on disk, and summary.json is rewritten.
    """
    summary = run.summary
    before = summary.get("scored_with", {})
    if before == scored_with:
        return False
    metrics = score(run.predictions)
    summary["metrics"] = {name: metric.as_dict() for name, metric in metrics.items()}
    summary["scored_with"] = scored_with
    run.store.finish(summary)
    changes = "; ".join(differences(before, scored_with)) or "nothing was recorded"
    print(f"{run.name}: re-scored from the predictions on disk ({changes})")
    return True


def print_table(runs: Sequence[Run], *keys: str) -> None:
    """Print the metrics of these keys, a line per model and metric; nothing without a result.

    The first key is always printed, with the reason if it has no value; of the others, those that
    have one for some model.
    """
    metrics = {run.name: run.metrics for run in runs}

    def has_value(key: str) -> bool:
        return any(key in found and found[key].value is not None for found in metrics.values())

    if runs:
        print(metrics_table(metrics, (keys[0], *filter(has_value, keys[1:]))))


def print_files(*paths: Path) -> None:
    """Print which files were written."""
    for path in paths:
        print(f"wrote {path}")
