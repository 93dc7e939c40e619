"""ReaL accuracy: an answer is right if it is one of an image's several labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from bvg.data.imagenet import val_number
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import accuracy
from bvg.scores.metric import Metric, percentage


def with_real_columns(predictions: Predictions, table: np.ndarray) -> Predictions:
    """Return the rows of validation images with a ReaL label, and columns real_1, real_2, ….

    table: all images' labels by number, as data/imagenet_real reads them.
    """
    numbers = np.array([val_number(Path(name).stem) for name in predictions.images], dtype=np.int64)
    own = table[numbers - 1]
    rows = np.flatnonzero(own[:, 0] >= 0)
    columns = {f"real_{k}": own[rows, k - 1] for k in range(1, own.shape[1] + 1)}
    return replace(predictions.select(rows), columns=columns)


def in_real_labels(predictions: Predictions) -> np.ndarray:
    """Return whether the best answer is among the columns real_1, real_2, …, (N,) bool.

    Source: Beyer et al., "Are we done with ImageNet?", 2020.
    """
    own = [values for name, values in predictions.columns.items() if name.startswith("real_")]
    return (np.stack(own, axis=1) == predictions.answers[:, :1]).any(axis=1)


def real_accuracy(predictions: Predictions) -> dict[str, Metric]:
    """Return the ReaL accuracy in percent, and on the same images that by the original label."""
    return {
        "top1_acc/imagenet-real": percentage(in_real_labels(predictions)),
        "top1_acc/imagenet-real/original-label": accuracy(predictions, 1),
    }
