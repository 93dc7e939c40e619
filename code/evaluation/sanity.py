"""A quick look at clean accuracy before the long work, to see that each model is what it should be.

A checkpoint with the wrong mean and std, order of classes or architecture loads without a word and
scores near nothing; here it is noticed on some hundred images.
"""

import argparse
import sys
from dataclasses import replace

import torch
from scipy.stats import binomtest
from torch import nn

from basics.errors import UserError
from evaluation.batches import as_batch
from evaluation.entrants import LoadedModel
from evaluation.settings import Settings, autocast
from images.finding import find_data
from images.image_set import ImageSet, class_balanced
from images.imagenet import imagenet_val
from images.loading import decoded_batches
from images.preprocessing import STUDY, Preprocessing
from model_zoo.table import find

# How far apart two honest measurements of one model may be, in points of percent: other versions of
# the libraries decode and resize a little differently.
ALLOWED = 0.5
SURE = 0.001  # a deviation is reported where chance alone would bring it about so rarely


def check_top1(entrants: list[LoadedModel], arguments: argparse.Namespace, settings: Settings) -> None:
    """Say each model's accuracy on --check_top1 clean images, and warn where it is not its own.

    Its own is what the zoo's table says for this view; a model that the table has no number for
    must be better than chance. Raises UserError when there is no ImageNet folder.
    """
    if not arguments.check_top1 or not entrants:
        return
    folder = find_data("imagenet", getattr(arguments, "imagenet", None))
    partial = getattr(arguments, "partial", False)
    images = imagenet_val(folder, entrants[0].classes, partial)
    images = class_balanced(images, arguments.check_top1, settings.seed)
    for entrant in entrants:
        view = replace(entrant.view, keep_ready=False)  # photographs are never ready stimuli
        correct, count = _correct(entrant.model, view, images, settings)
        native = getattr(entrant.model, "native", None)
        expected = expected_top1(entrant.origin.get("zoo", ""), view, native)
        words, is_fine = verdict(correct, count, expected, len(entrant.classes))
        print(f"{entrant.name}: {words}", file=sys.stdout if is_fine else sys.stderr, flush=True)


def expected_top1(name: str, view: Preprocessing, native: Preprocessing | None) -> float | None:
    """Return the accuracy in percent that the zoo's table gives the model in this view, or None.

    native: the model's own view, for which its publisher's number is.
    """
    row = find(name)
    if row is None:
        return None
    if view == STUDY and row.study_top1 is not None:
        return row.study_top1
    return row.published_top1 if view == native else None


def verdict(correct: int, count: int, expected: float | None, classes: int) -> tuple[str, bool]:
    """Return what to say of `correct` right answers to `count` images, and whether all is well.

    expected: the model's known accuracy in percent; None asks for more than chance.
    The test is the exact binomial one, against the nearest accuracy within ALLOWED of the expected.
    """
    found = f"{100 * correct / count:.1f} % of {count:,} clean images are right"
    remedy = "check --mean and --std, --arch, --preprocess and the order of the classes"
    if expected is None:
        chance = 1 / classes
        if binomtest(correct, count, chance, alternative="greater").pvalue < SURE:
            return f"{found} (the zoo's table has no number to compare with)", True
        return (
            f"warning: {found}, which guessing would reach ({100 * chance:.1f} %): {remedy}",
            False,
        )
    low, high = max(0.0, expected - ALLOWED) / 100, min(100.0, expected + ALLOWED) / 100
    nearest = min(max(correct / count, low), high)
    if binomtest(correct, count, nearest).pvalue >= SURE:
        return f"{found}, as expected (the zoo's table says {expected:.1f} %)", True
    return (
        f"warning: {found}, but the zoo's table says {expected:.1f} %, further away than "
        f"a choice of {count:,} images explains: {remedy}; are these the validation images?"
    ), False


@torch.no_grad()  # not inference_mode: what a model caches may be used in attacks
def _correct(
    model: nn.Module, view: Preprocessing, images: ImageSet, settings: Settings
) -> tuple[int, int]:
    """Return how many images the model gets right, of how many that can be decoded."""
    correct = count = 0
    decoded = decoded_batches(images, (view,), 0, settings.batch_size, 0, pin_memory=False)
    for batch in decoded:
        if not len(batch.indices):
            continue
        inputs = as_batch(images, batch.views[0], batch.indices, settings.device, settings.seed)
        with autocast(settings):
            answers = model(inputs.pixels).argmax(dim=1)
        correct += int((answers == inputs.labels).sum())
        count += len(batch.indices)
    if not count:
        raise UserError(f"none of the images in {images.root} can be decoded: check the data set")
    return correct, count
