"""The input of a stimulus generator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """Decoded images on the device.

    pixels: (B, 3, H, W) float32 RGB in [0, 1], channels_last in memory.
    names: one identity per image, stable under subsets, order and batch size.
    labels: (B,) int64, indices into the image set's classes.
    seed: the run's seed; per-image randomness is keyed by (seed, condition, name).
    """

    pixels: torch.Tensor
    names: tuple[str, ...]
    labels: torch.Tensor
    seed: int


CLEAN = "clean"  # the condition of an image as it is
# What else is to be recorded of each image of a stimulus: (B,) by name.
Columns = dict[str, torch.Tensor]
# A condition, its images, and its columns if it has any.
Stimulus = tuple[str, torch.Tensor] | tuple[str, torch.Tensor, Columns]
Stimuli = Callable[[Batch], Iterator[Stimulus]]


def unchanged(batch: Batch) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the unchanged images as the only condition, `clean`."""
    yield CLEAN, batch.pixels
