"""Brightness, contrast, saturation, pixelation and JPEG compression, as ImageNet-C has them.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. Nothing here is random. tests/oracles/corruptions_weather_digital.py
has the definitions.
"""

from functools import cache, partial

import cv2
import numpy as np
import torch

from bvg.stimuli.batch import Batch, in_threads, on_device

# Hendrycks & Dietterich 2019, severities 1 … 5.
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to HSV's V
SATURATE = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))  # times, plus: HSV's S
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)  # of the image's side
JPEG_COMPRESSION = (25, 18, 15, 10, 7)  # quality

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
    low, narrow = (int(side * PIXELATE[severity - 1]) for side in batch.pixels.shape[2:])
    if batch.pixels.device.type != "cpu":
        return pixelated_by_products(batch.pixels, low, narrow)
    made = torch.empty(batch.pixels.shape)
    for image, pixels in zip(batch.levels, made.numpy(), strict=True):
        _pixelate(image, low, narrow, pixels)
    return made


def pixelated_by_products(x: torch.Tensor, low: int, narrow: int) -> torch.Tensor:
    """Return the images box-resized to (low, narrow) and back, for GPUs: by products of matrices.

    x: values k / 255. The result is the same on the CPU, where it takes three times as long.
    """
    height, width = x.shape[2:]
    levels = (x.contiguous() * 255).round_()
    small = _averaged(levels, _boxes_on(width, narrow, x.device))
    small = _averaged(small.transpose(2, 3), _boxes_on(height, low, x.device)).transpose(2, 3)
    columns, rows = _boxes_on(narrow, width, x.device), _boxes_on(low, height, x.device)
    small = small.contiguous().div_(255)
    return small.index_select(3, columns.argmax(0)).index_select(2, rows.argmax(0))


def _pixelate(image: np.ndarray, low: int, narrow: int, pixels: np.ndarray) -> None:
    """Write one image, (H, W, 3) uint8, box-resized to (low, narrow) and back, into its pixels.

    pixels: (3, H, W) float32.
    """
    # Columns are made rows to work on them, because whole rows are copied and added quickly.
    (rows, *_), _ = _members(low, image.shape[0])
    (columns, *_), _ = _members(narrow, image.shape[1])
    small = _averaged_rows(cv2.transpose(image), narrow)
    small = _averaged_rows(cv2.transpose(small), low)
    wide = cv2.transpose(cv2.transpose(small).take(columns, axis=0))
    planes = np.divide(cv2.split(wide), 255, dtype=np.float32)
    planes.take(rows, axis=1, out=pixels, mode="clip")


def _averaged_rows(image: np.ndarray, count: int) -> np.ndarray:
    """Return (H, W, 3) uint8 averaged over the boxes of `count` rows, rounded half up."""
    members, sizes = _members(len(image), count)
    padded = cv2.copyMakeBorder(image, 0, 1, 0, 0, cv2.BORDER_CONSTANT, value=0)
    total = padded.take(members[0], axis=0).astype(np.uint16)
    for member in members[1:]:
        total += padded.take(member, axis=0)
    return np.add(np.divide(total, sizes, dtype=np.float32), np.float32(0.5)).astype(np.uint8)


@cache
def _members(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of each box, (most, new), and how many they are, (new, 1, 1) float32.

    Smaller boxes have the pixel `old` as well, which is beyond the last one.
    """
    boxes = _boxes(old, new)
    sizes = boxes.sum(0)
    places = np.arange(int(sizes.max()))[:, None]
    members = np.where(places < sizes, boxes.argmax(0) + places, old)
    return members, sizes[:, None, None]


def jpeg_compression(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images after JPEG compression, (B, 3, H, W), each value k / 255."""
    return compressed(batch.levels, JPEG_COMPRESSION[severity - 1], batch.pixels.device)


def compressed(images: np.ndarray, quality: int, device: torch.device) -> torch.Tensor:
    """Return images after JPEG 4:2:0 compression, (B, 3, H, W) on the device, each value k / 255.

    images: (B, H, W, 3) uint8. OpenCV's libjpeg gives the same pixels as Pillow's (they are tested
    against each other) in about half of the time.
    """
    code = partial(_encoded_and_decoded, quality=quality)
    return _pixels(in_threads(code, images), device)


def _encoded_and_decoded(image: np.ndarray, quality: int) -> np.ndarray:
    # OpenCV's images are BGR; it subsamples colours by 2 unless told otherwise.
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None  # its annotation allows for files that are no images
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _pixels(images: list[np.ndarray], device: torch.device) -> torch.Tensor:
    """Return (H, W, 3) uint8 images as (B, 3, H, W) in [0, 1] on the device."""
    levels = np.stack([cv2.split(image) for image in images])
    return on_device(torch.from_numpy(levels), device).float().div_(255)


def _averaged(levels: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Return integers averaged over boxes of the last dimension, rounded half up."""
    # Sums of a few integers up to 255 are exact in any order and precision.
    return (levels @ boxes).div_(boxes.sum(0)).add_(0.5).floor_()


@cache
def _boxes_on(old: int, new: int, device: torch.device) -> torch.Tensor:
    return on_device(torch.from_numpy(_boxes(old, new)), device)


@cache
def _boxes(old: int, new: int) -> np.ndarray:
    """Return which of the `old` pixels are in the box of each `new` pixel, (old, new), 1 or 0."""
    # Both of Pillow's conditions, because rounding decides at the borders of boxes.
    scale = old / new
    width = max(1, scale)
    pixels, centres = np.arange(old)[:, None], (np.arange(new) + 0.5) * scale
    first, end = np.trunc(centres - width / 2 + 0.5), np.trunc(centres + width / 2 + 0.5)
    distances = (pixels - centres + 0.5) * (1 / width)
    inside = (first <= pixels) & (pixels < end) & (distances > -0.5) & (distances <= 0.5)
    return inside.astype(np.float32)
