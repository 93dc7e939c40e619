"""The input of stimulus generators, and their arithmetic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """Decoded images on the device.

    pixels: (B, 3, H, W) float32 RGB in [0, 1], channels_last in memory.
    names: one per image, independent of subsets, order and batch size.
    labels: (B,) int64, indices into the image set's classes.
    seed: the run's seed; per-image randomness is keyed by (seed, condition, name).
    """

    pixels: torch.Tensor
    names: tuple[str, ...]
    labels: torch.Tensor
    seed: int


CLEAN = "clean"  # the condition of unchanged images
# Further columns of the predictions that stimuli add, (B,) by name.
Columns = dict[str, torch.Tensor]
# A condition, its images, and its columns if there are any.
Stimulus = tuple[str, torch.Tensor] | tuple[str, torch.Tensor, Columns]
Stimuli = Callable[[Batch], Iterator[Stimulus]]


def unchanged(batch: Batch) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the unchanged images as the only condition, `clean`."""
    yield CLEAN, batch.pixels


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute matrix products of stimuli in full precision, also with --precision tf32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
