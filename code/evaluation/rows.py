"""A batch's answers as the columns of the predictions table."""

import numpy as np
import torch

from images.image_set import ImageSet

Columns = dict[str, np.ndarray]
# For each condition, in order: its name and the decision's columns, tensors of (B, …).
Answers = list[tuple[str, dict[str, torch.Tensor]]]


def as_columns(images: ImageSet, indices: np.ndarray, by_condition: Answers) -> Columns:
    """Return a batch's answers as columns, ordered by image, then condition."""
    count = len(by_condition)
    columns: Columns = {
        "image": np.repeat(np.array([images.names[i] for i in indices], dtype=object), count),
        "condition": np.tile(np.array([name for name, _ in by_condition], object), len(indices)),
        "label": np.repeat(images.labels[indices].astype(np.int16), count),
    }
    for name, values in images.columns.items():
        columns[name] = np.repeat(values[indices].astype(np.int16), count)
    for name in by_condition[0][1]:
        stacked = torch.stack([answer[name] for _, answer in by_condition], dim=1).cpu().numpy()
        columns[name] = stacked.reshape(len(indices) * count, *stacked.shape[2:])
    return columns


def joined(rows: list[Columns], names: list[str]) -> Columns:
    """Return several sets of columns as one; without any, empty columns of these names."""
    if not rows:
        return {
            name: np.empty((0, 1) if name == "answers" else 0, dtype=np.int16) for name in names
        }
    return {name: np.concatenate([columns[name] for columns in rows]) for name in rows[0]}
