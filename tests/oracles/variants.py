"""The scores of ImageNet-ReaL, -A and -R in plain Python, one image at a time."""

import json
from pathlib import Path

import numpy as np


def top_five_among(logits: np.ndarray, allowed: set[int]) -> list[int]:
    """Return the five best of the allowed classes, the best first; ties to the lower index."""
    return sorted(allowed, key=lambda k: (-logits[k], k))[:5]


def real_labels_of(path: Path) -> dict[str, list[int]]:
    """Return the labels of each validation image by its file name, as their authors pair them."""
    lists = json.loads(path.read_text())
    return {f"ILSVRC2012_val_{k + 1:08d}.JPEG": labels for k, labels in enumerate(lists)}


def real_accuracy(answers: dict[str, int], labels: dict[str, list[int]]) -> tuple[float, int]:
    """Return the ReaL accuracy in percent, and how many images have a label."""
    right = [answer in labels[name] for name, answer in answers.items() if labels[name]]
    return 100 * sum(right) / len(right), len(right)
