"""ReaL accuracy: an answer is right if it is one of an image's several labels."""

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.accuracy import accuracy
from bvg.scores.metric import Metric, proportion


def in_real_labels(predictions: Predictions) -> np.ndarray:
    """Return whether the best answer is among the columns real_1, real_2, …, (N,) bool.

    Source: Beyer et al., "Are we done with ImageNet?", 2020.
    """
    own = [values for name, values in predictions.columns.items() if name.startswith("real_")]
    return (np.stack(own, axis=1) == predictions.answers[:, :1]).any(axis=1)


def real_accuracy(predictions: Predictions) -> dict[str, Metric]:
    """Return the ReaL accuracy in percent, and on the same images that by the original label."""
    correct = in_real_labels(predictions)
    return {
        "top1_acc/imagenet-real": proportion(int(correct.sum()), len(correct), scale=100),
        "top1_acc/imagenet-real/original-label": accuracy(predictions, 1),
    }
