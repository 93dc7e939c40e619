"""Motion blur along a line, as defined by ImageMagick (MotionBlurImage)."""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from bvg.stimuli.batch import on_device


def motion_blurred(
    x: torch.Tensor, radius: int, sigma: float, angles: Sequence[float]
) -> torch.Tensor:
    """Return the images, each blurred in its own direction: (B, C, H, W) like x.

    angles: one per image, in degrees. The kernel is one-sided: tap k = 0 … 2 * radius has the
    weight exp(-k² / 2σ²), divided by the sum of all, and reads the pixel k * cos(angle) columns to
    the right and k * sin(angle) rows down (y points down, so positive angles are clockwise). Both
    are rounded to the nearest pixel, halves towards minus infinity: ceil(v - 0.5). Outside the
    image, the nearest edge pixel is read, ImageMagick's default. Nothing is clipped or rounded to 8
    bits.
    """
    width = 2 * radius + 1
    taps = [math.exp(-(k**2) / (2 * sigma**2)) for k in range(width)]
    weights = [tap / sum(taps) for tap in taps]
    lines = [line_offsets(width, angle) for angle in angles]
    if x.is_cuda:
        return gathered(x, weights, lines)
    blurred = x * weights[0]
    for image, output, offsets in zip(x, blurred, lines, strict=True):
        _accumulate(image, output, weights[1:], offsets[1:])
    return blurred


def gathered(
    x: torch.Tensor, weights: list[float], lines: list[list[tuple[int, int]]]
) -> torch.Tensor:
    """Return the images blurred along their lines, for GPUs: all images at once, tap by tap.

    lines: the offsets of each image's taps. The result is the same on the CPU, but slower.
    """
    channels, height, width = x.shape[1:]
    reach = len(weights) - 1  # the farthest tap's distance
    padded = pad(x, (reach,) * 4, mode="replicate").flatten(2)
    across = width + 2 * reach
    rows, columns = (torch.arange(side, device=x.device) for side in (height, width))
    places = (rows[:, None] * across + columns).flatten()
    down, right = torch.tensor(lines).unbind(-1)  # (B, taps)
    starts = on_device((down + reach) * across + right + reach, x.device).T[..., None, None]
    blurred = x.flatten(2) * weights[0]
    for start, weight in zip(starts[1:].unbind(), weights[1:], strict=True):
        sources = (places + start).expand(-1, channels, -1)
        blurred.add_(padded.gather(2, sources), alpha=weight)
    return blurred.view(x.shape)


def line_offsets(width: int, angle: float) -> list[tuple[int, int]]:
    """Return (rows down, columns to the right) of each tap of a line at an angle in degrees."""
    # Multiplied by the width and divided again, as in ImageMagick, since this decides some halves.
    x, y = width * math.sin(math.radians(angle)), width * math.cos(math.radians(angle))
    length = math.hypot(x, y)
    return [
        (math.ceil(k * x / length - 0.5), math.ceil(k * y / length - 0.5)) for k in range(width)
    ]


def _accumulate(
    image: torch.Tensor,
    output: torch.Tensor,
    weights: list[float],
    offsets: list[tuple[int, int]],
) -> None:
    """Add the weighted taps of one (C, H, W) image to its output."""
    height, width = image.shape[1:]
    rows, columns = zip(*offsets, strict=True)
    top, left = max(0, -min(rows)), max(0, -min(columns))
    borders = (left, max(0, *columns), top, max(0, *rows))
    padded = pad(image[None], borders, mode="replicate")[0]
    for weight, down, right in zip(weights, rows, columns, strict=True):
        tap = padded[:, top + down : top + down + height, left + right : left + right + width]
        output.add_(tap, alpha=weight)
