"""A check of finished predictions: whether the model does anything but guess.

Permuted classes, labels of other images, an untrained network and pixels in the wrong range give
answers at chance level, and measures such as a shape bias of 0.5 that look like results.
"""

import numpy as np
import pandas as pd
from scipy.special import bdtrc

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
