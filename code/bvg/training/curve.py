"""What an epoch's weights can do: the project's own evaluation, as a row of the curve."""

import argparse
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from bvg.data.finding import look_for
from bvg.data.image_set import ImageSet
from bvg.data.imagenet import are_imagenet, imagenet_val, val_folder
from bvg.data.preprocessing import Preprocessing
from bvg.data.shape_bias import cue_conflict, download_cue_conflict
from bvg.errors import UserError, reason_of
from bvg.files import make_folder, written_atomically
from bvg.predictions.table import Predictions
from bvg.run.command_line import options, with_options
from bvg.run.decisions import Decision, categories_of, sixteen_way, top5
from bvg.run.evaluate import evaluate
from bvg.run.models import load_all
from bvg.run.settings import settings_from
from bvg.scores.accuracy import imagenet_accuracy, top1_and_top5
from bvg.scores.metric import Metric
from bvg.scores.shape_bias import shape_bias_metrics
from bvg.stimuli.batch import unchanged
from bvg.stylize.manifest import stylizer_of
from bvg.training.recipe import IN, SIN

CUE_CONFLICT, IMAGENET, STYLIZED = "imagenet_shape_bias", "imagenet", "stylized_imagenet"
CURVE = "curve.csv"
EVALUATIONS = "evaluations"  # laid out as --results of the evaluation scripts
# Written with its 95 % interval; the others without.
SHAPE_BIAS = "shape-bias"
KEYS = (
    SHAPE_BIAS,
    "shape-bias/max",
    "fraction-correct-shape",
    "fraction-correct-texture",
    "fraction-neither",
    "top1_acc/imagenet",
    "top5_acc/imagenet",
    "top1_acc/stylized-imagenet",
    "top5_acc/stylized-imagenet",
)

Metrics = dict[str, Metric]
Row = dict[str, float | None]


class Evaluated(NamedTuple):
    """How a set is evaluated: its decision for the classes of a model, and its score."""

    decision: Callable[[tuple[str, ...]], Decision]
    score: Callable[[Predictions], Metrics]


HOW = {
    CUE_CONFLICT: Evaluated(sixteen_way, shape_bias_metrics),
    IMAGENET: Evaluated(lambda classes: top5, imagenet_accuracy),
    STYLIZED: Evaluated(lambda classes: top5, partial(top1_and_top5, key="stylized-imagenet")),
}


def validation_sets(
    size: int, training: Sequence[str], args: argparse.Namespace, classes: tuple[str, ...]
) -> dict[str, ImageSet]:
    """Return what is evaluated, by benchmark: cue conflict, and each validation set that is there.

    size: side of the training images, and of these; stylized images and stimuli that have it are
    not resized. training: the data sets trained on, which need not have a folder val/.
    Raises UserError for other layouts, and missing stimuli.
    """
    ready = Preprocessing(round(size * 256 / 224), size, keep_ready=True)
    folder = look_for("model-vs-human/cue-conflict", args.stimuli) or download_cue_conflict()
    stimuli = cue_conflict(folder, categories_of(classes), args.partial)
    if stylizer := stylizer_of(folder):
        stimuli.notes["stylizer"] = stylizer
    found = {CUE_CONFLICT: replace(stimuli, view=replace(ready, resize=size))}
    for name, benchmark in ((IN, IMAGENET), (SIN, STYLIZED)):
        flag = getattr(args, name.replace("-", "_"))
        # What only the environment names is of ImageNet's classes.
        wanted = flag or name in training or are_imagenet(classes)
        root = look_for(name, flag) if wanted else None
        if root is None:
            continue
        trains = name in training or (root / "train").is_dir()
        if val_folder(root) != root or not trains:
            images = imagenet_val(root, classes, args.partial, name)
            found[benchmark] = replace(images, view=replace(ready, keep_ready=name == SIN))
    return found


def evaluated(
    name: str,
    model: nn.Module,
    sets: Mapping[str, ImageSet],
    limit: int | None,
    folder: Path,
    **settings: Any,
) -> Metrics:
    """Return the metrics of a model on all sets; the predictions are kept in `folder`.

    name: what the results call the model. sets: by benchmark, a key of HOW. limit: of the images of
    each validation set. settings: what run.command_line.options takes.
    """
    args = options(
        model={name: model}, results=folder, overwrite=True, wandb="disabled", **settings
    )
    found: Metrics = {}
    with redirect_stdout(io.StringIO()):  # its lines about every set would repeat each epoch
        view = next(iter(sets.values())).view
        models = load_all(args, settings_from(args), view)
        for benchmark, images in sets.items():
            how = HOW[benchmark]
            decide = how.decision(models[0].classes)
            own = args if benchmark == CUE_CONFLICT else with_options(args, limit=limit)
            # As the scripts of these benchmarks record it.
            stylizer = stylizer_of(images.root) or "unknown"
            protocol = {"stylizer": stylizer} if benchmark == STYLIZED else None
            runs = evaluate(benchmark, models, images, unchanged, decide, how.score, own, protocol)
            found |= runs[0].metrics
    return found


def row_of(epoch: int, step: int, lr: float | None, loss: float | None, metrics: Metrics) -> Row:
    """Return the row of an epoch; what was not measured is left out, the undefined None."""
    row: Row = {"epoch": epoch, "step": step, "lr": lr, "loss": loss}
    for key in KEYS:
        if key in metrics:
            row[key] = metrics[key].value
            if key == SHAPE_BIAS:
                row |= {f"{key}/low": metrics[key].low, f"{key}/high": metrics[key].high}
    return row


def read_curve(path: Path) -> list[Row]:
    """Return the rows of a curve's file; none if it does not exist.

    Raises UserError for a file that was changed, as spreadsheets do.
    """
    if not path.exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            if not {"epoch", "step"} <= {*(table.fieldnames or ())}:
                raise ValueError("columns are missing")
            rows = [{key: _number(text) for key, text in row.items()} for row in table]
    except (ValueError, AttributeError, TypeError) as error:  # of rows that are too short or long
        raise UserError(
            f"{path} is no longer as train.py wrote it ({reason_of(error)}): restore it, or delete "
            "it (the rows of earlier epochs are then lost)"
        ) from error
    return rows


def _number(text: str) -> float | None:
    """Return a whole number as an int, so that it is written again as it was read."""
    return None if text == "" else int(text) if text.isdigit() else float(text)


def write_curve(folder: Path, rows: list[Row], name: str, record: dict[str, Any]) -> Path:
    """Write curve.csv, and the same for W&B below evaluations/; return the latter's path.

    name: the W&B project. record: the recipe and what it was trained on.
    """
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = {"identity": {"benchmark": name, **record}, "metrics": {}, "history": rows}
    mirrored = make_folder(folder / EVALUATIONS / name / folder.resolve().name) / "curve.json"
    written = {folder / CURVE: text.getvalue(), mirrored: json.dumps(content, indent=1) + "\n"}
    for path, words in written.items():
        with written_atomically(path, "--out") as file:
            file.write(words.encode(errors="backslashreplace"))
    return mirrored
