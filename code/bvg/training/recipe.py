"""A recipe: the numbers of a training, the flags that replace them, and the learning rate."""

import argparse
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from timm.scheduler import create_scheduler_v2

from bvg.errors import UserError
from bvg.run.command_line import non_negative, positive, positive_number

SCRATCH = "scratch"  # instead of a model's name: random weights
RESNET50 = "torchvision:resnet50"
IN, SIN = "imagenet", "stylized-imagenet"  # names in the catalogue of data sets


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    data: names of data sets, one after the other in an epoch. model: where it starts, or SCRATCH.
    arch: of SCRATCH, or of a checkpoint where the user names it; else "". milestones: epochs after
    which the learning rate is multiplied by `decay`. batch_size: images per update, of all
    processes. least_area: of a random crop, relative to the image. debiased: whether each image is
    also shown in another's style; alpha, gamma, auxiliary_bn and multi_grid are of that.
    """

    data: tuple[str, ...]
    model: str
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
    arch: str = ""
    debiased: bool = False
    alpha: float = 0.5
    gamma: float = 0.8
    auxiliary_bn: bool = False
    multi_grid: bool = False


def _share(text: str) -> float:
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in the range from 0 to 1")
    return float(text)


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return text == "yes"


# The flags that replace a recipe's values: type and help.
_VALUES: dict[str, tuple[Callable[[str], Any], str]] = {
    "model": (str, f"model to start with, as in the other scripts, or {SCRATCH}"),
    "arch": (str, f"architecture of --model {SCRATCH} and of file:// checkpoints"),
    "epochs": (positive, "passes over the training images"),
    "milestones": (non_negative, "epochs after which the learning rate is multiplied by --decay"),
    "lr": (positive_number, "learning rate"),
    "decay": (positive_number, "factor of the learning rate at each milestone"),
    "warmup": (non_negative, "epochs in which the learning rate rises from 0"),
    "batch_size": (positive, "images per update, of all processes"),
    "momentum": (_share, "momentum of SGD"),
    "weight_decay": (_share, "weight decay, of all parameters"),
    "size": (positive, "side of the images in pixels"),
    "least_area": (_share, "least part of an image that a random crop shows"),
    "alpha": (_share, "debiased: strength of the style"),
    "gamma": (_share, "debiased: weight of the shape's label; the rest is the texture's"),
    "auxiliary_bn": (_yes, "debiased: batch normalizations of the stylized copies' own (yes, no)"),
    "multi_grid": (_yes, "debiased: smaller stylized copies, by turns (yes, no)"),
}


_OF_DEBIASED = ("alpha", "gamma", "auxiliary_bn", "multi_grid")


def recipe_flags(group: argparse._ArgumentGroup) -> None:
    """Add a flag for each value of a recipe."""
    group.add_argument("--data", nargs="+", choices=(IN, SIN), help="data sets to train on")
    for name, (kind, words) in _VALUES.items():
        many = "*" if name == "milestones" else None
        group.add_argument(f"--{name}", type=kind, help=words, metavar="VALUE", nargs=many)


def overridden(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """Return the recipe with the values that flags gave.

    Raises UserError for values that the recipe would not use.
    """
    given = {field.name: getattr(args, field.name, None) for field in fields(Recipe)}
    changes = {name: value for name, value in given.items() if value is not None}
    if "data" in changes:
        changes["data"] = tuple(dict.fromkeys(changes["data"]))
    if "milestones" in changes:
        changes["milestones"] = tuple(sorted({*changes["milestones"]}))
    changed = replace(recipe, **changes)
    _refuse_unused(changed, changes.keys())
    if changed.model == SCRATCH:
        return replace(changed, arch=changed.arch or RESNET50)
    return changed if "arch" in changes else replace(changed, arch="")


def _refuse_unused(recipe: Recipe, given: Collection[str]) -> None:
    of_debiased = [name for name in _OF_DEBIASED if name in given]
    if of_debiased and not recipe.debiased:
        raise UserError(
            f"--{of_debiased[0]} applies to debiased training only: drop it, or use "
            "--recipe debiased"
        )
    if "arch" in given and recipe.model != SCRATCH and not recipe.model.startswith("file://"):
        raise UserError(
            "--arch applies to random weights and file:// checkpoints only, but this run starts "
            f"with {recipe.model}: name another start with --model, or use --model {SCRATCH}"
        )


def schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """Return the learning rate's schedule: schedule.step(n) sets it for update n, from 1.

    In the warm-up, it rises linearly, to the full rate at its last update. steps: updates in an
    epoch.
    """
    return create_scheduler_v2(
        optimizer,
        "multistep",
        num_epochs=recipe.epochs * steps,
        # timm applies a milestone one step early, and updates count from 1.
        decay_milestones=[milestone * steps + 2 for milestone in recipe.milestones],
        decay_rate=recipe.decay,
        warmup_epochs=recipe.warmup * steps,
        warmup_lr=0.0,
    )[0]


def remarks(recipe: Recipe, published: Recipe) -> list[str]:
    """Return sentences about changed values that go with others which were not changed."""
    found = []
    if recipe.batch_size != published.batch_size and recipe.lr == published.lr:
        scaled = published.lr * recipe.batch_size / published.batch_size
        found.append(
            f"the learning rate {recipe.lr:g} is the recipe's for batches of "
            f"{published.batch_size}; for {recipe.batch_size}, linear scaling suggests --lr "
            f"{scaled:g}"
        )
    if never := [str(epoch) for epoch in recipe.milestones if epoch >= recipe.epochs]:
        found.append(f"the milestones {', '.join(never)} are not reached in {recipe.epochs} epochs")
    return found
