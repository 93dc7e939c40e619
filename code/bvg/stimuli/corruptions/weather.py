"""Snow, frost and fog, as ImageNet-C has them.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. tests/oracles/corruptions_weather_digital.py has the definitions.
"""

import math
from collections.abc import Sequence

import torch

from bvg.stimuli.batch import Batch, in_threads, on_device
from bvg.stimuli.corruptions.frost_textures import procedural_frost
from bvg.stimuli.corruptions.motion import motion_blurred
from bvg.stimuli.corruptions.plasma import DRAWS, plasma
from bvg.stimuli.randomness import keyed_generator, keyed_generators

# Hendrycks & Dietterich 2019, severities 1 … 5.
# Mean and SD of the layer, zoom, threshold, radius and sigma of the blur, share of the image kept.
SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
SNOW_ANGLES = (-135.0, -45.0)  # degrees
FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # of image, of frost
FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # strength, decay of the plasma
LUMA = (0.299, 0.587, 0.114)  # OpenCV's RGB2GRAY


def snow(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images, made pale, with snow on them, (B, 3, S, S), not clipped."""
    keep = SNOW[severity - 1][-1]
    flakes = _flakes(batch, severity)
    pixels = batch.pixels.contiguous()
    red, green, blue = pixels.split(1, dim=1)
    pale = (red * LUMA[0]).add_(green * LUMA[1]).add_(blue * LUMA[2]).mul_(1.5).add_(0.5)
    snowed = torch.maximum(pixels, pale).mul_(1 - keep).add_(pixels * keep)
    return snowed.add_(flakes + flakes.flip((2, 3)))


def _flakes(batch: Batch, severity: int) -> torch.Tensor:
    """Return the layer of motion-blurred flakes in steps of 1 / 255, (B, 1, S, S)."""
    mean, deviation, zoom, threshold, radius, sigma, _ = SNOW[severity - 1]
    size = batch.pixels.shape[-1]
    crop = math.ceil(size / zoom)  # the part of a layer of the image's size that remains
    layers, angles = [], []
    for name in batch.names:
        generator = keyed_generator(batch.seed, f"snow_{severity}", name)
        layers.append(torch.randn((1, crop, crop), generator=generator))
        share = float(torch.rand((), generator=generator))
        angles.append(SNOW_ANGLES[0] + share * (SNOW_ANGLES[1] - SNOW_ANGLES[0]))
    layer = on_device(torch.stack(layers), batch.pixels.device) * deviation + mean
    layer = zoomed(layer, zoom, size)
    layer.mul_(layer >= threshold).clamp_(0, 1)
    # ImageMagick's input and output are 8-bit pictures: truncated before, rounded after.
    layer.mul_(255).floor_().div_(255)
    return motion_blurred(layer, radius, sigma, angles).mul_(255).round_().div_(255)


def zoomed(x: torch.Tensor, zoom: float, size: int) -> torch.Tensor:
    """Return squares (B, C, s, s) enlarged by `zoom` and trimmed to (B, C, size, size).

    Linear interpolation with aligned corner pixels, as in scipy.ndimage.zoom(order=1): the first
    and last of the round(s * zoom) pixels of the enlarged image are those of the small one.
    """
    small, large = x.shape[-1], round(x.shape[-1] * zoom)
    trimmed = (large - size) // 2
    positions = torch.arange(trimmed, trimmed + size, dtype=torch.float64)
    positions = (positions * ((small - 1) / (large - 1))).clamp_(max=small - 1)
    before = positions.floor().long().clamp_(max=small - 2)
    weight = on_device((positions - before).float(), x.device)
    before = on_device(before, x.device)
    # Gathered instead of multiplied by a matrix, so that the result does not depend on the batch.
    left, right = x.index_select(3, before), x.index_select(3, before + 1)
    x = left.mul_(1 - weight).add_(right.mul_(weight))
    above, below = x.index_select(2, before), x.index_select(2, before + 1)
    weight = weight[:, None]
    return above.mul_(1 - weight).add_(below.mul_(weight))


def frost(
    batch: Batch, severity: int, photographs: Sequence[torch.Tensor] | None = None
) -> torch.Tensor:
    """Return weighted sums of the images and random crops of frost, (B, 3, H, W), not clipped.

    photographs: (3, h, w) uint8 RGB, larger than the images; each image gets a random one
    (load_frost reads a folder). None: synthetic textures, which the result should record.
    """
    photographs = procedural_frost() if photographs is None else photographs
    of_image, of_frost = FROST[severity - 1]
    sides = batch.pixels.shape[2:]
    crops = []
    for name in batch.names:
        generator = keyed_generator(batch.seed, f"frost_{severity}", name)
        photograph = photographs[_below(len(photographs), generator)]
        for dim, side in enumerate(sides, start=1):
            # The last possible offset is never drawn, as in the published code.
            start = _below(max(1, photograph.shape[dim] - side), generator)
            photograph = photograph.narrow(dim, start, side)
        crops.append(photograph)
    frosted = on_device(torch.stack(crops), batch.pixels.device).float().mul_(of_frost)
    return frosted.add_(batch.pixels * (255 * of_image)).div_(255)


def _below(limit: int, generator: torch.Generator) -> int:
    return int(torch.randint(limit, (), generator=generator))


def fog(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images with plasma fog, no brighter than before: (B, 3, H, W), H, W <= 256."""
    strength, decay = FOG[severity - 1]
    generators = keyed_generators(batch, f"fog_{severity}")
    draws = in_threads(lambda generator: torch.rand(DRAWS, generator=generator), generators)
    uniform = on_device(torch.stack(draws), batch.pixels.device).mul_(2).sub_(1)
    height, width = batch.pixels.shape[2:]
    haze = plasma(uniform, decay)[:, None, :height, :width].mul_(strength)
    brightest = batch.pixels.amax((1, 2, 3), keepdim=True)
    return (batch.pixels + haze).mul_(brightest / (brightest + strength))
