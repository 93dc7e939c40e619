"""Random numbers that are keyed by (seed, condition, image name).

Results therefore do not depend on the batch size, the number of workers, the order of the images,
the device, or a restart.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from bvg.stimuli.batch import Batch, on_device


def keyed_generator(seed: int, condition: str, name: str) -> torch.Generator:
    """Return a CPU generator that is a pure function of (seed, condition, name)."""
    key = f"{seed}\0{condition}\0{name}".encode()
    digest = hashlib.blake2b(key, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def keyed_normal(batch: Batch, condition: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return standard normal draws, (B, *shape) float32 on the batch's device.

    They are drawn on the CPU, image by image, so that GPUs get the same numbers.
    """
    return _drawn(batch, condition, torch.randn, shape)


def keyed_draws(batch: Batch, condition: str, draw: Callable[..., torch.Tensor]) -> torch.Tensor:
    """Return draws with the shape of the batch's pixels, (B, C, H, W) on its device.

    draw: torch.randn or torch.rand. Each image has its own generator on the CPU, so that its draws
    depend on (seed, condition, name) only, not on the threads that share the work.
    """
    return _drawn(batch, condition, draw, tuple(batch.pixels.shape[1:]))


def keyed_generators(batch: Batch, condition: str) -> list[torch.Generator]:
    """Return each image's generator, on the CPU."""
    return [keyed_generator(batch.seed, condition, name) for name in batch.names]


def _drawn(
    batch: Batch, condition: str, draw: Callable[..., torch.Tensor], shape: tuple[int, ...]
) -> torch.Tensor:
    """Return draws of a shape for each image, whose generators threads share among them."""
    device = batch.pixels.device
    # Pinned for a GPU, so that copying them waits for nothing.
    draws = torch.empty(len(batch.names), *shape, pin_memory=device.type == "cuda")

    def fill(number: int) -> None:
        generator = keyed_generator(batch.seed, condition, batch.names[number])
        with torch.inference_mode():  # each thread has its own mode
            draw(draws.shape[1:], generator=generator, out=draws[number])

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(fill, range(len(draws))))
    return on_device(draws, device)
