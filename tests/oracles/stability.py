"""Flips and top-5 distances as the paper defines them: from all logits, one frame at a time."""

import numpy as np

NOISE = ("gaussian_noise", "shot_noise")


def ranks_of(logits: np.ndarray) -> dict[int, int]:
    """Return the rank, from 1, of every class; ties to the lower index."""
    order = sorted(range(len(logits)), key=lambda k: (-logits[k], k))
    return {k: rank for rank, k in enumerate(order, start=1)}


def top5_distance(before: np.ndarray, after: np.ndarray) -> int:
    """Return sum |i - min(sigma(i), 6)|, sigma(i) the rank after of the class ranked i before."""
    old, new = ranks_of(before), ranks_of(after)
    total = 0
    for k in old:
        if old[k] <= 5:
            total += abs(old[k] - min(new[k], 6))
    return total


def published_distance(before: np.ndarray, after: np.ndarray) -> int:
    """Return the paper's double sum (section 4.2), written out."""
    old, new = ranks_of(before), ranks_of(after)
    total = 0
    for k in old:
        i, sigma = old[k], new[k]
        if i <= 5:
            for j in range(min(i, sigma) + 1, max(i, sigma) + 1):
                total += 1 <= j - 1 <= 5
    return total


def of_sequence(frames: list[np.ndarray], perturbation: str) -> tuple[float, float]:
    """Return the mean flip and the mean distance over the pairs of frames; two frames at least."""
    flips, distances = [], []
    for t in range(1, len(frames)):
        before = frames[0] if perturbation in NOISE else frames[t - 1]
        after = frames[t]
        flips.append(
            min(ranks_of(before), key=ranks_of(before).__getitem__)
            != min(ranks_of(after), key=ranks_of(after).__getitem__)
        )
        distances.append(top5_distance(before, after))
    return sum(flips) / len(flips), sum(distances) / len(distances)
