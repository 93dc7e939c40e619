"""Glass blur of ImageNet-C: pixels replaced by neighbours at random, between two Gaussian blurs.

Source: Hendrycks & Dietterich, ICLR 2019, and its published code. The replacements are a sequential
scan: each one sees the results of the previous ones. Here many are done at a time with the same
result. The replacement at a pixel only involves pixels from Δ before to Δ - 1 after it, in rows and
columns; so the replacements at (row r, column c), (r + 1, c - 2Δ), (r + 2, c - 4Δ), … of the scan
are independent of each other. A wave front through these, which advances by one column at a time,
reaches any two dependent replacements in the order of the scan. The next iteration follows in the
same wave, a few rows behind.
"""

from functools import cache, partial

import numpy as np
import torch

from bvg.stimuli.batch import Batch, in_threads, on_device
from bvg.stimuli.corruptions.filters import gaussian_blurred, quantised
from bvg.stimuli.randomness import keyed_generators

# (σ, Δ, iterations) of severities 1 … 5 (Hendrycks & Dietterich 2019, published code).
GLASS_BLUR = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
_BLOCK = 16  # images whose index maps are processed together


def glass_blur(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images as seen through frosted glass, (B, 3, H, W) float32 in [0, 1].

    A Gaussian blur, truncated to 8 bits; then, in each iteration, the pixels of rows and columns
    from size - Δ down to Δ + 1 are replaced by the one at an offset drawn uniformly from
    {-Δ … Δ - 1}², in scan order; then the same blur again (truncated at 4σ, nearest border).
    The published code intends to exchange the two pixels, but its NumPy assignment copies the
    neighbour and loses the pixel itself, so that the published images have copies
    (docs/fidelity.md).
    """
    sigma, reach, iterations = GLASS_BLUR[severity - 1]
    blurred = quantised(gaussian_blurred(batch.pixels.contiguous(), sigma, 4, "nearest"))
    size = (blurred.shape[2], blurred.shape[3])
    generators = keyed_generators(batch, f"glass_blur_{severity}")
    draw = partial(drawn_offsets, size=size, reach=reach, iterations=iterations)
    offsets = np.stack(in_threads(draw, generators))
    if blurred.is_cuda:
        drawn = on_device(torch.from_numpy(offsets), blurred.device)
        sources = scattered_on_gpu(size, reach, drawn)
    else:
        places = [
            scattered(size, reach, offsets[start : start + _BLOCK])
            for start in range(0, len(offsets), _BLOCK)
        ]
        sources = on_device(torch.from_numpy(np.concatenate(places)), blurred.device)
    moved = blurred.flatten(2).gather(2, sources.unsqueeze(1).expand(-1, 3, -1))
    return gaussian_blurred(moved.view(blurred.shape), sigma, 4, "nearest")


def drawn_offsets(
    generator: torch.Generator, size: tuple[int, int], reach: int, iterations: int
) -> np.ndarray:
    """Return offsets in scan order, (iterations, rows, columns) uint8 in 0 … (2Δ)² - 1.

    o means o // 2Δ - Δ rows down and o % 2Δ - Δ columns to the right. The first row and column are
    the scan's first, at size - Δ.
    """
    rows, columns = (max(0, length - 2 * reach) for length in size)
    shape = (iterations, rows, columns)
    return torch.randint((2 * reach) ** 2, shape, generator=generator, dtype=torch.uint8).numpy()


def scattered(size: tuple[int, int], reach: int, offsets: np.ndarray) -> np.ndarray:
    """Return the source of the pixel at each place, (B, H * W) int64 indices into the image.

    offsets: (B, iterations, rows, columns) from drawn_offsets. The result is exactly that of
    the scan.
    """
    count, pixels = len(offsets), size[0] * size[1]
    order, here, ends = _waves(size, reach, offsets.shape[1:])
    steps = _steps(size, reach)
    images = np.arange(count) * pixels
    # (replacements, B) in memory, so that a wave is contiguous.
    turns = np.ascontiguousarray(offsets.reshape(count, -1).T).take(order, axis=0)
    first = here[:, None] + images
    second = steps.take(turns)
    second += first
    first, second = first.ravel(), second.ravel()
    # In the smallest type, so that more of it is in the cache.
    owner = np.tile(np.arange(pixels, dtype=np.min_scalar_type(pixels - 1)), count)
    start = 0
    for end in (ends * count).tolist():
        one, other = first[start:end], second[start:end]
        owner[one] = owner[other]
        start = end
    return owner.reshape(count, pixels).astype(np.int64)


def scattered_on_gpu(size: tuple[int, int], reach: int, offsets: torch.Tensor) -> torch.Tensor:
    """Return what `scattered` does, on the device of the offsets, (B, iterations, rows, columns).

    A wave is two operations for all images, which a GPU computes faster than the CPU's cores do.
    """
    count, pixels = len(offsets), size[0] * size[1]
    shape = (offsets.shape[1], offsets.shape[2], offsets.shape[3])
    order, here, steps, ends = _waves_on(size, reach, shape, offsets.device)
    images = torch.arange(count, device=offsets.device) * pixels
    turns = offsets.flatten(1).index_select(1, order).T.int()  # by waves, as in `scattered`
    first = here[:, None] + images
    second = first + steps.index_select(0, turns.flatten()).view(first.shape)
    owner = torch.arange(pixels, device=offsets.device).repeat(count)
    lengths = np.diff(ends, prepend=0).tolist()
    for one, other in zip(first.split(lengths), second.split(lengths), strict=True):
        owner.index_copy_(0, one.flatten(), owner.index_select(0, other.flatten()))
    return owner.view(count, pixels)


@cache
def _waves_on(
    size: tuple[int, int], reach: int, shape: tuple[int, int, int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray]:
    """Return order and places of the waves and the offsets in pixels, on the device; the ends."""
    order, here, ends = _waves(size, reach, shape)
    tables = (torch.from_numpy(table) for table in (order, here, _steps(size, reach)))
    order_there, here_there, steps = (on_device(table, device) for table in tables)
    return order_there, here_there, steps, ends


def _steps(size: tuple[int, int], reach: int) -> np.ndarray:
    """Return by how many pixels each offset moves, ((2Δ)²,); see drawn_offsets."""
    lines, columns = np.divmod(np.arange((2 * reach) ** 2), 2 * reach)
    return (lines - reach) * size[1] + columns - reach


@cache
def _waves(
    size: tuple[int, int], reach: int, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the replacements' order by waves, their places in it, and the ends of the waves."""
    iteration, row, column = np.indices(shape).reshape(3, -1)
    wave = column + 2 * reach * row + (2 * reach) ** 2 * iteration
    order = np.argsort(wave, kind="stable")
    here = (size[0] - reach - row) * size[1] + size[1] - reach - column
    return order, here[order], np.cumsum(np.bincount(wave))
