"""What several corruptions share: Gaussian blur, and the 8 bits that images are stored in."""

from functools import cache

import numpy as np
import torch

from bvg.stimuli.precision import all_bits

_HAIR = 2**-10  # of one of the 255 steps; see quantised


def gaussian_blurred(x: torch.Tensor, sigma: float, truncate: float, border: str) -> torch.Tensor:
    """Return the images smoothed by a Gaussian, (B, C, H, W) float32 like x.

    sigma: in pixels. The kernel is sampled at whole pixels up to int(truncate * sigma + 0.5) and
    sums to 1, as scipy.ndimage.gaussian_filter and skimage.filters.gaussian have it.
    border: what lies outside, in scipy's words: "nearest" (a a a | a b c d | d d d), "reflect"
    (c b a | a b c d | d c b) or "mirror" (d c b | a b c d | c b a), however far outside.
    On the CPU an image's result does not depend on its batch, bit for bit.
    """
    rows, columns = (
        _gaussian_matrix(size, sigma, truncate, border, x.device) for size in x.shape[2:]
    )
    blurred = torch.empty_like(x, memory_format=torch.contiguous_format)
    with all_bits():
        for part, output in zip(cached_parts(x), cached_parts(blurred), strict=True):
            torch.matmul(rows, part @ columns.T, out=output)
    return blurred


def cached_parts(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return a batch in parts to work on: the images one by one on the CPU, else all at once.

    One image fits into a core's cache; and products and transforms of one size are always rounded
    in the same way, so that an image's result does not depend on its batch.
    """
    return x.split(1) if x.device.type == "cpu" else (x,)


def quantised(x: torch.Tensor) -> torch.Tensor:
    """Return what 8 bits keep of images: clipped to [0, 1] and truncated to k / 255.

    The published files were truncated (np.uint8), not rounded. A value less than a thousandth of a
    step below k counts as k: what should be k / 255 in a flat region may be a rounding error below.
    """
    return x.clamp(0, 1).mul_(255).add_(_HAIR).floor_().div_(255)


@cache
def _gaussian_matrix(
    size: int, sigma: float, truncate: float, border: str, device: torch.device
) -> torch.Tensor:
    """Return the (size, size) matrix that smooths a column, its borders included."""
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    sources = within(np.arange(size)[:, None] + offsets, size, border)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], sources), weights / weights.sum())
    return torch.from_numpy(matrix).float().to(device)


def within(indices: np.ndarray, size: int, border: str) -> np.ndarray:
    """Return which of 0 … size - 1 stands for each index outside; see gaussian_blurred."""
    if border == "nearest":
        return indices.clip(0, size - 1)
    if border == "reflect":
        indices = indices % (2 * size)
        return np.minimum(indices, 2 * size - 1 - indices)
    if border == "mirror":
        period = max(1, 2 * (size - 1))
        indices = indices % period
        return np.minimum(indices, period - indices)
    raise ValueError(f"no border is called {border!r}")
