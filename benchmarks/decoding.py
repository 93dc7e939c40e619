"""How fast photographs become model inputs, beside the usual data loader.

Here: decode, Resize(256), CenterCrop(224), uint8 crops to the main process, there to float in
[0, 1]. The usual one: a data set as torchvision's ImageFolder is, with the same transforms and
ToTensor in the workers, which send float32. Both with Pillow, on the same files. Worker processes
are started anew each time, as a run does, and their start counts. Without workers, ours decodes
with threads of the main process between batches, as is the default on a CPU.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import default_loader
from torchvision.transforms import CenterCrop, Compose, Resize, ToTensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.data.image_set import ImageSet
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.run.batches import as_batch
from inputs import Inputs
from measuring import Cost, in_turns, timed
from table import Row, row

WORKERS = (0, 1, 2)


class Usual(Dataset):
    """The images as a data set of float32 tensors."""

    def __init__(self, images: ImageSet) -> None:
        self.files = [str(images.path(index)) for index in range(len(images))]
        self.transform = Compose([Resize(256), CenterCrop(224), ToTensor()])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(default_loader(self.files[index]))


def ours(images: ImageSet, batch_size: int, workers: int) -> None:
    """Decode the images into batches."""
    for decoded in decoded_batches(images, (STUDY,), 0, batch_size, workers, False):
        as_batch(images, decoded.views[0], decoded.indices, torch.device("cpu"), 0)


def usual(images: ImageSet, batch_size: int, workers: int) -> None:
    """Do the same with PyTorch's loader."""
    for _ in DataLoader(Usual(images), batch_size, num_workers=workers):
        pass


def decoding(inputs: Inputs, workers: tuple[int, ...] = WORKERS) -> Iterator[Row]:
    """Yield the costs of an image by the number of worker processes."""
    images = inputs.images()
    ours(images, inputs.batch_size, 0)  # the files into the system's cache

    def measured(work: Callable[..., None], count: int) -> Cost:
        return timed(lambda: work(images, inputs.batch_size, count)).per(len(images))

    for count in workers:
        sides = {work.__name__: partial(measured, work, count) for work in (ours, usual)}
        costs = in_turns(sides, inputs.turns)
        what = f"decoding, {count} workers" if count else "decoding, threads"
        against = "DataLoader, ToTensor"
        yield row("decoding", what, inputs.name, against, costs["ours"], costs["usual"])
