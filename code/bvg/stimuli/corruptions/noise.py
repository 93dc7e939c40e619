"""Noise corruptions of ImageNet-C: Gaussian, shot, impulse and speckle noise.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, and its published code. Each channel of each pixel has its own draw.
Every function takes 8-bit images in [0, 1], (B, 3, H, W), and a severity from 1 to 5; it returns
float32 images that are not clipped.
"""

from functools import cache

import numpy as np
import torch

from bvg.stimuli.batch import Batch, on_device
from bvg.stimuli.corruptions.filters import cached_parts
from bvg.stimuli.randomness import keyed_draws

# Severities 1 … 5 (Hendrycks & Dietterich 2019, published code).
GAUSSIAN_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # SD
SHOT_NOISE = (60, 25, 12, 5, 3)  # photons at full intensity
IMPULSE_NOISE = (0.03, 0.06, 0.09, 0.17, 0.27)  # share of values that are lost
SPECKLE_NOISE = (0.15, 0.2, 0.35, 0.45, 0.6)  # SD relative to the value
_BINS = 2048  # of the unit interval, where the search for a quantile starts
_STEPS = 2**24  # torch.rand's float32 values are multiples of 1 / 2**24


def gaussian_noise(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images plus N(0, σ²)."""
    noise = keyed_draws(batch, f"gaussian_noise_{severity}", torch.randn)
    return noise.mul_(GAUSSIAN_NOISE[severity - 1]).add_(batch.pixels.contiguous())


def shot_noise(batch: Batch, severity: int) -> torch.Tensor:
    """Return Poisson(x * c) / c: photons counted, c of them at full intensity."""
    photons = SHOT_NOISE[severity - 1]
    draws = keyed_draws(batch, f"shot_noise_{severity}", torch.rand)
    levels = (batch.pixels.contiguous() * 255).round_().to(torch.int32)
    parts = zip(cached_parts(draws), cached_parts(levels), strict=True)
    counts = torch.cat([poisson_quantiles(*part, photons) for part in parts])
    return counts.div_(photons)


def impulse_noise(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images with each value replaced by 0 or 1 with probability p / 2 each."""
    share = IMPULSE_NOISE[severity - 1]
    draws = keyed_draws(batch, f"impulse_noise_{severity}", torch.rand)
    # Masks as numbers 0 and 1, because torch.where takes four times as long.
    kept = torch.ge(draws, share, out=torch.empty_like(draws))
    white = draws.ge_(share / 2).sub_(kept)
    return white.addcmul_(kept, batch.pixels.contiguous())


def speckle_noise(batch: Batch, severity: int) -> torch.Tensor:
    """Return x + x * N(0, σ²)."""
    noise = keyed_draws(batch, f"speckle_noise_{severity}", torch.randn)
    return noise.mul_(SPECKLE_NOISE[severity - 1]).add_(1).mul_(batch.pixels.contiguous())


def poisson_quantiles(draws: torch.Tensor, levels: torch.Tensor, photons: int) -> torch.Tensor:
    """Return for each draw u the smallest k with u < P(X <= k), X ~ Poisson(level / 255 * photons).

    draws: torch.rand's, in [0, 1). levels: int32 in 0 … 255, of the same shape. The result is
    float32 and follows the Poisson distribution to the 24 bits of the draws, on any device.
    """
    starts, cumulative = _tables_on(photons, draws.device)
    flat, rows = draws.flatten(), levels.flatten()
    if draws.is_cuda:
        return bisected(flat, rows, cumulative).view(draws.shape)
    bins = (flat * _BINS).to(torch.int32).add_(rows, alpha=_BINS)
    counts = starts.flatten().index_select(0, bins).to(torch.int32)
    places = counts.add(rows, alpha=cumulative.shape[1])
    cumulative = cumulative.flatten()
    left = (flat >= cumulative.index_select(0, places)).nonzero().flatten()
    sought, places = flat[left], places[left]
    while len(left):
        places += 1
        counts[left] += 1
        beyond = (sought >= cumulative.index_select(0, places)).nonzero().flatten()
        left, sought, places = left[beyond], sought[beyond], places[beyond]
    return counts.to(torch.float32).view(draws.shape)


def bisected(draws: torch.Tensor, rows: torch.Tensor, cumulative: torch.Tensor) -> torch.Tensor:
    """Return for each draw u the smallest k with u < cumulative[row, k], (N,) float32, for GPUs.

    draws, rows: (N,); rows are int32. Whatever the draws are, the steps are the same, so that the
    program waits for no values. The last probability of each row is 1, above every draw.
    """
    most = cumulative.shape[1]
    table, first = cumulative.flatten(), rows * most
    counts = torch.zeros_like(rows)
    for power in range(most.bit_length() - 1, -1, -1):
        # The first counts + 2**power probabilities are passed if the last of them is.
        last = counts.add(2**power - 1).clamp_(max=most - 1)
        passed = draws >= table.index_select(0, last.add_(first))
        counts.add_(passed, alpha=2**power)
    return counts.to(torch.float32)


@cache
def _tables_on(photons: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tables on the device, where they are copied to once."""
    starts, cumulative = _poisson_tables(photons)
    return on_device(starts, device), on_device(cumulative, device)


def _poisson_tables(photons: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where to start, (256, _BINS) uint8, and P(X <= k), (256, most) float32.

    The probabilities are rounded up to the draws' steps: no draw can tell the difference.
    """
    rates = np.arange(256) / 255 * photons
    chance = np.exp(-rates)
    cumulative = [chance]
    while (cumulative[-1] <= 1 - 1 / _STEPS).any():
        chance = chance * rates / len(cumulative)
        cumulative.append(cumulative[-1] + chance)
    exact = np.ceil(np.stack(cumulative, 1) * _STEPS).clip(max=_STEPS) / _STEPS
    edges = np.arange(_BINS) / _BINS
    starts = np.stack([np.searchsorted(row, edges, side="right") for row in exact])
    return torch.from_numpy(starts).to(torch.uint8), torch.from_numpy(exact).float()
