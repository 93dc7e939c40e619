"""Functions shared by several corruptions: Gaussian blur, borders, and rounding to 8 bits."""

from functools import cache

import numpy as np
import torch

from bvg.stimuli.batch import full_precision

_TOLERANCE = 2**-10  # of one of the 255 steps; see quantised


def gaussian_blurred(x: torch.Tensor, sigma: float, truncate: float, border: str) -> torch.Tensor:
    """Return the images smoothed by a Gaussian, (B, C, H, W) float32 like x.

    sigma: in pixels. The kernel is sampled at whole pixels up to int(truncate * sigma + 0.5) and
    sums to 1, as scipy.ndimage.gaussian_filter and skimage.filters.gaussian have it.
    border: the extension at the borders, as in scipy: "nearest" (a a a | a b c d | d d d),
    "reflect" (c b a | a b c d | d c b) or "mirror" (d c b | a b c d | c b a).
    On the CPU, an image's result does not depend on its batch, bit for bit.
    """
    rows, columns = (
        _gaussian_matrix(size, sigma, truncate, border, x.device) for size in x.shape[2:]
    )
    blurred = torch.empty_like(x, memory_format=torch.contiguous_format)
    with full_precision():
        for part, output in zip(cached_parts(x), cached_parts(blurred), strict=True):
            torch.matmul(rows, part @ columns.T, out=output)
    return blurred


def cached_parts(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return a batch in parts to process: single images on the CPU, else the whole batch.

    One image fits into a core's cache, and products and transforms of a fixed size are always
    rounded in the same way, so that an image's result does not depend on its batch.
    """
    return x.split(1) if x.device.type == "cpu" else (x,)


def quantised(x: torch.Tensor) -> torch.Tensor:
    """Return images quantized to 8 bits: clipped to [0, 1] and truncated to k / 255.

    The published files were truncated (np.uint8), not rounded. A value less than a thousandth of a
    step below k counts as k, since in flat regions rounding errors may be below k / 255.
    """
    return x.clamp(0, 1).mul_(255).add_(_TOLERANCE).floor_().div_(255)


@cache
def _gaussian_matrix(
    size: int, sigma: float, truncate: float, border: str, device: torch.device
) -> torch.Tensor:
    """Return the (size, size) matrix that smooths a column, its borders included."""
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    sources = border_indices(np.arange(size)[:, None] + offsets, size, border)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], sources), weights / weights.sum())
    return torch.from_numpy(matrix).float().to(device)


def border_indices(indices: np.ndarray, size: int, border: str) -> np.ndarray:
    """Return indices outside 0 … size - 1 mapped into it; see gaussian_blurred for borders."""
    if border == "nearest":
        return indices.clip(0, size - 1)
    if border == "reflect":
        indices = indices % (2 * size)
        return np.minimum(indices, 2 * size - 1 - indices)
    if border == "mirror":
        period = max(1, 2 * (size - 1))
        indices = indices % period
        return np.minimum(indices, period - indices)
    raise ValueError(f"unknown border {border!r}")
