"""One model's result on one benchmark, from the empty folder to the finished summary."""

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from basics.errors import UserError
from evaluation.benchmark import Benchmark, Finished
from evaluation.entrants import Entrant
from evaluation.summary import summarise
from evaluation.tracking import Tracker
from images.image_set import RESTRICTED, ImageSet
from predictions.store import ResultFolder
from predictions.table import read_predictions, schema
from scoring.metric import Metric


@dataclass(frozen=True)
class Result:
    """A model, its result folder, and what both must be to belong together."""

    entrant: Entrant
    store: ResultFolder
    identity: dict[str, Any]


def open_result(
    benchmark: Benchmark,
    images: ImageSet,
    entrant: Entrant,
    arguments: argparse.Namespace,
    held: ExitStack,
) -> Result:
    """Return the entrant's result folder, locked until `held` is closed."""
    columns = [*images.columns, *benchmark.decision_columns]
    if images.reader:
        columns.append("frames")
    layout = schema(benchmark.name, images.classes, columns, benchmark.float_columns)
    store = ResultFolder(arguments.results / benchmark.name / entrant.name, layout)
    held.callback(store.close)
    shown = {"count": len(images), "fingerprint": images.fingerprint}
    if RESTRICTED in images.notes:
        shown[RESTRICTED] = images.notes[RESTRICTED]
    identity = {
        "benchmark": benchmark.name,
        "model": entrant.identity,
        "images": shown,
        "protocol": {
            **benchmark.protocol,
            "preprocessing": entrant.view.describe(),
            "precision": arguments.precision,
            "limit": arguments.limit,
            "seed": arguments.seed,
        },
    }
    store.open(identity, arguments.overwrite)
    return Result(entrant, store, identity)


def announce(result: Result, total: int) -> bool:
    """Say where the result stands, and return whether it is complete."""
    store, name = result.store, result.entrant.name
    if store.is_complete():
        print(f"{name}: already complete in {store.folder} (--overwrite measures it anew)")
    elif store.done:
        print(f"{name}: goes on after image {store.done:,} of {total:,}")
    return store.is_complete()


def complete(
    benchmark: Benchmark,
    images: ImageSet,
    result: Result,
    record: dict[str, Any],
    facts: dict[str, Any],
) -> None:
    """Put the chunks together and write the summary; raises UserError if all were skipped."""
    skipped = result.store.skipped()
    if skipped:
        first = f"{skipped[0]['image']}: {skipped[0]['reason']}"
        if len(skipped) == len(images):
            raise UserError(
                f"none of the {len(images):,} images can be used ({first}): check the data set"
            )
        print(f"{result.entrant.name}: {len(skipped):,} image(s) left out (the first is {first})")
    result.store.consolidate()
    metrics = benchmark.score(read_predictions(result.store.predictions))
    summary = summarise(result.store, result.identity, images, metrics)
    summary |= {"model": result.entrant.origin, "settings": facts, "environment": record}
    result.store.finish(summary)


def finished_result(result: Result) -> Finished:
    """Return a complete result, as its files have it."""
    metrics = json.loads(result.store.summary.read_text(encoding="utf-8"))["metrics"]
    as_metrics = {name: Metric(**values) for name, values in metrics.items()}
    return Finished(result.entrant.name, result.store.folder, as_metrics)


def mirror(tracker: Tracker, metrics: dict[str, Metric]) -> None:
    """Log every metric under its own name, and its interval beside it."""
    values = {name: metric.value for name, metric in metrics.items()}
    values |= {f"interval/{name}/low": metric.low for name, metric in metrics.items()}
    values |= {f"interval/{name}/high": metric.high for name, metric in metrics.items()}
    values = {name: value for name, value in values.items() if value is not None}
    tracker.log(values)
    tracker.finish()
