"""Checks of finished predictions: whether the model only guesses, or has its classes elsewhere.

Permuted classes, labels of other images, an untrained network and pixels in the wrong range give
answers at chance level, and measures such as a shape bias of 0.5 that look like results. Classes of
which only some are in another place, as where a folder was missing in training, cost accuracy.
"""

import numpy as np
import pandas as pd
from scipy.special import bdtr, bdtrc

from bvg.data.image_set import RESTRICTED, ImageSet
from bvg.data.imagenet import are_imagenet
from bvg.predictions.table import Predictions

FEWEST = 20  # images of each condition
CLEARLY = 0.2  # accuracy above chance that must be distinguishable from chance, or nothing is said
SURE = 0.001  # p-value that such an accuracy must have
# p-value below which answers are better than guesses: of 50 images among 1000 classes, one that is
# right. At SURE, a fifth of the models with 8 % accuracy would be accused on that many.
BETTER = 0.05
# Benchmarks on which good models may be at chance level: images that a ResNet-50 misclassifies, and
# objects whose parts are others.
_HARD = ("imagenet_a", "css_72", "css_1440")
# How many of the classes must have another one in their place for a warning: a share, and a number.
_MISPLACED, _FEWEST_CLASSES = 0.1, 20
_IMAGES_EACH = 10  # of a class, from which on its majority is looked at
_FURTHER_LABELS = ("texture", "high")  # and ReaL's; the answer may agree with any of them


def guessing(
    benchmark: str, classes: tuple[str, ...], predictions: Predictions, images: ImageSet
) -> str:
    """Return a warning if a model of these classes only guesses, else an empty string.

    Models of other classes than ImageNet's are checked on their own validation images only.
    """
    if benchmark in _HARD or not (are_imagenet(classes) or benchmark == "imagenet"):
        return ""
    if images.has_sequences:
        return ""
    further = [
        name for name in predictions.columns if name in _FURTHER_LABELS or name.startswith("real_")
    ]
    if not guesses(predictions, further, len(images.notes.get(RESTRICTED, predictions.classes))):
        return ""
    return (
        "its answers are no better than guesses: check its weights, the order of its classes, its "
        "--mean and --std, and the images' labels (--check_top1 N tries other normalizations)"
    )


def guesses(predictions: Predictions, further: list[str], choices: int) -> bool:
    """Return whether the best answers are no better than guesses under any condition.

    further: the columns of an image's further labels, such as its texture; an answer that agrees
    with any label is right. choices: the number of classes among which the model chose.
    Exact binomial test, with Bonferroni's correction for the number of conditions.
    """
    answers, labels = predictions.answers[:, 0], predictions.labels
    right, count = answers == labels, np.ones(len(labels), np.int16)
    for other in (predictions.columns[name] for name in further):
        right |= (answers == other) & (other >= 0)
        count += (other >= 0) & (other != labels)
    chance = int(count.max(initial=1)) / choices
    if chance + CLEARLY > 1:
        return False
    condition, names = pd.factorize(predictions.conditions)
    smallest = 1.0
    for hits, n in zip(np.bincount(condition, right), np.bincount(condition), strict=True):
        if n < FEWEST or bdtrc(n * (chance + CLEARLY) - 1, n, chance) >= SURE:
            return False
        if hits:
            smallest = min(smallest, float(bdtrc(hits - 1, n, chance)))
    return smallest * len(names) >= BETTER


def misplaced(
    benchmark: str, classes: tuple[str, ...], predictions: Predictions, images: ImageSet
) -> str:
    """Return a warning if many classes are answered with another one each, else an empty string.

    Of the first condition; see others_in_place. Models of other classes than ImageNet's are checked
    on their own validation images only.
    """
    if benchmark in _HARD or not (are_imagenet(classes) or benchmark == "imagenet"):
        return ""
    if images.has_sequences or not len(predictions.labels):
        return ""
    first = predictions.conditions == predictions.conditions[0]
    found, (of, to) = others_in_place(predictions.labels[first], predictions.answers[first, 0])
    if not found:
        return ""
    return (
        f"{found:,} classes are answered with another one each, such as {classes[of]} with "
        f"{classes[to]}: its logits are in another order than its classes, or folders were missing "
        "or in excess in training; name its logits in an attribute `classes`"
    )


def others_in_place(labels: np.ndarray, answers: np.ndarray) -> tuple[int, tuple[int, int]]:
    """Return how many classes have another one in their place, and one pair; 0 if too few.

    labels, answers: (N,) integers. A class has another one in its place if the majority of its
    images are answered with it, and that of no other class, least of all its own, are. Where there
    are only a few images of each, such classes must be all before, or all after, their own.
    """
    (own, other), counts = np.unique(np.stack([labels, answers]), axis=1, return_counts=True)
    images = np.bincount(labels)[own]
    most = (2 * counts > images) & (other >= 0)
    own, other, images = own[most], other[most], images[most]
    right_first = np.argsort(own != other, kind="stable")
    once = right_first[np.unique(other[right_first], return_index=True)[1]]
    own, other, images = own[once], other[once], images[once]
    wrong = (own != other) & (images >= _IMAGES_EACH)
    for side in (1, -1):
        here, there = int((other - own == side).sum()), int((own - other == side).sum())
        if here > 3 * there and bdtr(there, here + there, 0.5) < SURE:
            wrong |= other - own == side
    found = int(wrong.sum())
    if found < max(_FEWEST_CLASSES, _MISPLACED * len(own)):
        return 0, (0, 0)
    middle = int(np.flatnonzero(wrong)[found // 2])  # likelier than the first to be no confusion
    return found, (int(own[middle]), int(other[middle]))
