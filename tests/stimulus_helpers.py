"""Batches for the tests of stimuli."""

import numpy as np
import torch

import eval_criticalband
import eval_spectral
from bvg.stimuli.batch import Batch
from bvg.stimuli.criticalband import condition_name


def photo_like(seed: int, height: int = 224, width: int = 224) -> np.ndarray:
    """Return random uint8 colours with a spectrum that falls, as photographs' does."""
    draws = np.random.default_rng(seed).normal(size=(height, width, 3)).cumsum(0).cumsum(1)
    draws = (draws - draws.min()) / (draws.max() - draws.min())
    return (draws * 255).round().astype(np.uint8)


def batch_of(*images: np.ndarray, names: tuple[str, ...] = (), seed: int = 0) -> Batch:
    """Return uint8 images as the evaluation loop hands them to stimuli."""
    names = names or tuple(f"image {number}" for number in range(len(images)))
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return Batch(pixels, names, torch.zeros(len(images), dtype=torch.int64), seed)


SPECTRAL_CONDITIONS = (
    "clean",
    *(f"lowpass/{cutoff}" for cutoff in eval_spectral.CUTOFFS),
    *(f"highpass/{cutoff}" for cutoff in eval_spectral.CUTOFFS),
)
NOISE_CONDITIONS = (
    condition_name(0, 0),
    *(
        condition_name(f, sd)
        for f in eval_criticalband.BANDS
        for sd in eval_criticalband.DEVIATIONS
    ),
)
