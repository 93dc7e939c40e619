"""Training images: their order and their augmentation are keyed by (seed, epoch, image).

Neither the number of workers or processes nor a restart changes what the network sees.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, RandomHorizontalFlip, RandomResizedCrop

from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import UNDECODABLE, decode
from bvg.errors import UserError, reason_of
from bvg.stimuli.randomness import keyed_generator
from bvg.training.processes import ENDING

Key = tuple[int, int]  # epoch, index of the image


class Example(NamedTuple):
    """An augmented image, (size, size, 3) uint8, and its label; or why it cannot be decoded."""

    pixels: torch.Tensor
    label: int
    failure: str = ""


class TrainingImages(Dataset):
    """The images of one or several sets, one after the other, randomly cropped and flipped.

    sets: by name, which is part of the key. size: side of the crops in pixels. least_area: of the
    crops, relative to the image (RandomResizedCrop).
    """

    def __init__(
        self, sets: Mapping[str, ImageSet], seed: int, size: int, least_area: float
    ) -> None:
        self.roots = {name: images.root for name, images in sets.items()}
        # One array instead of millions of strings, which every worker would copy sooner or later.
        self.files = np.array(
            [
                os.fsencode(f"{name}/{file}")
                for name, images in sets.items()
                for file in images.files
            ]
        )
        self.labels = np.concatenate([images.labels for images in sets.values()])
        self.seed = seed
        crop = RandomResizedCrop(size, scale=(least_area, 1.0))
        self.augment = Compose([crop, RandomHorizontalFlip()])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, key: Key) -> Example:
        """Return an image as it is augmented in an epoch."""
        epoch, index = key
        file = os.fsdecode(self.files[index])
        name, _, inner = file.partition("/")
        path = self.roots[name] / inner
        try:
            image = decode(path)
        except UNDECODABLE as error:
            return Example(torch.empty(0), -1, f"{path} cannot be decoded ({reason_of(error)})")
        generator = keyed_generator(self.seed, f"augmentation of epoch {epoch}", file)
        with torch.random.fork_rng(devices=[]):  # torchvision's transforms have no generator
            torch.default_generator.manual_seed(generator.initial_seed())
            pixels = np.array(self.augment(image))
        return Example(torch.from_numpy(pixels), int(self.labels[index]))


def order_of(images: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the images in an epoch, a permutation of their indices, (images,)."""
    generator = keyed_generator(seed, "order", str(epoch))
    return torch.randperm(images, generator=generator).numpy()


class Share(NamedTuple):
    """Which part of each batch this process works on, and how.

    batch: images per update, of all processes. chunk: images per forward pass.
    """

    rank: int
    processes: int
    batch: int
    chunk: int

    @property
    def chunks(self) -> int:
        """Return the number of forward passes per update in this process."""
        return self.batch // self.processes // self.chunk

    def chunks_of(self, step: int) -> Iterator[tuple[int, int]]:
        """Yield the positions, first and after the last, of the process's chunks of a batch."""
        own = self.batch // self.processes
        first = step * self.batch + self.rank * own
        for start in range(first, first + own, self.chunk):
            yield start, start + self.chunk


def batches(
    images: TrainingImages, share: Share, epoch: int, start: int, workers: int, pin_memory: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the process's chunks of an epoch: (B, size, size, 3) uint8 and (B,) labels.

    start: the first batch of the epoch (others were done before a restart). The last, incomplete
    batch is left out.
    Raises UserError for an image that cannot be decoded.
    """
    order = order_of(len(images), images.seed, epoch)
    steps = range(start, len(images) // share.batch)
    keys = [
        [(epoch, int(index)) for index in order[slice(*chunk)]]
        for step in steps
        for chunk in share.chunks_of(step)
    ]
    loader = DataLoader(
        images,
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=_stacked,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_parent,
    )
    for pixels, labels, failure in loader:
        if failure:
            raise UserError(f"the image {failure}: replace or remove it")
        yield pixels, labels


def _leave_signals_to_parent(worker: int) -> None:
    """Let a worker go on when a scheduler signals all processes: the parent saves, and ends it."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def _stacked(examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor, str]:
    failure = next((example.failure for example in examples if example.failure), "")
    if failure:
        return torch.empty(0), torch.empty(0), failure
    labels = torch.tensor([example.label for example in examples])
    return torch.stack([example.pixels for example in examples]), labels, ""
