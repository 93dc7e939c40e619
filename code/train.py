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
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 75 another process is writing
to the same --out; 130 interrupted by Ctrl-C, SIGTERM or SIGUSR1, after saving (the same command
resumes).
"""

import argparse
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from bvg.data.image_set import ImageSet
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
from bvg.run.runs import metrics_table
from bvg.run.wandb_mirror import MODES, mirror
from bvg.stimuli.batch import on_device
from bvg.stimuli.randomness import keyed_generator
from bvg.training.checkpoint import WEIGHTS, diverged, resume, save
from bvg.training.curve import (
    CUE_CONFLICT,
    CURVE,
    EVALUATIONS,
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
from bvg.training.data import batches
from bvg.training.debiased import copy_side, mixed_loss, restyled, without_auxiliary
from bvg.training.job import Job, arithmetic, memory_errors, new_job
from bvg.training.model import save_weights
from bvg.training.processes import deferred_signals, processes
from bvg.training.recipe import (
    IN,
    RESNET50,
    SCRATCH,
    SIN,
    Recipe,
    overridden,
    recipe_flags,
    remarks,
)

V1 = "torchvision:{}/IMAGENET1K_V1"
RECIPES = {
    # Geirhos et al. 2019: README of rgeirhos/texture-vs-shape. Crops, momentum and weight decay are
    # those of pytorch/examples' script for ImageNet.
    "A": Recipe((SIN,), V1.format("resnet50"), 60, (20, 40)),
    "B": Recipe((SIN, IN), V1.format("resnet50"), 45, (15, 30)),
    "C": Recipe((IN,), "resnet50_trained_on_SIN_and_IN", 60, (30,), lr=0.01),
    # Epochs and rates are in the names of the published files; start and milestones are A's.
    "alexnet": Recipe((SIN,), V1.format("alexnet"), 60, (20, 40), lr=0.001),
    "vgg16": Recipe((SIN,), V1.format("vgg16"), 60, (20, 40), lr=0.01),
    # Not published: pytorch/examples' schedule for ImageNet, on Stylized-ImageNet.
    "scratch": Recipe((SIN,), SCRATCH, 90, (30, 60), arch=RESNET50),
    # Li et al. 2021: TRAINING.md and imagenet.py of LiYingwei/ShapeTextureDebiasedTraining.
    "debiased": Recipe(
        (IN,),
        SCRATCH,
        100,
        (30, 60, 90),
        lr=0.2,
        warmup=5,
        batch_size=512,
        arch=RESNET50,
        debiased=True,
        alpha=0.5,
        gamma=0.8,
        auxiliary_bn=True,
        multi_grid=True,
    ),
}


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
    data.add_argument(
        "--styles",
        type=Path,
        metavar="FILE",
        help="debiased: styles of paintings, styles.npz of stylize.py, instead of the batch's own; "
        "needs --gamma 1",
    )
    partial_flag(data)
    data.add_argument(
        "--skip_bad_images",
        action="store_true",
        help="train on the next image in place of one that cannot be decoded, which is named, and "
        "evaluate without such images (default: raise an error)",
    )
    data.add_argument(
        "--limit_val",
        type=positive,
        default=5000,
        metavar="N",
        help="images of each validation set to evaluate after an epoch, class-balanced; all are "
        "evaluated at the end (default: 5000)",
    )
    recipe_flags(parser.add_argument_group("values of the recipe (default: the recipe's)"))
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
    return guarded(lambda: _train(args), "--out")


def _train(args: argparse.Namespace) -> None:
    recipe = overridden(RECIPES[args.recipe], args)
    if hasattr(signal, "SIGUSR1"):  # between epochs it ends the run, as SIGTERM does
        signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGTERM))
    with processes(args.device) as own, ExitStack() as locks:
        if own.is_first:
            make_folder(args.out, "--out")
            lock_folder(args.out, locks, "--out")
        job = new_job(recipe, args, own)
        resume(job, args.out)
        if own.mean(job.step) != [job.step]:
            raise UserError(
                f"the processes find different checkpoints in {args.out}: give a folder with --out "
                "that all machines share"
            )
        rows: list[Row] = []
        if own.is_first:
            _introduce(job, RECIPES[args.recipe])
            if job.step:  # else the rows, if there are any, are of a run that saved no checkpoint
                rows = [r for r in read_curve(args.out / CURVE) if (r["step"] or 0) <= job.step]
        began, before = time.monotonic(), job.step
        while True:
            epoch = job.step // job.steps
            if own.is_first and job.step % job.steps == 0:
                if not any(row["epoch"] == epoch for row in rows):
                    rows.append(_measured(job, args, epoch))
                _publish(job, args, rows, _pace(job, job.step - before, time.monotonic() - began))
            own.wait()
            if epoch == recipe.epochs:
                break
            _epoch(job, args, epoch)
        if own.is_first:
            _print_whole(job, args)
        own.wait()


def _introduce(job: Job, published: Recipe) -> None:
    chunks = f", {job.share.chunk} at a time" if job.share.chunks > 1 else ""
    print(
        f"{f'resuming at update {job.step:,} of' if job.step else 'training for'} "
        f"{job.recipe.epochs * job.steps:,} updates of {job.recipe.batch_size} images{chunks}; "
        f"{job.own.count} x {job.own.device.type}, {str(job.dtype or torch.float32)[6:]}"
    )
    for remark in remarks(job.recipe, published):
        print(remark)
    if SIN in job.recipe.data and "stylizer" not in job.record["images"][SIN]:
        print("the stylized images have no manifest of stylize.py: their stylizer is unknown")
    for name, benchmark in ((IN, IMAGENET), (SIN, STYLIZED)):
        if name in job.recipe.data and benchmark not in job.validation:
            print(f"{name} has no folder val/: the accuracy on it is not measured")


def _epoch(job: Job, args: argparse.Namespace, epoch: int) -> None:
    """Train for the rest of an epoch, and save.

    Raises UserError for too little memory and, before the weights are touched, for a loss that is
    not finite; KeyboardInterrupt after saving when a signal asks for the end.
    """
    arithmetic(args, job.own.device)  # the evaluation has its own
    job.model.train()
    first = job.step - epoch * job.steps
    if first == 0:
        job.loss = 0.0
    on_gpu = job.own.device.type == "cuda"
    stream = batches(job.images, job.share, epoch, first, job.workers, pin_memory=on_gpu)
    name = f"epoch {epoch + 1} of {job.recipe.epochs}"
    total, done = job.steps * job.share.batch, first * job.share.batch
    with (
        memory_errors(job.share),
        deferred_signals() as signals,
        Meter(name, "img", total, done) as meter,
    ):
        for step in range(first, job.steps):
            job.scheduler.step(job.step + 1)
            own_loss = _gradients(job, args.seed, stream, epoch, step)
            loss, asked = job.own.mean(own_loss, bool(signals))
            if not math.isfinite(loss):
                raise diverged(job, args.out, f"the loss is {loss}")
            job.scaler.step(job.optimizer)
            job.scaler.update()
            job.step, job.loss = job.step + 1, job.loss + loss
            meter.add(job.share.batch)
            due = asked or job.step % args.save_every == 0 or step == job.steps - 1
            if due and job.own.is_first:
                save(job, args.out)
            if asked:
                raise KeyboardInterrupt


def _gradients(job: Job, seed: int, stream: Iterator[Any], epoch: int, step: int) -> float:
    """Compute the gradients of a batch; return the loss, the mean over the process's images."""
    job.optimizer.zero_grad()
    losses = []
    for number, (start, _) in enumerate(job.share.chunks_of(step)):
        pixels, labels = next(stream)
        # Dropout and styles too are the same however the batch is shared.
        generator = keyed_generator(seed, f"update {job.step}", str(start))
        torch.manual_seed(generator.initial_seed())
        waits = job.own.count > 1 and number < job.share.chunks - 1
        with job.forward.no_sync() if waits else nullcontext():  # type: ignore[operator]
            loss = _loss(job, pixels, labels, generator, epoch, step) / job.share.chunks
            job.scaler.scale(loss).backward()
        losses.append(loss.detach())
    return sum(map(float, losses))


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
    x = on_device(pixels, device).permute(0, 3, 1, 2).float() / 255
    labels = on_device(labels, device)
    autocast = torch.autocast(device.type, job.dtype, enabled=job.dtype is not None)
    if job.engine is None:
        with autocast:
            return F.cross_entropy(job.forward(x), labels)
    if job.styles is None:
        order = torch.randperm(len(x), generator=generator).to(device)
        textures = labels[order]
    else:
        order = torch.randint(len(job.styles), (len(x),), generator=generator).to(device)
        textures = labels  # paintings have none, so that gamma is 1
    side = recipe.size
    if recipe.multi_grid:
        side = copy_side(side, step, epoch, recipe.epochs, recipe.milestones)
    smaller = F.interpolate(x, (side, side))
    copies = restyled(job.engine, smaller, order, recipe.alpha, job.styles)
    with autocast:
        clean, stylized = job.forward(x, copies)
        return mixed_loss(clean, stylized, labels, textures, recipe.gamma)


def _evaluated(
    job: Job,
    args: argparse.Namespace,
    name: str,
    sets: dict[str, ImageSet],
    limit: int | None = None,
) -> Metrics:
    job.plain.load_state_dict(without_auxiliary(job.model.state_dict()))
    if job.step:
        job.plain.origin.pop("untrained", None)
    settings = {  # not --seed, so that all runs are evaluated on the same images
        "device": str(job.own.device),
        "num_workers": args.num_workers,
        "skip_bad_images": args.skip_bad_images,
    }
    return evaluated(name, job.plain, sets, limit, args.out / EVALUATIONS, **settings)


def _measured(job: Job, args: argparse.Namespace, epoch: int) -> Row:
    """Return the curve's row of the weights after an epoch, and save these for the zoo."""
    metrics = _evaluated(job, args, f"epoch-{epoch:03d}", job.validation, args.limit_val)
    training = {**job.record, "execution": job.execution, "epoch": epoch, "updates": job.step}
    names = [WEIGHTS] * (epoch > 0) + [f"{WEIGHTS}-epoch-{epoch:03d}"] * args.keep_weights
    for name in names:
        save_weights(args.out / f"{name}.safetensors", job.plain, job.arch, training)
    if epoch == 0:
        return row_of(0, 0, None, None, metrics)
    lr = job.optimizer.param_groups[0]["lr"]
    return row_of(epoch, job.step, lr, job.loss / job.steps, metrics)


def _publish(job: Job, args: argparse.Namespace, rows: list[Row], pace: str) -> None:
    """Write the curve and its figure, print the last row, and mirror the curve to W&B."""
    mirrored = write_curve(args.out, rows, "training", job.record)
    training_figure({args.recipe: rows}, args.out / "curve", job.recipe.milestones)
    shown = [f"{key} {value:.4g}" for key, value in rows[-1].items() if value is not None]
    print(", ".join(shown) + pace)
    mirror([mirrored], args.wandb)


def _pace(job: Job, updates: int, seconds: float) -> str:
    """Return the rate and the time left as text, evaluations included."""
    left = job.recipe.epochs * job.steps - job.step
    if not updates or not left:
        return ""
    rate = updates / seconds
    return f"; {rate * job.share.batch:,.1f} images/s, {duration(left / rate)} left"


def _print_whole(job: Job, args: argparse.Namespace) -> None:
    """Evaluate the last weights on all images of the validation sets that were not used whole."""
    sets = {name: images for name, images in job.validation.items() if name != CUE_CONFLICT}
    rest = {name: images for name, images in sets.items() if len(images) > args.limit_val}
    if rest:
        print(metrics_table({args.recipe: _evaluated(job, args, "final", rest)}, KEYS))


if __name__ == "__main__":
    sys.exit(main())
