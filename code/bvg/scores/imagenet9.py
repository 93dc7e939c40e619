"""Reliance on backgrounds: accuracy on variants of ImageNet-9, and two measures of it.

Source: Xiao et al., "Noise or Signal: The Role of Image Backgrounds in Object Recognition", ICLR
2021: BG-gap = accuracy with the background of an image of the same category - with that of a random
one. Hesse et al., "Beyond Accuracy: What Matters in Designing Well-Behaved Image Classification
Models?", TMLR 2026: object focus = 1 - BG-gap / accuracy on the originals.
"""

import numpy as np

from bvg.data.imagenet9 import MIXED_RAND, MIXED_SAME, ORIGINAL, VARIANTS
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import right_and_shown
from bvg.scores.bootstrap import bootstrapped, resampled_accuracies
from bvg.scores.metric import Metric, proportion

GAP, FOCUS = "imagenet9/bg-gap", "object-focus"
_NEEDS = {GAP: (MIXED_SAME, MIXED_RAND), FOCUS: (MIXED_SAME, MIXED_RAND, ORIGINAL)}
_UNDEFINED = "no original is right, or a variant has no image"


def key_of(variant: str) -> str:
    """Return the key of a variant's accuracy."""
    return f"top1_acc/imagenet9/{variant}"


def imagenet9_metrics(predictions: Predictions) -> dict[str, Metric]:
    """Return top1_acc/imagenet9/<variant> in percent, the BG-gap in points, and object focus.

    The 95 % intervals of the last two are from a bootstrap over objects: images of the same object
    (of the same name) are drawn together, so that the variants are paired where they show the same
    objects. Measures of variants that were not evaluated are undefined.
    """
    variants = predictions.condition_names
    right, shown = right_and_shown(predictions)  # of objects, by which images are named
    hits, counts = right.sum(axis=0), shown.sum(axis=0)
    metrics = {
        key_of(variant): proportion(int(hit), int(count), scale=100)
        for variant, hit, count in zip(variants, hits, counts, strict=True)
    }
    for key, needed in _NEEDS.items():
        if set(needed) <= set(variants):
            columns = [variants.index(variant) for variant in needed]
            metrics[key] = _measured(key, right[:, columns], shown[:, columns])
        else:
            lacking = ", ".join(v for v in VARIANTS if v in needed and v not in variants)
            metrics[key] = Metric(None, note=f"it needs {lacking}, which this run did not evaluate")
    return metrics


def _measured(key: str, right: np.ndarray, shown: np.ndarray) -> Metric:
    """Return a measure; the columns, (objects, 2 or 3), are those that it needs."""
    some = shown.any(axis=1)
    right, shown = right[some], shown[some]
    # The same draws for both, so that their ratio is that of the objects drawn.
    parts, wholes = resampled_accuracies(right), resampled_accuracies(shown)
    resampled = parts / np.where(wholes > 0, wholes, np.nan)
    value = _measure(key, right.sum(axis=0) / shown.sum(axis=0))
    return bootstrapped(float(value), _measure(key, resampled), len(right), _UNDEFINED)


def _measure(key: str, accuracies: np.ndarray) -> np.ndarray:
    """Return the measure (…) of accuracies (…, 2 or 3) in [0, 1]: same, random, original."""
    gap = accuracies[..., 0] - accuracies[..., 1]
    if key == GAP:
        return 100 * gap
    original = accuracies[..., 2]
    return 1 - gap / np.where(original > 0, original, np.nan)
