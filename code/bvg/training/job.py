"""A training run in one process: everything that an epoch needs."""

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bvg.data.downloads import data_sets
from bvg.data.fetch import weights_folder
from bvg.data.finding import find_data
from bvg.data.folders import same_bytes
from bvg.data.image_set import ImageSet, unused_sentence
from bvg.data.imagenet import classes_in
from bvg.data.imagenet_train import imagenet_train, train_folder
from bvg.errors import UserError, is_out_of_memory
from bvg.run.settings import keep_freed_memory
from bvg.stylize.adain import AdaIN, load_adain
from bvg.stylize.manifest import stylizer_of
from bvg.stylize.styles import Styles, load_styles
from bvg.training.curve import IMAGENET, STYLIZED, validation_sets
from bvg.training.data import Share, TrainingImages
from bvg.training.debiased import BothHalves, add_auxiliary
from bvg.training.model import Start, new_model, pretrained_model
from bvg.training.processes import Processes
from bvg.training.recipe import IN, SCRATCH, SIN, Recipe, schedule
from bvg.zoo.loading import CheckpointOptions
from bvg.zoo.normalized import NormalizedModel
from bvg.zoo.weights import weights_sha256

MOST_WORKERS = 16
COMPARED = 1000  # images of one name in two sets


@dataclass
class Job:
    """A training run.

    own: this process among all. share: its part of each batch. classes: of the logits. arch: for
    the record. model: images in [0, 1] → logits, what is trained. plain: the same without auxiliary
    batch normalizations, what is evaluated and saved. forward: the model as it is called. engine:
    of debiased training. styles: statistics of its paintings, None for the batch's own. dtype: for
    autocast, None for fp32. record: what a resumed run must agree with. execution: what else the
    weights depend on. validation: what the first process evaluates, by benchmark. step: updates
    done. loss: sum over the updates of this epoch.
    """

    recipe: Recipe
    own: Processes
    share: Share
    images: TrainingImages
    classes: tuple[str, ...]
    arch: str
    model: nn.Module
    plain: NormalizedModel
    forward: nn.Module
    engine: AdaIN | None
    styles: torch.Tensor | None
    optimizer: torch.optim.Optimizer
    scheduler: Any
    scaler: torch.amp.GradScaler
    dtype: torch.dtype | None
    workers: int
    record: dict[str, Any]
    execution: dict[str, Any]
    validation: dict[str, ImageSet]
    step: int = 0
    loss: float = 0.0

    @property
    def steps(self) -> int:
        """Return the number of updates in an epoch."""
        return len(self.images) // self.recipe.batch_size


def new_job(recipe: Recipe, args: argparse.Namespace, own: Processes) -> Job:
    """Return the run at its first update.

    Raises UserError for missing data, a model that cannot be loaded, a batch that cannot be
    divided, fewer images than a batch, and images that are in two of the sets.
    """
    share = share_of(recipe.batch_size, args.chunk_size, own)
    start, sets = _start_and_sets(recipe, args)
    images = TrainingImages(sets, args.seed, recipe.size, recipe.least_area, args.skip_bad_images)
    if len(images) < recipe.batch_size:
        raise UserError(
            f"there are only {len(images):,} training images, less than a batch of "
            f"{recipe.batch_size}: give a smaller --batch_size"
        )
    dtype = arithmetic(args, own.device)
    model, plain = start.model, deepcopy(start.model)
    weights = weights_folder(args.weights_dir)
    engine = load_adain(weights / "adain", own.device) if recipe.debiased else None
    styles = _styles(recipe, args, engine)
    record, validation = {}, {}
    if own.is_first:  # which alone evaluates
        validation = validation_sets(recipe.size, recipe.data, args, start.classes)
        check_distinct(sets, validation)
        for sentence in filter(None, map(unused_sentence, sets.values())):
            print(sentence)
        record = _record(recipe, args, plain, sets, validation, styles)
    if recipe.auxiliary_bn:
        add_auxiliary(model)
    model.to(own.device).to(memory_format=torch.channels_last)
    # timm's "sgd" is Nesterov's, "momentum" the plain one. All parameters decay, as published.
    optimizer = create_optimizer_v2(
        model,
        "momentum",
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        filter_bias_and_bn=False,
    )
    return Job(
        recipe=recipe,
        own=own,
        share=share,
        images=images,
        classes=start.classes,
        arch=start.arch,
        model=model,
        plain=plain,
        forward=_as_called(model, recipe, args, own),
        engine=engine,
        styles=torch.from_numpy(styles.vectors).to(own.device) if styles else None,
        optimizer=optimizer,
        scheduler=schedule(recipe, optimizer, len(images) // recipe.batch_size),
        scaler=torch.amp.GradScaler(own.device.type, enabled=dtype == torch.float16),
        dtype=dtype,
        workers=_workers(args, own.device),
        record=record,
        execution=_execution(args, own, share, dtype),
        validation=validation,
    )


def share_of(batch: int, chunk_size: int | None, own: Processes) -> Share:
    """Return a process's share of each batch; raises UserError if it cannot be divided."""
    if batch % own.count:
        raise UserError(
            f"a batch of {batch} images cannot be shared equally by {own.count} processes: give "
            f"--batch_size {batch - batch % own.count or own.count}, or another number of processes"
        )
    each = batch // own.count
    chunk = chunk_size or each
    if each % chunk:
        divisor = max(d for d in range(1, min(chunk, each) + 1) if each % d == 0)
        raise UserError(
            f"{each} images per process cannot be divided into chunks of {chunk}: give "
            f"--chunk_size {divisor}"
        )
    return Share(own.rank, own.count, batch, chunk)


@contextmanager
def memory_errors(share: Share) -> Iterator[None]:
    """Turn an error for lack of memory into a UserError that names a smaller --chunk_size."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        each = share.batch // share.processes
        fewer = [d for d in range(1, share.chunk // 2 + 1) if each % d == 0]
        remedy = (
            f"add --chunk_size {fewer[-1]}, so that the gradients of a batch are accumulated"
            if fewer
            else "use another --device"
        )
        raise UserError(
            f"the memory is too small for {share.chunk} images at a time: {remedy}"
        ) from error


def _start_and_sets(recipe: Recipe, args: argparse.Namespace) -> tuple[Start, dict[str, ImageSet]]:
    """Return the network to begin with, and the training images of its classes."""
    roots = {name: find_data(name, getattr(args, name.replace("-", "_"))) for name in recipe.data}
    folders = {name: train_folder(root, name) for name, root in roots.items()}
    if recipe.model == SCRATCH:
        start = new_model(recipe.arch, classes_in(folders[recipe.data[0]]), args.seed, recipe.size)
    else:
        options = CheckpointOptions(args.arch or "", weights_dir=args.weights_dir)
        start = pretrained_model(recipe.model, options, recipe.size)
    return start, {
        name: imagenet_train(root, start.classes, args.partial, name)
        for name, root in roots.items()
    }


def _styles(recipe: Recipe, args: argparse.Namespace, engine: AdaIN | None) -> Styles | None:
    """Return the styles of --styles; raises UserError unless they can be used with the recipe."""
    if args.styles is None:
        return None
    if engine is None or recipe.gamma != 1:
        raise UserError(
            "--styles is for debiased training with --gamma 1, since paintings have no label that "
            "copies could count for: use --recipe debiased --gamma 1, or drop --styles"
        )
    styles = load_styles(args.styles)
    if styles.record.get("weights") != engine.record["weights"]:
        raise UserError(
            f"{args.styles} holds styles of another stylizer: give one that stylize.py --engine "
            "adain wrote with the published weights"
        )
    return styles


def _record(
    recipe: Recipe,
    args: argparse.Namespace,
    model: nn.Module,
    sets: Mapping[str, ImageSet],
    validation: Mapping[str, ImageSet],
    styles: Styles | None,
) -> dict[str, Any]:
    """Return what decides the weights, except for the execution, and the rows of the curve."""
    paintings = {"styles": {"count": len(styles.names), **styles.record}} if styles else {}
    return {
        **paintings,
        "recipe": {"name": args.recipe, **asdict(recipe)},
        "seed": args.seed,
        "start": {"weights_sha256": weights_sha256(model)},
        "images": described(sets),
        # Rows of one curve are comparable.
        "evaluation": {"limit": args.limit_val, "images": described(validation)},
    }


def _execution(
    args: argparse.Namespace, own: Processes, share: Share, dtype: torch.dtype | None
) -> dict[str, Any]:
    """Return what the last digits of the weights depend on, and by the chunks a little more."""
    if own.device.type == "cuda":
        device: dict[str, Any] = {"device": torch.cuda.get_device_name(own.device)}
    else:
        instructions = torch.backends.cpu.get_cpu_capability()  # such as AVX2
        device = {
            "device": f"{own.device.type} ({instructions})",
            "threads": torch.get_num_threads(),
        }
    return {
        **device,
        "processes": own.count,
        "chunk_size": share.chunk,
        "precision": str(dtype or torch.float32).removeprefix("torch."),
        "compile": args.compile,
        "deterministic": args.deterministic,
        "skip_bad_images": args.skip_bad_images,
        "pytorch": str(torch.__version__),
    }


def check_distinct(training: Mapping[str, ImageSet], validation: Mapping[str, ImageSet]) -> None:
    """Raise UserError if an image is in two of the sets, or if ImageNet's are stylized.

    training: by name in the catalogue; validation: by benchmark. Of the images that have a name in
    common, COMPARED are compared.
    """
    sets = {f"{data_sets()[name].flag} (train/)": images for name, images in training.items()}
    for name, benchmark in ((IN, IMAGENET), (SIN, STYLIZED)):
        if benchmark in validation:
            sets[f"{data_sets()[name].flag} (val/)"] = validation[benchmark]
    for name, images in sets.items():
        if name.startswith(data_sets()[IN].flag) and stylizer_of(images.root):
            raise UserError(
                f"{images.root} holds stylized images: give ImageNet itself with "
                f"{data_sets()[IN].flag}, and its stylized copy with {data_sets()[SIN].flag}"
            )
    for (one, images), (other, others) in combinations(sets.items(), 2):
        if name := _in_both(images, others):
            raise UserError(
                f"{one} and {other} have images in common, such as {name}, so that accuracies or "
                "the recipe would not be what they are called: correct the folders"
            )


def _in_both(images: ImageSet, others: ImageSet) -> str:
    """Return the name of an image that both sets have; "" if there is none."""
    common = sorted({*images.names} & {*others.names})
    chosen = {*common[:: -(-len(common) // COMPARED) or 1]}
    places = [
        {name: some.path(k) for k, name in enumerate(some.names) if name in chosen}
        for some in (images, others)
    ]
    for name in sorted(chosen):
        if same_bytes(*(place[name] for place in places)):
            return name
    return ""


def described(sets: Mapping[str, ImageSet]) -> dict[str, dict[str, Any]]:
    """Return what identifies the images of several sets, for the record.

    It includes what stylized them, and how many of how many they are where some are missing.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, images in sets.items():
        found[name] = {"count": len(images), "fingerprint": images.fingerprint}
        if stylizer := stylizer_of(images.root):
            found[name]["stylizer"] = stylizer
        if "partial" in images.notes:
            found[name]["partial"] = images.notes["partial"]
    return found


def _as_called(
    model: nn.Module, recipe: Recipe, args: argparse.Namespace, own: Processes
) -> nn.Module:
    forward = BothHalves(model) if recipe.debiased else model
    if own.count > 1:
        forward = DistributedDataParallel(forward)
    return torch.compile(forward) if args.compile else forward  # type: ignore[return-value]


def arithmetic(args: argparse.Namespace, device: torch.device) -> torch.dtype | None:
    """Configure PyTorch for training; return the type for autocast, None for fp32."""
    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = not args.deterministic
    if args.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    name = args.precision
    if name == "auto" and device.type == "cuda":
        name = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)


def _workers(args: argparse.Namespace, device: torch.device) -> int:
    if args.num_workers is not None or device.type == "cpu":
        return args.num_workers or 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(MOST_WORKERS, (os.cpu_count() or 1) // here)
