"""Train on Stylized-ImageNet and ImageNet, and measure shape bias after every epoch.

    python code/train.py --recipe A --imagenet /data/imagenet --stylized_imagenet /data/sin --out A
    torchrun --nproc_per_node 8 code/train.py --recipe debiased --imagenet /data/imagenet --out D
    python code/eval_imagenet_c.py --model file://A/weights.safetensors

Reference: docs/training.md has the published models' values (A: shape bias 0.81, ImageNet 60.18 %).
Papers: Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
improves accuracy and robustness", ICLR 2019 (A, B, C, alexnet, vgg16); Li et al., "Shape-Texture
Debiased Neural Network Training", ICLR 2021 (debiased).
Data: <imagenet>/train/<class>/<image> and <stylized_imagenet>/train/…, which stylize.py makes; val/
beside train/, if there, is evaluated; and the 1,280 cue-conflict stimuli.
Writes <out>/weights.safetensors (--model file://…), resume.pt, curve.csv (a row per epoch: shape
bias, fractions, accuracies), a figure of it, and the predictions below evaluations/; with W&B, the
same curve. What the network sees depends on (--seed, epoch, image), not on workers, processes or
restarts; the same command resumes.
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 130 interrupted by Ctrl-C,
SIGTERM or SIGUSR1, after saving (the same command resumes).
"""

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from bvg.data.fetch import cache_folder
from bvg.data.finding import find_data, look_for
from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.imagenet import classes_in, imagenet_val
from bvg.data.imagenet_train import imagenet_train, train_folder
from bvg.data.preprocessing import Preprocessing
from bvg.data.shape_bias import cue_conflict, download_cue_conflict
from bvg.errors import UserError
from bvg.figures.training import training_figure
from bvg.files import lock_folder, make_folder
from bvg.progress import Meter, duration
from bvg.run.command_line import (
    data_flag,
    device_flag,
    guarded,
    non_negative,
    parse_words,
    partial_flag,
    plain_parser,
    positive,
    weights_dir_flag,
)
from bvg.run.decisions import categories_of
from bvg.run.runs import metrics_table
from bvg.run.settings import keep_freed_memory
from bvg.run.wandb_mirror import MODES, mirror
from bvg.stimuli.randomness import keyed_generator
from bvg.stylize.adain import AdaIN, load_adain
from bvg.training.checkpoint import LOSS, RECORD, STEP, load_checkpoint, save_checkpoint
from bvg.training.curve import (
    CUE_CONFLICT,
    CURVE,
    IMAGENET,
    KEYS,
    STYLIZED,
    Metrics,
    Row,
    evaluated,
    read_curve,
    row_of,
    write_curve,
)
from bvg.training.data import Share, TrainingImages, batches
from bvg.training.debiased import (
    BothHalves,
    add_auxiliary,
    copy_side,
    mixed_loss,
    restyled,
    without_auxiliary,
)
from bvg.training.model import SCRATCH, Start, new_model, pretrained_model, save_weights
from bvg.training.processes import Processes, deferred_signals, processes
from bvg.zoo.loading import CheckpointOptions
from bvg.zoo.normalized import NormalizedModel
from bvg.zoo.weights import weights_sha256

RESUME = "resume.pt"
MOST_WORKERS = 16
SETS = {"imagenet": IMAGENET, "stylized-imagenet": STYLIZED}  # name in the catalogue: benchmark


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    data: names of data sets, one after the other in an epoch. start: a model, or scratch with
    `arch`. milestones: epochs after which the learning rate is multiplied by `decay`. debiased:
    whether each image is also shown in another's style; alpha, gamma, auxiliary_bn and multi_grid
    are of that.
    """

    data: tuple[str, ...]
    start: str
    epochs: int
    milestones: tuple[int, ...]
    lr: float = 0.1
    decay: float = 0.1
    warmup: int = 0
    batch_size: int = 256
    momentum: float = 0.9
    weight_decay: float = 1e-4
    size: int = 224
    least_area: float = 0.08
    arch: str = "torchvision:resnet50"
    debiased: bool = False
    alpha: float = 0.5
    gamma: float = 0.8
    auxiliary_bn: bool = False
    multi_grid: bool = False


SIN, IN = "stylized-imagenet", "imagenet"
V1 = "torchvision:{}/IMAGENET1K_V1"
RECIPES = {
    # Geirhos et al. 2019: README of rgeirhos/texture-vs-shape; crops, momentum and weight decay are
    # those of pytorch/examples' ImageNet script.
    "A": Recipe((SIN,), V1.format("resnet50"), 60, (20, 40)),
    "B": Recipe((SIN, IN), V1.format("resnet50"), 45, (15, 30)),
    "C": Recipe((IN,), "resnet50_trained_on_SIN_and_IN", 60, (30,), lr=0.01),
    # Epochs and rates are in the names of the published files; start and milestones as A's.
    "alexnet": Recipe((SIN,), V1.format("alexnet"), 60, (20, 40), lr=0.001),
    "vgg16": Recipe((SIN,), V1.format("vgg16"), 60, (20, 40), lr=0.01),
    # Not a published recipe: pytorch/examples' schedule for ImageNet, on Stylized-ImageNet.
    "scratch": Recipe((SIN,), SCRATCH, 90, (30, 60)),
    # Li et al. 2021: TRAINING.md and imagenet.py of LiYingwei/ShapeTextureDebiasedTraining.
    "debiased": Recipe(
        (IN,),
        SCRATCH,
        100,
        (30, 60, 90),
        lr=0.2,
        warmup=5,
        batch_size=512,
        debiased=True,
        auxiliary_bn=True,
        multi_grid=True,
    ),
}

# The flags that replace a recipe's values: type and help.
VALUES: dict[str, tuple[Callable[[str], Any], str]] = {
    "start": (str, f"model to start with, as --model takes it elsewhere, or {SCRATCH}"),
    "arch": (str, f"architecture of --start {SCRATCH} and of file:// checkpoints"),
    "epochs": (positive, "passes over the training images"),
    "milestones": (non_negative, "epochs after which the learning rate is multiplied by --decay"),
    "lr": (float, "learning rate"),
    "decay": (float, "factor of the learning rate at each milestone"),
    "warmup": (non_negative, "epochs in which the learning rate rises from 0"),
    "batch_size": (positive, "images per update, of all processes"),
    "momentum": (float, "momentum of SGD"),
    "weight_decay": (float, "weight decay, of all parameters"),
    "size": (positive, "side of the images in pixels"),
    "least_area": (float, "least part of an image that a random crop shows"),
    "alpha": (float, "debiased: strength of the style"),
    "gamma": (float, "debiased: weight of the shape's label, the rest is the texture's"),
    "auxiliary_bn": (lambda text: _yes(text), "debiased: batch normalizations of their own"),
    "multi_grid": (lambda text: _yes(text), "debiased: smaller stylized copies, by turns"),
}


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return text == "yes"


def _parser() -> argparse.ArgumentParser:
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("--recipe", choices=[*RECIPES], required=True, help="what to train (required)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results (required)")
    data = parser.add_argument_group("data")
    data_flag(data, "imagenet")
    data.add_argument(
        "--stylized_imagenet",
        "--stylized",
        metavar="DIR",
        help="folder of Stylized-ImageNet, with train/ and val/ (default: $BVG_STYLIZED_IMAGENET)",
    )
    data_flag(data, "model-vs-human/cue-conflict")
    partial_flag(data)
    data.add_argument(
        "--limit_val",
        type=positive,
        default=5000,
        metavar="N",
        help="images of each validation set to evaluate after an epoch, class-balanced; all are "
        "evaluated at the end (default: 5000)",
    )
    values = parser.add_argument_group("values of the recipe (default: the recipe's)")
    values.add_argument("--data", nargs="+", choices=[*SETS], help="data sets to train on")
    for name, (kind, words) in VALUES.items():
        many = "*" if name == "milestones" else None
        values.add_argument(f"--{name}", type=kind, help=words, metavar="VALUE", nargs=many)
    execution = parser.add_argument_group("execution")
    device_flag(execution)
    add = execution.add_argument
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add(
        "--chunk_size",
        type=positive,
        metavar="B",
        help="images at a time on each device; the gradients of a batch are accumulated (default: "
        "the process's share of the batch)",
    )
    add(
        "--num_workers",
        type=non_negative,
        metavar="W",
        help="processes per device that decode images (default: the cores per device, at most 16; "
        "0 on the CPU)",
    )
    add(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        default="auto",
        help="arithmetic; fp32 has TF32 on GPUs (default: auto, bf16 or fp16 on GPUs, else fp32)",
    )
    add("--compile", action="store_true", help="compile the network with torch.compile")
    add("--deterministic", action="store_true", help="deterministic algorithms only; slower")
    add(
        "--save_every",
        type=positive,
        default=1000,
        metavar="STEPS",
        help="updates between two checkpoints; one is also saved after each epoch (default: 1000)",
    )
    add(
        "--keep_weights",
        action="store_true",
        help="also keep the weights of every epoch, weights-epoch-<n>.safetensors",
    )
    add(
        "--wandb",
        choices=MODES,
        default="auto",
        help="upload the curve to W&B; auto uploads if you are logged in (default: auto)",
    )
    weights_dir_flag(parser.add_argument_group("weights"))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Train; return the exit code."""
    args = parse_words(_parser(), argv)
    given = {field.name: getattr(args, field.name, None) for field in fields(Recipe)}
    changes = {name: value for name, value in given.items() if value is not None}
    changes |= {name: tuple(changes[name]) for name in ("data", "milestones") if name in changes}
    return guarded(lambda: _train(replace(RECIPES[args.recipe], **changes), args), "--out")


@dataclass
class Job:
    """All that an epoch needs.

    model: images in [0, 1] → logits, what is trained. plain: the same without auxiliary batch
    normalizations, what is evaluated and saved. forward: the model as it is called.
    """

    recipe: Recipe
    args: argparse.Namespace
    own: Processes
    share: Share
    images: TrainingImages
    start: Start
    model: nn.Module
    plain: NormalizedModel
    forward: nn.Module
    engine: AdaIN | None
    optimizer: torch.optim.Optimizer
    scheduler: Any
    scaler: torch.amp.GradScaler
    dtype: torch.dtype | None
    record: dict[str, Any]
    step: int = 0
    loss: float = 0.0  # sum over the steps of this epoch

    @property
    def steps(self) -> int:
        """Return the number of updates in an epoch."""
        return len(self.images) // self.recipe.batch_size


def _train(recipe: Recipe, args: argparse.Namespace) -> None:
    if hasattr(signal, "SIGUSR1"):  # outside of epochs as SIGTERM
        signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGTERM))
    with processes(args.device) as own, ExitStack() as locks:
        share = _share(recipe, args.chunk_size, own)
        start, sets = _start_and_sets(recipe, args)
        validation = _validation(recipe, args, start.classes)
        if own.is_first:
            make_folder(args.out, "--out")
            lock_folder(args.out, locks, "--out")
        job = _job(recipe, args, own, share, start, sets)
        _resume(job)
        rows = read_curve(args.out / CURVE) if own.is_first else []
        rows = [row for row in rows if (row["epoch"] or 0) <= job.step // job.steps]
        began, first = time.monotonic(), job.step
        while True:
            epoch = job.step // job.steps
            if own.is_first and job.step % job.steps == 0:
                if not any(row["epoch"] == epoch for row in rows):
                    rows.append(_measure(job, epoch, validation))
                _publish(job, rows, _pace(job, job.step - first, time.monotonic() - began))
            own.wait()
            if epoch == recipe.epochs:
                break
            _epoch(job, epoch)
        if own.is_first and any(len(s) > args.limit_val for s in validation.values()):
            whole = {n: images for n, images in validation.items() if n != CUE_CONFLICT}
            metrics = {args.recipe: _evaluated(job, "final", whole)}
            print(metrics_table(metrics, KEYS))
        own.wait()


def _share(recipe: Recipe, chunk_size: int | None, own: Processes) -> Share:
    """Return this process's share of each batch; raises UserError if the batch is not divisible."""
    batch = recipe.batch_size
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


def _start_and_sets(recipe: Recipe, args: argparse.Namespace) -> tuple[Start, dict[str, ImageSet]]:
    """Return the network to begin with, and the training images of its classes."""
    given = {"imagenet": args.imagenet, "stylized-imagenet": args.stylized_imagenet}
    roots = {name: find_data(name, given[name]) for name in recipe.data}
    folders = {name: train_folder(root, name) for name, root in roots.items()}
    if recipe.start == SCRATCH:
        start = new_model(recipe.arch, classes_in(folders[recipe.data[0]]), args.seed)
    else:
        options = CheckpointOptions(args.arch or "", weights_dir=args.weights_dir)
        start = pretrained_model(recipe.start, options)
    return start, {
        name: imagenet_train(root, start.classes, args.partial, name)
        for name, root in roots.items()
    }


def _validation(
    recipe: Recipe, args: argparse.Namespace, classes: tuple[str, ...]
) -> dict[str, ImageSet]:
    """Return what is evaluated, by benchmark: cue conflict, and each validation set that is there.

    Images have the size of the training images; stylized ones and stimuli are not resized if they
    have it.
    """
    size = recipe.size
    ready = Preprocessing(round(size * 256 / 224), size, keep_ready=True)
    folder = look_for("model-vs-human/cue-conflict", args.stimuli) or download_cue_conflict()
    stimuli = cue_conflict(folder, categories_of(classes))
    found = {CUE_CONFLICT: replace(stimuli, view=replace(ready, resize=size))}
    given = {"imagenet": args.imagenet, "stylized-imagenet": args.stylized_imagenet}
    for name, benchmark in SETS.items():
        root = look_for(name, given[name])
        if root is not None and (name not in recipe.data or (root / "val").is_dir()):
            images = imagenet_val(root, classes, args.partial, name)
            view = ready if name == SIN else replace(ready, keep_ready=False)
            found[benchmark] = replace(images, view=view)
    return found


def _job(
    recipe: Recipe,
    args: argparse.Namespace,
    own: Processes,
    share: Share,
    start: Start,
    sets: dict[str, ImageSet],
) -> Job:
    """Return the job at its first step; raises UserError if an epoch has no whole batch."""
    images = TrainingImages(sets, args.seed, recipe.size, recipe.least_area)
    if len(images) < recipe.batch_size:
        raise UserError(
            f"there are only {len(images):,} training images, less than a batch of "
            f"{recipe.batch_size}: give a smaller --batch_size"
        )
    dtype = _arithmetic(args, own.device)
    record = {
        "recipe": {"name": args.recipe, **asdict(recipe)},
        "seed": args.seed,
        "start": {"weights_sha256": weights_sha256(start.model)},
        "images": {
            name: {"count": len(part), "fingerprint": part.fingerprint if own.is_first else ""}
            for name, part in sets.items()
        },
    }
    plain = deepcopy(start.model)
    model: nn.Module = start.model
    if recipe.auxiliary_bn:
        add_auxiliary(model)
    model.to(own.device).to(memory_format=torch.channels_last)
    forward: nn.Module = BothHalves(model) if recipe.debiased else model
    if own.count > 1:
        forward = DistributedDataParallel(forward)
    if args.compile:
        forward = torch.compile(forward)  # type: ignore[assignment]
    # timm's "sgd" is Nesterov's, "momentum" the plain one. All parameters decay, as published.
    optimizer = create_optimizer_v2(
        model,
        "momentum",
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        filter_bias_and_bn=False,
    )
    folder = args.weights_dir or os.environ.get("BVG_WEIGHTS") or cache_folder() / "weights"
    engine = load_adain(Path(folder) / "adain", own.device) if recipe.debiased else None
    scheduler = schedule(recipe, optimizer, len(images) // recipe.batch_size)
    scaler = torch.amp.GradScaler(own.device.type, enabled=dtype == torch.float16)
    return Job(
        recipe,
        args,
        own,
        share,
        images,
        start,
        model,
        plain,
        forward,
        engine,
        optimizer,
        scheduler,
        scaler,
        dtype,
        record,
    )


def schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """Return the learning rate's schedule: schedule.step(n) sets it for update n, from 1.

    In the warm-up, it rises linearly to the full rate at the last of its updates.
    """
    return create_scheduler_v2(
        optimizer,
        "multistep",
        num_epochs=recipe.epochs * steps,
        # timm applies a milestone one step early, and we count from 1.
        decay_milestones=[milestone * steps + 2 for milestone in recipe.milestones],
        decay_rate=recipe.decay,
        warmup_epochs=recipe.warmup * steps,
        warmup_lr=0.0,
    )[0]


def _arithmetic(args: argparse.Namespace, device: torch.device) -> torch.dtype | None:
    """Configure PyTorch; return the type for autocast, None for fp32."""
    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = not args.deterministic
    if args.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    auto = "fp32"
    if device.type == "cuda":
        auto = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    name = auto if args.precision == "auto" else args.precision
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)


def _resume(job: Job) -> None:
    """Continue from the last checkpoint, if there is one, and say how the run begins."""
    recipe, own = job.recipe, job.own
    # Written and compared by the first process; the others take what it accepted.
    content = load_checkpoint(job.args.out / RESUME, job.record if own.is_first else None)
    if content is not None:
        job.model.load_state_dict(content["model"])
        job.optimizer.load_state_dict(content["optimizer"])
        job.scaler.load_state_dict(content["scaler"])
        job.step, job.loss = content[STEP], content[LOSS]
    if not own.is_first:
        return
    begin = f"resuming at update {job.step:,} of" if job.step else "training for"
    passes = "" if job.share.chunks == 1 else f" in chunks of {job.share.chunk}"
    print(
        f"{begin} {recipe.epochs * job.steps:,} updates of {recipe.batch_size} images{passes}, on "
        f"{own.count} x {own.device.type}, {job.dtype or torch.float32}"
    )
    published = RECIPES[job.args.recipe]
    if recipe.batch_size != published.batch_size and recipe.lr == published.lr:
        scaled = published.lr * recipe.batch_size / published.batch_size
        print(
            f"the learning rate {recipe.lr:g} is the recipe's for batches of "
            f"{published.batch_size}; for {recipe.batch_size}, linear scaling suggests --lr "
            f"{scaled:g}"
        )
    if never := [str(epoch) for epoch in recipe.milestones if epoch >= recipe.epochs]:
        print(f"the milestones {', '.join(never)} are not reached in {recipe.epochs} epochs")


def _epoch(job: Job, epoch: int) -> None:
    """Train for the rest of an epoch, and save.

    Raises UserError, before the weights are touched, for a loss that is not finite, and
    KeyboardInterrupt after saving when a signal asks for the end.
    """
    _arithmetic(job.args, job.own.device)  # the evaluation has its own
    job.model.train()
    first = job.step - epoch * job.steps
    if first == 0:
        job.loss = 0.0
    on_gpu = job.own.device.type == "cuda"
    stream = batches(job.images, job.share, epoch, first, _workers(job), pin_memory=on_gpu)
    name = f"epoch {epoch + 1} of {job.recipe.epochs}"
    total, done = job.steps * job.share.batch, first * job.share.batch
    with deferred_signals() as signals, Meter(name, "img", total, done) as meter:
        for step in range(first, job.steps):
            job.scheduler.step(job.step + 1)
            loss, asked = job.own.mean(_gradients(job, stream, epoch, step), bool(signals))
            if not math.isfinite(loss):
                raise _diverged(job, f"the loss is {loss}")
            job.scaler.step(job.optimizer)
            job.scaler.update()
            job.step, job.loss = job.step + 1, job.loss + loss
            meter.add(job.share.batch)
            if asked or job.step % job.args.save_every == 0 or step == job.steps - 1:
                _save(job)
            if asked:
                raise KeyboardInterrupt


def _gradients(job: Job, stream: Iterator[Any], epoch: int, step: int) -> float:
    """Compute the gradients of a batch; return the loss, the mean over the process's images."""
    job.optimizer.zero_grad()
    total = torch.zeros((), device=job.own.device)
    for number, (start, _) in enumerate(job.share.chunks_of(step)):
        pixels, labels = next(stream)
        # Dropout and styles too are the same however the batch is shared.
        generator = keyed_generator(job.args.seed, f"update {job.step}", str(start))
        torch.manual_seed(generator.initial_seed())
        waits = job.own.count > 1 and number < job.share.chunks - 1
        with job.forward.no_sync() if waits else nullcontext():  # type: ignore[operator]
            loss = _loss(job, pixels, labels, generator, epoch, step) / job.share.chunks
            job.scaler.scale(loss).backward()
        total += loss.detach()
    return total.item()


def _loss(
    job: Job,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    generator: torch.Generator,
    epoch: int,
    step: int,
) -> torch.Tensor:
    """Return the loss of (B, H, W, 3) uint8 pixels and (B,) labels."""
    recipe, device = job.recipe, job.own.device
    # The bytes of (B, H, W, 3) are those of (B, 3, H, W) in channels_last.
    x = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
    labels = labels.to(device, non_blocking=True)
    autocast = torch.autocast(device.type, job.dtype, enabled=job.dtype is not None)
    if job.engine is None:
        with autocast:
            return F.cross_entropy(job.forward(x), labels)
    order = torch.randperm(len(x), generator=generator).to(device)
    side = recipe.size
    if recipe.multi_grid:
        side = copy_side(side, step, epoch, recipe.epochs, recipe.milestones)
    copies = restyled(job.engine, F.interpolate(x, (side, side)), order, recipe.alpha)
    with autocast:
        clean, stylized = job.forward(x, copies)
        return mixed_loss(clean, stylized, labels, order, recipe.gamma)


def _workers(job: Job) -> int:
    if job.args.num_workers is not None or job.own.device.type == "cpu":
        return job.args.num_workers or 0
    return min(MOST_WORKERS, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _diverged(job: Job, what: str) -> UserError:
    path = job.args.out / RESUME
    kept = f"{path} keeps the last checkpoint" if path.exists() else "no checkpoint was saved yet"
    return UserError(
        f"{what} at update {job.step + 1:,}, so training has diverged; {kept}: start again in "
        f"another --out with a lower learning rate than --lr {job.recipe.lr:g}"
    )


def _save(job: Job) -> None:
    """Save the checkpoint; raises UserError if the weights are not finite."""
    if not job.own.is_first:
        return
    if not all(parameter.isfinite().all() for parameter in job.model.parameters()):
        raise _diverged(job, "weights are not finite")
    content = {
        RECORD: job.record,
        STEP: job.step,
        LOSS: job.loss,
        "model": job.model.state_dict(),
        "optimizer": job.optimizer.state_dict(),
        "scaler": job.scaler.state_dict(),
    }
    save_checkpoint(job.args.out / RESUME, content)


def _evaluated(job: Job, name: str, validation: dict[str, ImageSet]) -> Metrics:
    job.plain.load_state_dict(without_auxiliary(job.model.state_dict()))
    return evaluated(
        name,
        job.plain,
        validation,
        job.args.out / "evaluations",
        device=str(job.own.device),
        num_workers=job.args.num_workers,
        seed=job.args.seed,
    )


def _measure(job: Job, epoch: int, validation: dict[str, ImageSet]) -> Row:
    """Return the curve's row of the weights after an epoch, and save these."""
    limit, seed = job.args.limit_val, job.args.seed
    some = {
        name: images if name == CUE_CONFLICT else class_balanced(images, limit, seed)
        for name, images in validation.items()
    }
    metrics = _evaluated(job, f"epoch-{epoch:03d}", some)
    names = ["weights", *([f"weights-epoch-{epoch:03d}"] if job.args.keep_weights else [])]
    training = {**job.record, "epoch": epoch, "update": job.step}
    for name in names:
        path = job.args.out / f"{name}.safetensors"
        save_weights(path, job.plain, job.start.arch, training)
    if not epoch:
        return row_of(0, 0, None, None, metrics)
    lr = job.optimizer.param_groups[0]["lr"]
    return row_of(epoch, job.step, lr, job.loss / job.steps, metrics)


def _pace(job: Job, updates: int, seconds: float) -> str:
    """Return the rate and the time left as text, with evaluation; "" before the first update."""
    if not updates:
        return ""
    rate = updates / seconds
    left = duration((job.recipe.epochs * job.steps - job.step) / rate)
    return f"; {rate * job.share.batch:,.1f} images/s, {left} left"


def _publish(job: Job, rows: list[Row], left: str) -> None:
    """Write the curve and its figure, print the last row, and mirror it to W&B."""
    out, last = job.args.out, rows[-1]
    mirrored = write_curve(out, rows, "training", job.record)
    training_figure({job.args.recipe: rows}, out / "curve", job.recipe.milestones)
    shown = [f"{key} {value:.4g}" for key, value in last.items() if value is not None]
    print(f"{', '.join(shown)}{left}")
    mirror([mirrored], job.args.wandb)


if __name__ == "__main__":
    sys.exit(main())
