"""Plasma: the diamond-square fractal that ImageNet-C's fog is made of."""

import torch

SIDE = 256  # pixels; the next power of two above the images' 224
DRAWS = SIDE**2 - 1  # for every point except the first, whose height is 0
WOBBLE = 100.0


def plasma(draws: torch.Tensor, decay: float) -> torch.Tensor:
    """Return fractal heights scaled to [0, 1], (B, 256, 256).

    draws: (B, 65535) uniform in [-1, 1). From a grid of n x n points to one of 2n x 2n: the middle
    of each square is the mean of its corners, then the middle of each edge the mean of its two ends
    and of the two middles next to it, each plus wobble² times a draw; the grid is periodic. The
    wobble starts at 100 and is divided by `decay` from grid to grid, so that the noise decreases by
    decay² (the published code multiplies the wobble with a draw from ±wobble).
    Draws are used grid by grid: for the middles of squares, of edges along rows, then of edges
    along columns. Raises RuntimeError if there are fewer draws.
    """
    heights = draws.new_zeros(len(draws), 1, 1)
    wobble, used = WOBBLE, 0
    while heights.shape[1] < SIDE:
        size = heights.shape[1]
        noise = draws[:, used : used + 3 * size**2].view(-1, 3, size, size) * wobble**2
        heights = _finer(heights, noise)
        used += 3 * size**2
        wobble /= decay
    lowest = heights.amin((1, 2), keepdim=True)
    highest = heights.amax((1, 2), keepdim=True)
    return heights.sub_(lowest).div_(highest - lowest)


def _finer(corners: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return the grid with twice as many rows and columns. noise: (B, 3, n, n)."""
    batch, size, _ = corners.shape
    finer = corners.new_empty(batch, 2 * size, 2 * size)
    finer[:, ::2, ::2] = corners
    along_row = corners + corners.roll(-1, 2)
    along_column = corners + corners.roll(-1, 1)
    middles = (along_row + along_row.roll(-1, 1)).mul_(0.25).add_(noise[:, 0])
    finer[:, 1::2, 1::2] = middles
    finer[:, ::2, 1::2] = along_row.add_(middles).add_(middles.roll(1, 1)).mul_(0.25) + noise[:, 1]
    finer[:, 1::2, ::2] = (
        along_column.add_(middles).add_(middles.roll(1, 2)).mul_(0.25).add_(noise[:, 2])
    )
    return finer
