"""How fast photographs become model inputs, by number of workers, beside the usual data loader.

    python benchmarks/decoding.py --imagenet DIR

Ours: decode, Resize(256), CenterCrop(224), uint8 crops to the main process, there to float in
[0, 1]. The usual one: torchvision's ImageFolder with the same transforms and ToTensor in the
workers, which send float32. Both with Pillow, on the same files, in turns. Worker processes are
started anew each time, as a run does, and their start counts. "threads" decode in the main process
between batches, as our default on a CPU does.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, Resize, ToTensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.data.image_set import ImageSet
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.run.batches import as_batch
from bvg.run.settings import keep_freed_memory


def ours(images: ImageSet, batch_size: int, workers: int) -> int:
    """Return how many images were decoded into batches."""
    count = 0
    for decoded in decoded_batches(images, (STUDY,), 0, batch_size, workers, False):
        batch = as_batch(images, decoded.views[0], decoded.indices, torch.device("cpu"), 0)
        count += len(batch.pixels)
    return count


def usual(images: ImageSet, batch_size: int, workers: int) -> int:
    """Return how many images torchvision's data set and PyTorch's loader gave."""
    transform = Compose([Resize(256), CenterCrop(224), ToTensor()])
    loader = DataLoader(ImageFolder(images.root, transform), batch_size, num_workers=workers)
    return sum(len(batch) for batch, _ in loader)


def rate(work: Callable[[], int]) -> float:
    """Return images per second."""
    begin = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - begin)


def compare() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imagenet", required=True, help="at most some hundred images")
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    keep_freed_memory()
    images = imagenet_val(arguments.imagenet, imagenet_classes(), partial=True)
    ours(images, arguments.batch_size, 0)  # the files into the system's cache
    print(f"{len(images)} images, {os.cpu_count()} cores; images/s, median of {arguments.repeats}")
    print(f"{'workers':>12} {'ours':>8} {'usual':>8} {'ratio':>6}")
    for workers in arguments.workers:
        pairs = [
            [rate(partial(work, images, arguments.batch_size, workers)) for work in (ours, usual)]
            for _ in range(arguments.repeats)
        ]
        mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        name = f"{os.cpu_count()} threads" if workers == 0 else str(workers)
        print(f"{name:>12} {mine:8.0f} {theirs:8.0f} {mine / theirs:6.2f}", flush=True)


if __name__ == "__main__":
    compare()
