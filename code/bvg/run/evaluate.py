"""Evaluate models on a benchmark: images are decoded once, stimuli made once for all models.

from bvg import evaluate, imagenet_val, load_models, options, top5

args = options(model=["tv_resnet50"], limit=100)
models, classes = load_models(args)
images = imagenet_val("/data/imagenet", classes)
runs = evaluate("mine", models, images, stimuli, top5, score, args)
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pyarrow as pa
import torch

from bvg.data.image_set import ImageSet, class_balanced, unused_sentence
from bvg.data.imagenet import check_archive
from bvg.data.preprocessing import READY_224, STUDY
from bvg.files import make_folder
from bvg.predictions.identity import PROBE
from bvg.predictions.table import Predictions, schema
from bvg.progress import Meter
from bvg.run import wandb_mirror
from bvg.run.batches import Example, check_stimuli, example_of, save_stimuli
from bvg.run.command_line import options
from bvg.run.decisions import Decision, decided, protocol_of
from bvg.run.forms import choose_forms
from bvg.run.input_check import check_inputs
from bvg.run.loop import run_pass
from bvg.run.models import LoadedModel, load_all
from bvg.run.probe import has_changed
from bvg.run.program import program_of
from bvg.run.runs import Run, environment_of, finish, open_run, print_state, score_again
from bvg.run.settings import Settings, settings_from
from bvg.scores.metric import Metric
from bvg.stimuli.batch import Columns, Stimuli, unchanged

Score = Callable[[Predictions], dict[str, Metric]]


def load_models(args: argparse.Namespace) -> tuple[list[LoadedModel], tuple[str, ...]]:
    """Return the models of --model, ready on the device, and the classes of their logits.

    Without a model (--save_stimuli needs none), there are no classes.
    Raises UserError for a model that cannot be loaded or used, or models of different classes.
    """
    settings = settings_from(args)
    if args.model:
        make_folder(args.results)  # fails before any long work if it cannot be written
    view = STUDY if hasattr(args, "preprocess") else READY_224
    models = load_all(args, settings, None if _native(args) else view)
    if args.check_top1 and models:
        from bvg.run.check_top1 import check_top1  # here, because importing scipy.stats is slow

        models = check_top1(models, args, settings)
    return models, models[0].classes if models else ()


def evaluate(
    name: str,
    models: Sequence[LoadedModel],
    images: ImageSet,
    stimuli: Stimuli | Mapping[str, Stimuli],
    decide: Decision | None,
    score: Score,
    args: argparse.Namespace | None = None,
    protocol: Mapping[str, Any] | None = None,
    scored_with: Mapping[str, str | None] | None = None,
) -> list[Run]:
    """Return each model's result on the images; finished results on disk are not evaluated again.

    name: the folder below --results, and the W&B project.
    stimuli: yields (condition, model inputs) for a batch; where stimuli are made against each
        model, a dict of such functions by model name.
    decide: (B, classes) logits and, if it takes them, (B,) labels → columns of the predictions
        (run/decisions); None without models.
    score: predictions → metrics by key.
    args: the flags that all scripts share (see `options`).
    protocol: the constants that decide what the numbers mean; a result with others is refused.
    scored_with: what else the scores depend on (human decisions, a reference model), as text by
        name, None for none; when it changes, a finished result is re-scored from the predictions
        on disk.
    A finished result is also re-scored when the calling script has changed; a change of stimuli or
    decision that the protocol does not tell needs --overwrite, which a warning says.
    Raises UserError for errors that the user can fix.
    """
    args = args or options()
    settings = settings_from(args)
    if unused := unused_sentence(images):
        print(f"{name}: {unused}")
    whole, images = images, limited(images, args)
    first = next(iter(stimuli.values()), unchanged) if isinstance(stimuli, Mapping) else stimuli
    views = [model.view if _native(args) else images.view for model in models] or [images.view]
    columns: Columns = {}
    for view in dict.fromkeys(views):
        columns = check_stimuli(first, view, settings.device)
    if args.save_stimuli:
        count = save_stimuli(args.save_stimuli, images, views[0], first, settings)
        print(f"wrote {count:,} stimuli of {len(images):,} images to {args.save_stimuli}")
    if not models or decide is None:
        return []
    check_archive(images)
    logits, labels = torch.zeros(1, len(models[0].classes)), torch.zeros(1, dtype=torch.int64)
    layout = _layout(name, images, decided(decide, logits, labels) | columns)
    limit = None if images is whole else args.limit  # of all images, it changes nothing
    common = {"precision": args.precision, "limit": limit, "seed": args.seed}
    protocol = {**(protocol or {}), **protocol_of(decide), **common}
    scored_with = dict(scored_with or {})
    program = program_of(sys._getframe(1).f_code.co_filename, (first, decide, score))
    with ExitStack() as locks:
        runs = [
            open_run(
                name,
                model,
                view,
                images,
                layout,
                protocol,
                args.results,
                args.overwrite,
                locks,
                program,
            )
            for model, view in zip(models, views, strict=True)
        ]
        for run in runs:
            print_state(run, len(images))
        complete = [run for run in runs if run.store.is_complete()]
        missing = [run for run in runs if not run.store.is_complete()]
        rescored = [run for run in complete if score_again(run, score, scored_with)]
        check_inputs(missing, images, settings)
        used = _answer(name, missing, images, stimuli, decide, settings)
        environment = environment_of(settings.device)
        for run in missing:
            model = run.model
            changed = has_changed(
                model.probed, model.view, settings, model.name, model.identity[PROBE]
            )
            finish(run, images, score, scored_with, used, environment, changed)
        # After all results are safe on disk, since W&B may wait for a network.
        wandb_mirror.mirror([run.store.summary for run in [*missing, *rescored]], args.wandb)
    return runs


def _answer(
    name: str,
    missing: list[Run],
    images: ImageSet,
    stimuli: Stimuli | Mapping[str, Stimuli],
    decide: Decision,
    settings: Settings,
) -> dict[str, int]:
    """Evaluate the models on the images that their results lack, in one pass over the images.

    Returns what the pass used, and its counters, for the record.
    """
    # About as many frames at a time as there would be images.
    settings = replace(settings, batch_size=max(1, settings.batch_size // images.frames))
    choose_forms(missing, images, stimuli, decide, settings)
    done = min((run.store.done for run in missing), default=0)
    with Meter(name, "img", len(images), done) as meter:
        counters = run_pass(images, missing, stimuli, decide, settings, meter.show)
    if counters["images_decoded"]:
        print(
            f"decoded {counters['images_decoded']:,} images once for {len(missing)} model(s): "
            f"{counters['stimuli_made']:,} stimuli, {counters['model_inputs']:,} model inputs"
        )
    return {"batch_size": settings.batch_size, "num_workers": settings.num_workers, **counters}


def _layout(name: str, images: ImageSet, columns: Columns) -> pa.Schema:
    """Return the layout of predictions with these columns of the decision and the stimuli."""
    extra = {key: values for key, values in columns.items() if key not in ("answers", "confidence")}
    floats = [key for key, values in extra.items() if values.is_floating_point()]
    whole = [*images.columns, *(key for key in extra if key not in floats)]
    return schema(name, images.classes, whole + ["frames"] * images.has_sequences, floats)


def example(images: ImageSet, stimuli: Stimuli, args: argparse.Namespace) -> Example:
    """Return the first image that can be decoded, under every condition, for a figure.

    By condition, (H, W, 3) float32 in [0, 1].
    """
    return example_of(limited(images, args), images.view, stimuli, settings_from(args))


def limited(images: ImageSet, args: argparse.Namespace) -> ImageSet:
    """Return the class-balanced subset that --limit asks for, or all images."""
    return class_balanced(images, args.limit, args.seed) if args.limit else images


def _native(args: argparse.Namespace) -> bool:
    return getattr(args, "preprocess", "study") == "native"
