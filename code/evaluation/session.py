"""The main program of every evaluation script: one call, some models, one benchmark."""

import argparse
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from basics.errors import UserError
from basics.files import make_folder
from evaluation import command_line
from evaluation.batches import check_stimuli, example_of, save_stimuli
from evaluation.benchmark import Benchmark, Finished
from evaluation.decisions import Decision, among_all_classes
from evaluation.entrants import Entrant, load_entrants
from evaluation.loop import Member, run
from evaluation.progress import Progress
from evaluation.provenance import environment
from evaluation.results import (
    Result,
    announce,
    complete,
    finished_result,
    mirror,
    open_result,
    scored_again,
)
from evaluation.sanity import check_top1
from evaluation.settings import Settings, settings_of
from evaluation.summary import metrics_table
from evaluation.tracking import Tracker, resolve_mode
from images.image_set import ImageSet, class_balanced
from images.imagenet import classes_in
from images.preprocessing import STUDY, Preprocessing
from stimuli.batch import Stimuli


def main(benchmark: Benchmark, description: str | None, argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line; return the exit code.

    The printed output ends with a table of the headline metrics.
    """
    arguments = arguments_of(benchmark, description, argv)
    return command_line.guarded(lambda: _evaluate(benchmark, arguments))


def arguments_of(
    benchmark: Benchmark, description: str | None, argv: list[str] | None
) -> argparse.Namespace:
    """Return the arguments in `argv`; the process ends where they are none of the benchmark's."""
    parser = command_line.parser(description)
    group = parser.add_argument_group("data")
    benchmark.arguments(group)
    if benchmark.preprocessing == STUDY:
        group.add_argument(
            "--preprocess",
            choices=("study", "native"),
            default="study",
            help="study: Resize(256) + CenterCrop(224) for every model; native: each model's own",
        )
    return command_line.parse(parser, argv)


# What example_of and save_stimuli are given.
Recipe = tuple[ImageSet, Preprocessing, Stimuli, torch.device, int]


@dataclass(frozen=True)
class _Task:
    """A benchmark on its images."""

    benchmark: Benchmark
    images: ImageSet
    decide: Decision
    recipe: Recipe  # of its stimuli
    own: dict[str, Stimuli]  # by model, where they are made against each one


def _evaluate(declared: Benchmark, arguments: argparse.Namespace) -> int:
    if arguments.model:
        make_folder(arguments.results)
    settings = settings_of(arguments)
    benchmarks = declared.configure(declared, arguments)
    folders = [benchmark.locate(arguments) for benchmark in benchmarks]
    native = getattr(arguments, "preprocess", "study") == "native"
    view = None if native else benchmarks[0].preprocessing
    entrants = load_entrants(arguments, settings, view)
    check_top1(entrants, arguments, settings)
    tasks = [
        _task(benchmark, folder, arguments, settings, entrants)
        for benchmark, folder in zip(benchmarks, folders, strict=True)
    ]
    for task in tasks if arguments.save_stimuli else ():
        own = arguments.save_stimuli / (task.benchmark.name if len(tasks) > 1 else "")
        count = save_stimuli(own, *task.recipe, settings.skip_bad_images)
        print(f"wrote {count:,} stimuli of {len(task.images):,} images to {own}")
    if not entrants:
        return 0
    with ExitStack() as held:
        opened = [  # all of them before the first is measured: what cannot be, is said at once
            [
                open_result(task.benchmark, task.images, entrant, arguments, held)
                for entrant in entrants
            ]
            for task in tasks
        ]
        for task, results in zip(tasks, opened, strict=True):
            finished = _measure(task, arguments, settings, results)
            example = partial(example_of, *task.recipe)
            for path in task.benchmark.files(finished, arguments, example):
                print(f"wrote {path}")
            print(metrics_table({f.name: f.metrics for f in finished}, task.benchmark.headline))
            for model in finished:
                for remark in task.benchmark.remarks(model.metrics):
                    print(f"{model.name}: {remark}")
    return 0


def _task(
    benchmark: Benchmark,
    folder: Path,
    arguments: argparse.Namespace,
    settings: Settings,
    entrants: list[Entrant],
) -> _Task:
    """Return the benchmark with its images; raises UserError where they or the views do not fit."""
    views = [entrant.view for entrant in entrants] or [benchmark.preprocessing]
    for view in set(views):
        check_stimuli(benchmark.stimuli, view, settings.device)
    classes = entrants[0].classes if entrants else classes_in(folder)
    images = benchmark.images(folder, classes, arguments)
    if arguments.limit:
        images = class_balanced(images, arguments.limit, arguments.seed)
    own = _own_stimuli(benchmark, images, arguments, settings, entrants)
    shown = next(iter(own.values()), benchmark.stimuli)
    recipe = (images, views[0], shown, settings.device, settings.seed)
    decision = benchmark.decision if entrants else among_all_classes  # which nobody will ask
    return _Task(benchmark, images, decision(classes, images), recipe, own)


def _own_stimuli(
    benchmark: Benchmark,
    images: ImageSet,
    arguments: argparse.Namespace,
    settings: Settings,
    entrants: list[Entrant],
) -> dict[str, Stimuli]:
    """Return the stimuli that are made against each model, by its name; none for most benchmarks.

    Raises UserError when stimuli are to be saved and it is not clear which.
    """
    if not benchmark.against:
        return {}
    own = {e.name: benchmark.against(e, images, settings, arguments) for e in entrants}
    if arguments.save_stimuli and len(set(own.values())) != 1:
        raise UserError(
            "these stimuli are made against a model, so --save_stimuli needs one model to make "
            "them against: give one --model"
        )
    return own


def _measure(
    task: _Task, arguments: argparse.Namespace, settings: Settings, results: list[Result]
) -> list[Finished]:
    """Do what is missing, and return every model's result."""
    benchmark, images = task.benchmark, task.images
    missing = [result for result in results if not announce(result, len(images))]
    complete_ones = (result for result in results if result.store.is_complete())
    logged = missing + [result for result in complete_ones if scored_again(benchmark, result)]
    mode = resolve_mode(arguments.wandb) if logged else "disabled"
    trackers = {result.entrant.name: Tracker(mode, arguments.results) for result in logged}
    for result in logged:
        config = result.identity | (
            {"scored_with": benchmark.scored_with} if benchmark.scored_with else {}
        )
        trackers[result.entrant.name].start(benchmark.name, result.entrant.name, config)
    # About as many frames at a time as it would be images.
    at_once = max(1, settings.batch_size // benchmark.frames) * benchmark.pool
    settings = replace(settings, batch_size=at_once)
    members = [_member(task, result) for result in missing]
    with Progress(len(images), benchmark.name) as progress:
        counters = run(images, members, benchmark.stimuli, settings, progress.update)
    if counters["images_decoded"]:
        print(
            f"decoded {counters['images_decoded']:,} images once for {len(members)} model(s): "
            f"{counters['stimuli_made']:,} stimuli, {counters['model_inputs']:,} model inputs"
        )
    facts = {"batch_size": settings.batch_size, "num_workers": settings.num_workers, **counters}
    record = environment(settings.device)
    for result in missing:
        complete(benchmark, images, result, record, facts)
    finished = [finished_result(result) for result in results]
    for model in finished:  # after all of them are safe on disk: W&B may wait for a network
        if model.name in trackers:
            mirror(trackers[model.name], model.metrics)
    return finished


def _member(task: _Task, result: Result) -> Member:
    model = result.entrant
    own = task.own.get(model.name)
    return Member(model.name, model.model, task.decide, model.view, result.store, own)
