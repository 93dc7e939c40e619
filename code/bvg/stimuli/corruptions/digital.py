"""Brightness, contrast, saturation, pixelation and JPEG compression, as ImageNet-C has them.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. Nothing here is random. tests/oracles/corruptions_weather_digital.py
has the definitions.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import numpy as np
import torch

from bvg.stimuli.batch import Batch, on_device

# Hendrycks & Dietterich 2019, severities 1 … 5.
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to HSV's V
SATURATE = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))  # times, plus: HSV's S
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)  # of the image's side
JPEG_COMPRESSION = (25, 18, 15, 10, 7)  # quality

_FEWEST_THREADS = 4  # with fewer, competing with torch's threads costs more than is gained
_TINY = 1e-30  # lower bound of denominators


def brightness(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images with a higher V in HSV, (B, 3, H, W) in [0, 1].

    Hue and saturation are unchanged, so that the three channels are scaled by one factor; black
    pixels, which have no hue, become grey.
    """
    pixels = batch.pixels.contiguous().clamp(min=_TINY)
    value = pixels.amax(1, keepdim=True)
    brighter = (value + BRIGHTNESS[severity - 1]).clamp_(max=1)
    return pixels.mul_(brighter.div_(value))


def saturate(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images with S in HSV scaled, shifted and clipped, (B, 3, H, W) in [0, 1].

    With V and hue unchanged, the difference between V and a channel is proportional to S. Grey
    pixels have no hue; by definition it is 0, red, so that they become reddish if S is shifted.
    """
    times, plus = SATURATE[severity - 1]
    pixels = batch.pixels.contiguous()
    value = pixels.amax(1, keepdim=True)
    chroma = value - pixels.amin(1, keepdim=True)
    new_chroma = torch.minimum(chroma * times + value * plus, value)
    factor = new_chroma / chroma.clamp(min=_TINY)
    saturated = value - (value - pixels).mul_(factor)
    if plus:
        saturated[:, 1:] -= new_chroma.mul_(chroma == 0)
    return saturated


def contrast(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images with each channel scaled towards its mean, (B, 3, H, W) in [0, 1]."""
    kept = CONTRAST[severity - 1]
    # Sums of integers below 2**24 are exact in any order, hence for any batch size.
    total = (batch.pixels * 255).round_().sum(dim=(2, 3), keepdim=True)
    mean = total / (255 * batch.pixels[0, 0].numel())
    return (batch.pixels * kept).add_(mean * (1 - kept))


def pixelate(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images box-resized to int(kept * side) and back: (B, 3, H, W), each k / 255.

    Bit for bit Pillow's resize with Resampling.BOX (for images that are not much taller than wide,
    for which Pillow 13 starts with the columns): all pixels in a box have equal weights, and
    averages along rows are rounded to 8 bits before averaging along columns.
    """
    kept, device = PIXELATE[severity - 1], batch.pixels.device
    height, width = batch.pixels.shape[2:]
    low, narrow = int(height * kept), int(width * kept)
    levels = (batch.pixels.contiguous() * 255).round_()
    small = _averaged(levels, _boxes(width, narrow, device))
    small = _averaged(small.transpose(2, 3), _boxes(height, low, device)).transpose(2, 3)
    columns, rows = _boxes(narrow, width, device), _boxes(low, height, device)
    small = small.contiguous().div_(255)
    return small.index_select(3, columns.argmax(0)).index_select(2, rows.argmax(0))


def jpeg_compression(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images after JPEG compression, (B, 3, H, W), each value k / 255."""
    return jpeg(batch.pixels, JPEG_COMPRESSION[severity - 1])


def jpeg(x: torch.Tensor, quality: int) -> torch.Tensor:
    """Return the images after JPEG 4:2:0 compression, (B, 3, H, W) like x, each value k / 255.

    x: values k / 255. torchvision's libjpeg gives the same pixels as Pillow's (they are tested
    against each other) in two thirds of the time.
    """
    images = (x * 255).round_().to(torch.uint8).cpu().contiguous()
    code = partial(_encoded_and_decoded, quality=quality)
    threads = torch.get_num_threads()
    if threads < _FEWEST_THREADS:
        decoded = [code(image) for image in images]
    else:
        with ThreadPoolExecutor(threads) as pool:
            decoded = list(pool.map(code, images))
    return on_device(torch.stack(decoded), x.device).float().div_(255)


def _encoded_and_decoded(image: torch.Tensor, quality: int) -> torch.Tensor:
    from torchvision.io import decode_jpeg, encode_jpeg  # here, because importing it takes seconds

    return decode_jpeg(encode_jpeg(image, quality))


def _averaged(levels: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Return integers averaged over boxes of the last dimension, rounded half up."""
    # Sums of a few integers up to 255 are exact in any order and precision.
    return (levels @ boxes).div_(boxes.sum(0)).add_(0.5).floor_()


@cache
def _boxes(old: int, new: int, device: torch.device) -> torch.Tensor:
    """Return which of the `old` pixels are in the box of each `new` pixel, (old, new), 1 or 0."""
    # Both of Pillow's conditions, because rounding decides at the borders of boxes.
    scale = old / new
    width = max(1, scale)
    pixels, centres = np.arange(old)[:, None], (np.arange(new) + 0.5) * scale
    first, end = np.trunc(centres - width / 2 + 0.5), np.trunc(centres + width / 2 + 0.5)
    distances = (pixels - centres + 0.5) * (1 / width)
    inside = (first <= pixels) & (pixels < end) & (distances > -0.5) & (distances <= 0.5)
    return torch.from_numpy(inside).float().to(device)
