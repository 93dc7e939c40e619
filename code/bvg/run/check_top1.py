"""A check of clean accuracy before long work, to catch models that are set up wrongly.

A checkpoint with the wrong order of classes or architecture loads without an error and scores near
chance; one whose input is wrong loses some percentage points, which is easily overlooked. A few
hundred images reveal both: the accuracy is compared with the known accuracy of the model, and with
its accuracy on the same images under other conventions of the input (run/input_check).
"""

import argparse
import sys
from dataclasses import replace

from scipy.stats import binomtest

from bvg.data.finding import find_data
from bvg.data.image_set import class_balanced
from bvg.data.imagenet import imagenet_val
from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.run.input_check import announce, check
from bvg.run.models import LoadedModel
from bvg.run.settings import Settings
from bvg.zoo.table import find

# Percentage points that correct measurements of one model may differ by: other versions of the
# libraries decode and resize slightly differently.
ALLOWED = 0.5
SURE = 0.001  # p-value below which a deviation is reported


def check_top1(
    models: list[LoadedModel], args: argparse.Namespace, settings: Settings
) -> list[LoadedModel]:
    """Return the models with what the check of their input found, and print it.

    Also each model's accuracy on --check_top1 clean images: it should be that of the zoo's table
    for this preprocessing, or above chance if the table has no number. Raises UserError without an
    ImageNet folder.
    """
    folder = find_data("imagenet", getattr(args, "imagenet", None))
    # Scripts that read this folder themselves print its warnings.
    images = imagenet_val(
        folder,
        models[0].classes,
        getattr(args, "partial", False),
        warn=not hasattr(args, "imagenet"),
    )
    images = class_balanced(images, args.check_top1, settings.seed)
    checked = []
    for model in models:
        view = replace(model.view, keep_ready=False)  # these are photographs, not ready stimuli
        record, right = check(model, view, images, settings)
        native = getattr(model.model, "native", None)
        expected = expected_top1(model.origin.get("zoo", ""), view, native)
        correct, count = int(right.sum()), len(right)
        message, is_fine = verdict(correct, count, expected, len(model.classes))
        print(f"{model.name}: {message}", file=sys.stdout if is_fine else sys.stderr, flush=True)
        announce(model.name, record)
        checked.append(replace(model, input_check=record))
    return checked


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
