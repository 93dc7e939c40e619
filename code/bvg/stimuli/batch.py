"""The input of stimulus generators, and their arithmetic."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch

Made = TypeVar("Made")
_FEWEST_THREADS = 4  # with fewer, competing with torch's threads costs more than is gained


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

    @cached_property
    def levels(self) -> np.ndarray:
        """Return the pixels as (B, H, W, 3) uint8 on the CPU; a GPU is waited for, if need be."""
        return bytes_of(self.pixels)


CLEAN = "clean"  # the condition of unchanged images
# Further columns of the predictions that stimuli add, (B,) by name.
Columns = dict[str, torch.Tensor]
# A condition, its images, and its columns if there are any.
Stimulus = tuple[str, torch.Tensor] | tuple[str, torch.Tensor, Columns]
Stimuli = Callable[[Batch], Iterator[Stimulus]]


def with_levels(batch: Batch, levels: np.ndarray) -> Batch:
    """Return the batch, whose levels are known: no device will be asked for them.

    levels: (B, H, W, 3) uint8, what the pixels were made of.
    """
    levels = levels.view()
    levels.flags.writeable = False  # the caller's memory
    # As cached_property keeps it; dataclasses.replace(batch, pixels=…) does not hand it on.
    vars(batch)["levels"] = levels
    return batch


def in_planes(batch: Batch) -> Batch:
    """Return the batch with pixels that are contiguous, (B, 3, H, W), in memory."""
    planes = replace(batch, pixels=batch.pixels.contiguous())
    known = "levels" in vars(batch)
    return with_levels(planes, batch.levels) if known else planes


def unchanged(batch: Batch) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the unchanged images as the only condition, `clean`."""
    yield CLEAN, batch.pixels


def bytes_of(pixels: torch.Tensor) -> np.ndarray:
    """Return (B, H, W, 3) uint8 of (B, 3, H, W) in [0, 1], for stimuli that are made on the CPU."""
    return bytes_on_their_way(pixels)()


def bytes_on_their_way(pixels: torch.Tensor) -> Callable[[], np.ndarray]:
    """Return a function that waits for bytes_of(pixels); see on_its_way."""
    levels = (pixels * 255).round_().to(torch.uint8).permute(0, 2, 3, 1)
    arrived = on_its_way(levels)
    return lambda: np.ascontiguousarray(arrived().numpy())


def pixels_of(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return (B, 3, H, W) in [0, 1] on the device, of (B, H, W, 3) uint8."""
    return on_device(torch.from_numpy(images), device).permute(0, 3, 1, 2).float() / 255


def on_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor of the CPU on the device.

    For CUDA, through pinned memory, so that the copy does not wait for what the GPU is doing, and
    the program not for the copy. Other devices are waited for: on Apple's, a copy that is not can
    read memory that has been reused meanwhile (PyTorch's issues 139550 and 189690).
    """
    on_cuda = device.type == "cuda"
    if on_cuda and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=on_cuda)


def on_its_way(values: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return a function that waits for the values and returns them on the CPU.

    From CUDA, they are copied behind what made them, into pinned memory: what is queued after this
    call is not waited for. Of other devices, all that is queued by then is.
    """
    if values.device.type != "cuda":
        return values.cpu
    copy = values.to("cpu", non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()

    def arrived() -> torch.Tensor:
        copied.synchronize()
        return copy

    return arrived


def in_threads(work: Callable[..., Made], *items: Iterable[Any]) -> list[Made]:
    """Return what `work` makes of each image's items, for work that releases Python's lock.

    On few cores, PyTorch's own threads have enough to do, and no others are started.
    """
    threads = torch.get_num_threads()
    if threads < _FEWEST_THREADS:
        return list(map(work, *items))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, *items))


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute matrix products of stimuli in full precision, also with --precision tf32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
