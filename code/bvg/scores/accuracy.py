"""Top-k accuracy from predictions."""

from dataclasses import replace

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.metric import Metric, proportion


def correct_in_top(predictions: Predictions, k: int) -> np.ndarray:
    """Return whether the label is among the k best answers, (N,) bool."""
    return (predictions.answers[:, :k] == predictions.labels[:, None]).any(axis=1)


def accuracy(predictions: Predictions, k: int) -> Metric:
    """Return the top-k accuracy in percent: correct images / images, not a mean of batches."""
    correct = correct_in_top(predictions, k)
    return proportion(int(correct.sum()), len(correct), scale=100)


def top1_and_top5(predictions: Predictions, key: str) -> dict[str, Metric]:
    """Return top1_acc/<key> and top5_acc/<key>."""
    return {f"top{k}_acc/{key}": accuracy(predictions, k) for k in (1, 5)}


def imagenet_accuracy(predictions: Predictions) -> dict[str, Metric]:
    """Return top-1 and top-5 accuracy under the study's keys."""
    return top1_and_top5(predictions, "imagenet")


def subset_accuracy(predictions: Predictions, key: str) -> dict[str, Metric]:
    """Return the accuracies among a data set's own classes, and among all of the model's.

    The former are the predictions' answers, named <key>; the latter the columns unrestricted_1,
    unrestricted_2, …, named <key>/1000-way (or another number of classes, if the model has it).
    """
    names = [name for name in predictions.columns if name.startswith("unrestricted_")]
    whole = np.stack([predictions.columns[name] for name in names], axis=1)
    among_all = top1_and_top5(
        replace(predictions, answers=whole), f"{key}/{len(predictions.classes)}-way"
    )
    return top1_and_top5(predictions, key) | among_all
