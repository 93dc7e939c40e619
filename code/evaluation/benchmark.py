"""What an evaluation script declares: which images, stimuli, decision and scores."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.batches import Example
from evaluation.decisions import Decision
from evaluation.entrants import Entrant
from evaluation.settings import Settings
from images.image_set import ImageSet
from images.preprocessing import STUDY, Preprocessing
from predictions.store import PREDICTIONS
from predictions.table import Predictions, read_predictions
from scoring.metric import Metric
from stimuli.batch import Stimuli


@dataclass(frozen=True)
class Finished:
    """A model's finished result."""

    name: str
    folder: Path
    metrics: dict[str, Metric]

    @property
    def predictions(self) -> Predictions:
        """Return the predictions, read anew: those of many models need not fit into memory."""
        return read_predictions(self.folder / PREDICTIONS)


def no_files(
    finished: list[Finished], arguments: argparse.Namespace, example: Callable[[], Example]
) -> list[Path]:
    """Return no files: the benchmark writes none of its own."""
    return []


def no_remarks(metrics: dict[str, Metric]) -> list[str]:
    """Return no sentence: there is nothing in the metrics that a reader should be warned of."""
    return []


def as_declared(benchmark: "Benchmark", arguments: argparse.Namespace) -> Sequence["Benchmark"]:
    """Return the benchmark alone, as the script declares it."""
    return (benchmark,)


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    name: the folder under --results and the W&B project.
    arguments: adds the script's own flags.
    locate: the data's folder, from the arguments; called before any model is loaded.
    images: folder, the models' classes and the arguments → the image set.
    stimuli: a batch → (condition, model inputs), one after the other.
    decision: the models' classes and the image set → the decision.
    score: predictions → metrics.
    headline: the metrics that the printed table shows.
    preprocessing: what makes the crops; STUDY lets the user choose each model's own instead.
    protocol: what else must be the same for two runs to be one result.
    decision_columns: what the decision, or the stimuli, add to the predictions.
    float_columns: those that are not whole numbers.
    files: writes what belongs to the benchmark besides (decision tables, figures); returns them.
        Its last argument makes one image's stimuli, for a figure that shows them.
    configure: the benchmarks that the arguments ask for, made from this one: each has a result
        folder of its own, and all are measured with the same models.
    frames: how many frames a file holds as a rule (1: files are images).
    against: entrant, images, settings, arguments → stimuli made against that model, instead of
        `stimuli`, which all models share.
    pool: how many batches the stimuli are given at once.
    scored_with: what the scores depend on besides the predictions (human decisions, a reference
        model), as text by name, None for none; a finished result is scored again when it changes.
    remarks: a model's metrics → sentences about them that are printed below the table.
    """

    name: str
    arguments: Callable[[argparse._ArgumentGroup], None]
    locate: Callable[[argparse.Namespace], Path]
    images: Callable[[Path, tuple[str, ...], argparse.Namespace], ImageSet]
    stimuli: Stimuli
    decision: Callable[[tuple[str, ...], ImageSet], Decision]
    score: Callable[[Predictions], dict[str, Metric]]
    headline: tuple[str, ...]
    preprocessing: Preprocessing = STUDY
    protocol: dict[str, Any] = field(default_factory=dict)
    decision_columns: tuple[str, ...] = ()
    float_columns: tuple[str, ...] = ()
    files: Callable[[list[Finished], argparse.Namespace, Callable[[], Example]], list[Path]] = (
        no_files
    )
    configure: Callable[["Benchmark", argparse.Namespace], Sequence["Benchmark"]] = as_declared
    frames: int = 1
    against: Callable[[Entrant, ImageSet, Settings, argparse.Namespace], Stimuli] | None = None
    pool: int = 1
    scored_with: dict[str, str | None] = field(default_factory=dict)
    remarks: Callable[[dict[str, Metric]], list[str]] = no_remarks
