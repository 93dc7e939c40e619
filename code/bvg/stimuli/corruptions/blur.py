"""Blur corruptions of ImageNet-C: defocus, motion, zoom and Gaussian blur.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, and its published code. Every function takes images in [0, 1],
(B, 3, H, W), and a severity from 1 to 5; it returns float32 images. On the CPU, an image's result
does not depend on its batch, bit for bit. Glass blur is in glass.py.
"""

import math
from functools import cache

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from bvg.stimuli.batch import Batch
from bvg.stimuli.corruptions.filters import border_indices, cached_parts, gaussian_blurred
from bvg.stimuli.corruptions.motion import motion_blurred
from bvg.stimuli.randomness import keyed_generator

# Severities 1 … 5 (Hendrycks & Dietterich 2019, published code).
DEFOCUS_BLUR = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius, σ of the alias blur
MOTION_BLUR = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius, σ
STEEPEST = 45  # degrees from the horizontal
ZOOM_BLUR = ((0.01, 11), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11))  # step, factors from 1 on
# np.arange(1, 1.11, 0.01) of the published code has a twelfth element: its first severity ends at
# a factor of 1.11, not 1.10.
ZOOM_BLUR_PUBLISHED = ((0.01, 12), *ZOOM_BLUR[1:])
GAUSSIAN_BLUR = (1, 2, 3, 4, 6)  # σ in pixels
_BLOCK = 16  # images that are zoomed at a time


def defocus_blur(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images correlated with a disk that has slightly soft edges."""
    disk = DEFOCUS_BLUR[severity - 1]
    return torch.cat([_unfocused(x, *disk) for x in cached_parts(batch.pixels.contiguous())])


def motion_blur(batch: Batch, severity: int, published: bool = False) -> torch.Tensor:
    """Return the images blurred along a line, at an angle drawn uniformly from ±45° for each.

    published: as in the published files, made by ImageMagick, which rounds to 8 bits.
    """
    radius, sigma = MOTION_BLUR[severity - 1]
    condition = f"motion_blur_{severity}"
    angles = []
    for name in batch.names:
        draw = torch.rand((), generator=keyed_generator(batch.seed, condition, name)).item()
        angles.append(STEEPEST * (2 * draw - 1))
    blurred = motion_blurred(batch.pixels.contiguous(), radius, sigma, angles)
    return blurred.mul_(255).round_().div_(255) if published else blurred


def zoom_blur(batch: Batch, severity: int, published: bool = False) -> torch.Tensor:
    """Return the mean of the images and their zooms by each factor, including 1.

    published: as in the published files, whose first severity has one factor more than intended.
    """
    step, count = (ZOOM_BLUR_PUBLISHED if published else ZOOM_BLUR)[severity - 1]
    blurred = torch.empty_like(batch.pixels, memory_format=torch.contiguous_format)
    for x, output in zip(batch.pixels.split(_BLOCK), blurred.split(_BLOCK), strict=True):
        stack = _as_channels(x)
        total = stack * 2  # the image itself, and its zoom by 1
        for number in range(1, count):
            total += zoomed(stack, 1 + number * step)
        total /= count + 1
        output.copy_(total[0, : 3 * len(x)].view(x.shape))
    return blurred


def gaussian_blur(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images smoothed by a Gaussian, truncated at 4σ, with the nearest border."""
    return gaussian_blurred(batch.pixels.contiguous(), GAUSSIAN_BLUR[severity - 1], 4, "nearest")


def zoomed(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Return the centre of (B, C, H, W) images, enlarged to their size by a factor of 1 or more.

    The centre has ceil(size / factor) pixels a side. It is enlarged bilinearly to the nearest whole
    number of pixels with aligned corner pixels (scipy.ndimage.zoom, order 1) and cropped to the
    size on both sides.
    """
    sizes = x.shape[2:]
    inner = [math.ceil(size / factor) for size in sizes]
    top, left = ((size - part) // 2 for size, part in zip(sizes, inner, strict=True))
    centre = x[:, :, top : top + inner[0], left : left + inner[1]]
    outer = [round(part * factor) for part in inner]
    large = interpolate(centre, outer, mode="bilinear", align_corners=True)
    top, left = ((whole - size) // 2 for size, whole in zip(sizes, outer, strict=True))
    return large[:, :, top : top + sizes[0], left : left + sizes[1]]


@cache
def defocus_kernel(radius: int, alias_blur: float) -> np.ndarray:
    """Return the defocus kernel, a disk: (17, 17), or for larger radii 2 * radius + 1 a side.

    The disk sums to 1 before its edges are softened by a Gaussian of 3 x 3 taps (5 x 5 above radius
    8) with mirrored borders, as in OpenCV's GaussianBlur. Disks of radius 8 and 10 touch the
    borders and then sum to 1.013 and 1.011, as the published ones do.
    """
    reach, taps = (8, 3) if radius <= 8 else (radius, 5)
    size, grid = 2 * reach + 1, np.arange(-reach, reach + 1)
    disk = (grid[:, None] ** 2 + grid**2 <= radius**2).astype(np.float64)
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-0.5 * (offsets / alias_blur) ** 2)
    rows, soft = np.arange(size)[:, None], np.zeros((size, size))
    np.add.at(soft, (rows, border_indices(rows + offsets, size, "mirror")), weights / weights.sum())
    return soft @ (disk / disk.sum()) @ soft.T


def _as_channels(x: torch.Tensor) -> torch.Tensor:
    """Return (B, C, H, W) images as the channels of one, (1, at least B * C, H, W) channels_last.

    This makes interpolation three times as fast. The number of channels is a multiple of 16, so
    that vector instructions process all of them and rounding does not depend on the batch.
    """
    count = x.shape[0] * x.shape[1]
    stack = x.new_zeros(1, *x.shape[2:], -(-count // 16) * 16).permute(0, 3, 1, 2)
    stack[0, :count] = x.reshape(count, *x.shape[2:])
    return stack


def _unfocused(x: torch.Tensor, radius: int, alias_blur: float) -> torch.Tensor:
    """Return the correlation with the disk, with mirrored borders."""
    reach = len(defocus_kernel(radius, alias_blur)) // 2
    height, width = x.shape[2:]
    sides = (_fast_side(height + 2 * reach), _fast_side(width + 2 * reach))
    spectrum = torch.fft.rfft2(pad(x, (reach,) * 4, mode="reflect"), s=sides)
    spectrum *= _transfer(radius, alias_blur, sides, x.device)
    return torch.fft.irfft2(spectrum, s=sides)[..., :height, :width]


@cache
def _transfer(
    radius: int, alias_blur: float, sides: tuple[int, int], device: torch.device
) -> torch.Tensor:
    """Return the transfer function of a correlation with the disk."""
    spectrum = np.fft.rfft2(defocus_kernel(radius, alias_blur), s=sides).conj()
    return torch.from_numpy(spectrum.astype(np.complex64)).to(device)


def _fast_side(size: int) -> int:
    """Return a size for Fourier transforms, at least `size`, without large prime factors."""
    return -(-size // 16) * 16
