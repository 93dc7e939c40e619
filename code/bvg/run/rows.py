"""A batch's answers as the columns of the predictions table."""

import numpy as np
import torch

from bvg.data.image_set import ImageSet
from bvg.predictions.table import LABEL_PROBABILITY
from bvg.stimuli.batch import CLEAN

Columns = dict[str, np.ndarray]
# For each condition, in order: its name and the decision's columns, tensors of (B, …).
Answers = list[tuple[str, dict[str, torch.Tensor]]]


def condition_of(images: ImageSet, index: int, made: str) -> str:
    """Return the condition of an image's stimulus: its file's own, the stimuli's, or both."""
    if not images.conditions:
        return made
    own = images.conditions[index]
    return own if made == CLEAN else f"{own}/{made}"


def as_columns(
    images: ImageSet, indices: np.ndarray, frames: np.ndarray, by_condition: Answers
) -> Columns:
    """Return a batch's answers as columns, ordered by image, then condition.

    indices, frames: (B,) position in the set, and number of frames, of each file. Where files hold
    several frames, an image's `answers` are its frames' one after the other, and its
    probabilities are their means.
    """
    count = len(by_condition)
    names = [images.names[i] for i in indices]
    conditions = [condition_of(images, i, made) for i in indices for made, _ in by_condition]
    columns: Columns = {
        "image": np.repeat(np.array(names, dtype=object), count),
        "condition": np.array(conditions, dtype=object),
        "label": np.repeat(images.labels[indices].astype(np.int16), count),
    }
    for name, values in images.columns.items():
        columns[name] = np.repeat(values[indices].astype(np.int16), count)
    for name in by_condition[0][1]:
        stacked = torch.stack([answer[name] for _, answer in by_condition], dim=1).cpu().numpy()
        if images.reader:
            stacked = _by_file(name, stacked, frames)
        columns[name] = stacked.reshape(len(indices) * count, *stacked.shape[2:])
    if images.reader:
        columns["frames"] = np.repeat(frames.astype(np.int16), count)
    return columns


def _by_file(name: str, values: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return (files, conditions, F * K) answers, or (files, conditions) means, from all frames'."""
    parts = np.split(values, np.cumsum(frames)[:-1])
    if name in ("confidence", LABEL_PROBABILITY):
        return np.stack([part.mean(axis=0) for part in parts])
    if name != "answers":
        raise ValueError(f"what {name} of several frames would be is not defined")
    flat = [part.swapaxes(0, 1).reshape(part.shape[1], -1) for part in parts]
    widest = max(row.shape[-1] for row in flat)
    return np.stack([_padded(row, widest) for row in flat])


def _padded(answers: np.ndarray, width: int) -> np.ndarray:
    """Return (N, K) answers with -1 behind them, (N, width)."""
    return np.pad(answers, ((0, 0), (0, width - answers.shape[1])), constant_values=-1)


def joined(rows: list[Columns], names: list[str]) -> Columns:
    """Return several sets of columns as one; without any, empty columns of these names."""
    if not rows:
        return {
            name: np.empty((0, 1) if name == "answers" else 0, dtype=np.int16) for name in names
        }
    widest = max(columns["answers"].shape[1] for columns in rows)
    rows = [{**columns, "answers": _padded(columns["answers"], widest)} for columns in rows]
    return {name: np.concatenate([columns[name] for columns in rows]) for name in rows[0]}
