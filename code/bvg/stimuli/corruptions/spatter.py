"""Spatter of water and of mud, as ImageNet-C has it.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. tests/oracles/corruptions_weather_digital.py has the definition.

The drops depend on the draws only. They are always computed on the CPU, so that they are the same
on every device.
"""

import cv2
import numpy as np
import torch

from bvg.stimuli.batch import Batch, in_threads, on_device
from bvg.stimuli.corruptions.filters import gaussian_blurred
from bvg.stimuli.randomness import keyed_generators

# Hendrycks & Dietterich 2019, severities 1 … 5: mean, SD and smoothing of the liquid, threshold,
# strength (of mud: its smoothing), and whether it is mud.
SPATTER = (
    (0.65, 0.3, 4, 0.69, 0.6, False),
    (0.65, 0.3, 3, 0.68, 0.6, False),
    (0.65, 0.3, 2, 0.68, 0.5, False),
    (0.65, 0.3, 1, 0.65, 1.5, True),
    (0.67, 0.4, 1, 0.65, 1.5, True),
)
WATER, MUD = (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 20 / 255)  # RGB
CANNY = (50, 150)  # thresholds
FARTHEST = 20  # pixels; larger distances from the edges are clipped
EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
MUD_THRESHOLD = 0.8


def spatter(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images with drops of water (severities 1 to 3) or stains of mud, (B, 3, H, W).

    The values are not clipped.
    """
    *_, threshold, strength, is_mud = SPATTER[severity - 1]
    liquid = _liquid(batch, severity)
    device = batch.pixels.device
    if is_mud:
        stains = gaussian_blurred((liquid > threshold).float(), strength, 4, "nearest")
        stains = on_device(stains * (stains >= MUD_THRESHOLD), device)
        return (batch.pixels * (1 - stains)).add_(stains * _colour(MUD, device))
    liquid.mul_(liquid >= threshold)
    levels = (liquid[:, 0] * 255).to(torch.uint8).numpy()
    drops = on_device(torch.from_numpy(water(levels)).mul_(strength), device)
    return batch.pixels + drops[:, None] * _colour(WATER, device)


def _liquid(batch: Batch, severity: int) -> torch.Tensor:
    """Return smooth random fields, (B, 1, H, W) on the CPU."""
    mean, deviation, sigma = SPATTER[severity - 1][:3]
    shape = (1, *batch.pixels.shape[2:])
    generators = keyed_generators(batch, f"spatter_{severity}")
    draws = in_threads(lambda generator: torch.randn(shape, generator=generator), generators)
    return gaussian_blurred(torch.stack(draws) * deviation + mean, sigma, 4, "nearest")


def _colour(rgb: tuple[float, float, float], device: torch.device) -> torch.Tensor:
    return on_device(torch.tensor(rgb), device).view(3, 1, 1)


def water(liquid: np.ndarray) -> np.ndarray:
    """Return the brightness of the drops, (B, H, W) float32 in [0, 1], scaled to a maximum of 1.

    liquid: (B, H, W) uint8, 0 for none. The distance from the edges of the liquid, up to 20 pixels,
    is smoothed, equalized, embossed, smoothed, and multiplied with the liquid: the published steps,
    with the published library.
    """
    drops = np.stack(in_threads(_shaded, liquid))
    brightest = drops.max(axis=(1, 2), keepdims=True)
    return np.divide(drops, brightest, out=drops, where=brightest > 0)


def _shaded(level: np.ndarray) -> np.ndarray:
    """Return one image's liquid times its shading, (H, W) float32."""
    edges = cv2.Canny(level, *CANNY)
    far = np.minimum(cv2.distanceTransform(255 - edges, cv2.DIST_L2, 5), FARTHEST)
    relief = cv2.equalizeHist(cv2.blur(far, (3, 3)).astype(np.uint8))
    shading = cv2.blur(cv2.filter2D(relief, cv2.CV_8U, EMBOSS), (3, 3))
    return level * shading.astype(np.float32)
