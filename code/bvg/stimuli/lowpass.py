"""Low-pass filtered images: blurred, or resized to fewer pixels and back.

Source: Wolff et al., ICLR 2026, arXiv 2602.13859, who filter the input of a model that was trained
on unfiltered images. Blur is a Gaussian of 2 * ceil(4 * sigma) + 1 pixels each way, mirrored at the
border as torchvision's GaussianBlur has it. Resizing is bicubic with antialiasing, as Pillow's, in
floating point; where it overshoots, the result (not the small image) is clipped to [0, 1].
tests/oracles/lowpass.py is these sentences.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil

import torch
from torch.nn.functional import interpolate

from bvg.stimuli.batch import CLEAN, Batch
from bvg.stimuli.corruptions.filters import gaussian_blurred

BLUR, DOWNSAMPLE = "blur", "downsample"


def lowpass(
    batch: Batch, sigmas: Sequence[float] = (), sides: Sequence[int] = ()
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the images unfiltered (`clean`), blurred, and downsampled, (B, 3, H, W) in [0, 1].

    sigmas: standard deviations of the blur in pixels; conditions are called blur=<sigma>.
    sides: the pixels a side that images are downsampled to; conditions are called
    downsample=<side>.
    """
    yield CLEAN, batch.pixels
    for sigma in sigmas:
        yield f"{BLUR}={sigma:g}", blurred(batch.pixels, sigma)
    for side in sides:
        yield f"{DOWNSAMPLE}={side}", downsampled(batch.pixels, side)


def blurred(pixels: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the images smoothed by a Gaussian of `sigma` pixels, (B, C, H, W) in [0, 1]."""
    return gaussian_blurred(pixels, sigma, ceil(4 * sigma) / sigma, "mirror").clamp_(0, 1)


def downsampled(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Return the images resized to `side` x `side` pixels and back, (B, C, H, W) in [0, 1]."""
    resized = partial(interpolate, mode="bicubic", antialias=True)
    return resized(resized(pixels, (side, side)), tuple(pixels.shape[2:])).clamp_(0, 1)
