"""A check of clean accuracy before long work, to catch models that are set up wrongly.

A checkpoint with the wrong order of classes or architecture loads without an error and scores near
chance; one with the wrong normalization loses some percentage points, which is easily overlooked. A
few hundred images reveal both: the accuracy is compared with the known accuracy of the model, and
with its accuracy on the same images with other normalizations.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import binomtest
from torch import nn

from bvg.data.finding import find_data
from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.imagenet import imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.errors import UserError
from bvg.run.batches import as_batch
from bvg.run.models import LoadedModel
from bvg.run.settings import Settings, autocast
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD, find

# Percentage points that correct measurements of one model may differ by: other versions of the
# libraries decode and resize slightly differently.
ALLOWED = 0.5
SURE = 0.001  # p-value below which a deviation is reported
BETTER = 3.0  # percentage points that another input must gain for a warning


@dataclass(frozen=True)
class Mistake:
    """A common mistake in a model's input, and how to undo it.

    what: what is wrong with the model. undo: images in [0, 1] → the input that corrects it, both
    (B, 3, H, W). flags: the remedy for a checkpoint (file://), if there is one.
    """

    what: str
    undo: Callable[[torch.Tensor], torch.Tensor]
    flags: str = ""


def _affine(scale: Sequence[float], shift: Sequence[float]) -> Callable:
    def apply(x: torch.Tensor) -> torch.Tensor:
        a, b = (torch.tensor(values, device=x.device).view(-1, 1, 1) for values in (scale, shift))
        return x * a + b

    return apply


def _normalise(mean: Sequence[float], std: Sequence[float]) -> Callable:
    pairs = [*zip(mean, std, strict=True)]
    return _affine([1 / s for _, s in pairs], [-m / s for m, s in pairs])


_HALF = (0.5, 0.5, 0.5)
_CAFFE = (103.939 / 255, 116.779 / 255, 123.68 / 255)  # means of B, G, R
MISTAKES = (
    Mistake(
        "does not normalize its input, but needs ImageNet's mean and std",
        _normalise(IMAGENET_MEAN, IMAGENET_STD),
        "--mean 0.485 0.456 0.406 --std 0.229 0.224 0.225",
    ),
    Mistake(
        "does not normalize its input, but needs mean and std 0.5",
        _normalise(_HALF, _HALF),
        "--mean 0.5 0.5 0.5 --std 0.5 0.5 0.5",
    ),
    Mistake(
        "normalizes its input twice (with ImageNet's mean and std)",
        _affine(IMAGENET_STD, IMAGENET_MEAN),
        "--mean 0 0 0 --std 1 1 1",
    ),
    Mistake(
        "normalizes its input twice (with mean and std 0.5)",
        _affine(_HALF, _HALF),
        "--mean 0 0 0 --std 1 1 1",
    ),
    Mistake(
        "normalizes its input with ImageNet's mean and std, but needs mean and std 0.5",
        lambda x: _affine(IMAGENET_STD, IMAGENET_MEAN)(_normalise(_HALF, _HALF)(x)),
        "--mean 0.5 0.5 0.5 --std 0.5 0.5 0.5",
    ),
    Mistake(
        "normalizes its input with mean and std 0.5, but needs ImageNet's",
        lambda x: _affine(_HALF, _HALF)(_normalise(IMAGENET_MEAN, IMAGENET_STD)(x)),
        "--mean 0.485 0.456 0.406 --std 0.229 0.224 0.225",
    ),
    Mistake("expects BGR channels", lambda x: x.flip(1)),
    Mistake(
        "expects pixels in 0-255",
        lambda x: x * 255,
        "--mean 0 0 0 --std 0.00392157 0.00392157 0.00392157",
    ),
    Mistake(
        "expects BGR channels in 0-255 minus their means, as Caffe does",
        lambda x: _normalise(_CAFFE, [1 / 255] * 3)(x.flip(1)),
    ),
)


def check_top1(models: list[LoadedModel], args: argparse.Namespace, settings: Settings) -> None:
    """Print each model's accuracy on --check_top1 clean images, and warnings if it looks wrong.

    It should be that of the zoo's table for this preprocessing, or above chance if the table has no
    number, and no better with another normalization. Raises UserError without an ImageNet folder.
    """
    folder = find_data("imagenet", getattr(args, "imagenet", None))
    images = imagenet_val(folder, models[0].classes, getattr(args, "partial", False))
    images = class_balanced(images, args.check_top1, settings.seed)
    for model in models:
        view = replace(model.view, keep_ready=False)  # these are photographs, not ready stimuli
        right = right_answers(model.model, view, images, settings)
        native = getattr(model.model, "native", None)
        expected = expected_top1(model.origin.get("zoo", ""), view, native)
        correct, count = int(right[0].sum()), right.shape[1]
        message, is_fine = verdict(correct, count, expected, len(model.classes))
        print(f"{model.name}: {message}", file=sys.stdout if is_fine else sys.stderr, flush=True)
        if mistake := likely_mistake(right, model.origin.get("spec", "")):
            print(f"{model.name}: warning: {mistake}", file=sys.stderr, flush=True)


def expected_top1(name: str, view: Preprocessing, native: Preprocessing | None) -> float | None:
    """Return the zoo's accuracy of the model with this preprocessing, in percent, or None.

    native: the model's own preprocessing, to which its publisher's number refers.
    """
    row = find(name)
    if row is None:
        return None
    if view == STUDY and row.study_top1 is not None:
        return row.study_top1
    return row.published_top1 if view == native else None


def verdict(correct: int, count: int, expected: float | None, classes: int) -> tuple[str, bool]:
    """Return a message on `correct` right answers to `count` images, and whether they are fine.

    expected: the model's known accuracy in percent; None tests against chance level.
    Exact binomial test, against the nearest accuracy within ALLOWED of the expected one.
    """
    found = f"{100 * correct / count:.1f} % of {count:,} clean images are right"
    remedy = "check --mean and --std, --arch, --preprocess and the order of the classes"
    if expected is None:
        chance = 1 / classes
        if binomtest(correct, count, chance, alternative="greater").pvalue < SURE:
            return f"{found} (the zoo has no number to compare with)", True
        return (
            f"warning: {found}, which is chance level ({100 * chance:.1f} %): {remedy}",
            False,
        )
    low, high = max(0.0, expected - ALLOWED) / 100, min(100.0, expected + ALLOWED) / 100
    nearest = min(max(correct / count, low), high)
    if binomtest(correct, count, nearest).pvalue >= SURE:
        return f"{found}, as expected (the zoo's table says {expected:.1f} %)", True
    return (
        f"warning: {found}, but the zoo's table says {expected:.1f} %, a larger difference than "
        f"the choice of {count:,} images explains: {remedy}; are these the validation images?"
    ), False


def likely_mistake(right: np.ndarray, spec: str) -> str:
    """Return what is probably wrong with the model's input and the remedy, or an empty string.

    right: (1 + len(MISTAKES), images) bool, from right_answers. spec: as in --model.
    A mistake is reported if undoing it gains BETTER points, significantly (exact McNemar test with
    Bonferroni's correction); of several, the one that gains most.
    """
    as_given, undone = right[0], right[1:]
    best = int(undone.sum(axis=1).argmax())
    gained = int((undone[best] & ~as_given).sum())
    lost = int((as_given & ~undone[best]).sum())
    if gained - lost < BETTER / 100 * len(as_given) or gained == lost:
        return ""
    if binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue * len(undone) >= SURE:
        return ""
    mistake = MISTAKES[best]
    remedy = "correct the input in the model's forward()"
    if spec.startswith("file://") and mistake.flags:
        remedy = f"use {mistake.flags}"
    return (
        f"the model probably {mistake.what}: with that undone, {100 * undone[best].mean():.1f} % "
        f"of these images are right instead of {100 * as_given.mean():.1f} %; {remedy}"
    )


@torch.no_grad()  # not inference_mode, since attacks may use tensors that a model caches
def right_answers(
    model: nn.Module, view: Preprocessing, images: ImageSet, settings: Settings
) -> np.ndarray:
    """Return which images the model gets right, (1 + len(MISTAKES), images) bool.

    The first row is for unchanged images, the others with each mistake undone. Images that cannot
    be decoded are excluded; raises UserError if that is all of them.
    """
    inputs = [lambda x: x, *(mistake.undo for mistake in MISTAKES)]
    columns = []
    decoded = decoded_batches(images, (view,), 0, settings.batch_size, 0, pin_memory=False)
    for batch in decoded:
        if not len(batch.indices):
            continue
        shown = as_batch(images, batch.views[0], batch.indices, settings.device, settings.seed)
        rows = []
        for number, change in enumerate(inputs):
            x = change(shown.pixels.clone()).contiguous(memory_format=torch.channels_last)
            try:
                with autocast(settings):
                    answers = model(x).argmax(dim=1)
            except Exception:
                if not number:
                    raise
                answers = torch.full_like(shown.labels, -1)  # it rejects pixels of this range
            rows.append((answers == shown.labels).cpu())
        columns.append(torch.stack(rows).numpy())
    if not columns:
        raise UserError(f"none of the images in {images.root} can be decoded: check the data set")
    return np.concatenate(columns, axis=1)
