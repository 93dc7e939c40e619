"""Top-k accuracy from predictions."""

import numpy as np

from predictions.table import Predictions
from scoring.metric import Metric, proportion


def correct_in_top(predictions: Predictions, k: int) -> np.ndarray:
    """Return whether the label is among the k best answers, (N,) bool."""
    return (predictions.answers[:, :k] == predictions.labels[:, None]).any(axis=1)


def accuracy(predictions: Predictions, k: int) -> Metric:
    """Return the top-k accuracy in percent: correct images / images, not a mean of batches."""
    correct = correct_in_top(predictions, k)
    return proportion(int(correct.sum()), len(correct), scale=100)


def imagenet_accuracy(predictions: Predictions) -> dict[str, Metric]:
    """Return top-1 and top-5 accuracy under the study's keys."""
    return {
        "top1_acc/imagenet": accuracy(predictions, 1),
        "top5_acc/imagenet": accuracy(predictions, 5),
    }
