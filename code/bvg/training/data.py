"""Training images: their order and their augmentation are keyed by (seed, epoch, image).

Neither the number of workers or processes nor a restart changes what the network sees.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
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
MOST_BAD = 100  # images in a row that are skipped; where more fail, it is rather the disk


class Example(NamedTuple):
    """An augmented image, (size, size, 3) uint8, and its label.

    failures: why images cannot be decoded for which this one is shown. pixels: None if there is no
    other to show.
    """

    pixels: torch.Tensor | None
    label: int
    failures: list[str]


class TrainingImages(Dataset):
    """The images of one or several sets, one after the other, randomly cropped and flipped.

    sets: by name, which is part of the key. size: side of the crops in pixels. least_area: of the
    crops, relative to the image (RandomResizedCrop). skip_bad: show the next image in place of one
    that cannot be decoded, up to MOST_BAD in a row.
    """

    def __init__(
        self,
        sets: Mapping[str, ImageSet],
        seed: int,
        size: int,
        least_area: float,
        skip_bad: bool = False,
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
        self.skip_bad = skip_bad
        self.skipped: set[str] = set()
        crop = RandomResizedCrop(size, scale=(least_area, 1.0))
        self.augment = Compose([crop, RandomHorizontalFlip()])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, key: Key) -> Example:
        """Return an image as it is augmented in an epoch."""
        epoch, first = key
        failures: list[str] = []
        for position in range(first, first + (MOST_BAD if self.skip_bad else 1)):
            index = position % len(self)
            try:
                return Example(self._augmented(epoch, index), int(self.labels[index]), failures)
            except UNDECODABLE as error:
                failures.append(f"{self._path(index)} cannot be decoded ({reason_of(error)})")
        return Example(None, -1, failures)

    def _path(self, index: int) -> Path:
        name, _, inner = os.fsdecode(self.files[index]).partition("/")
        return self.roots[name] / inner

    def _augmented(self, epoch: int, index: int) -> torch.Tensor:
        image = decode(self._path(index))
        file = self.files[index].decode("utf-8", "backslashreplace")
        generator = keyed_generator(self.seed, f"augmentation of epoch {epoch}", file)
        with torch.random.fork_rng(devices=[]):  # torchvision's transforms have no generator
            torch.default_generator.manual_seed(generator.initial_seed())
            return torch.from_numpy(np.array(self.augment(image)))


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
    Raises UserError for an image that cannot be decoded, unless such images are skipped (each is
    then named once), and for MOST_BAD of them in a row.
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
    for pixels, labels, failures in loader:
        if pixels is None and images.skip_bad:
            raise UserError(
                f"{MOST_BAD} images in a row cannot be decoded, the first is {failures[0]}: check "
                "that the data set is there and whole; the same command resumes"
            )
        if pixels is None:
            raise UserError(
                f"the image {failures[0]}: add --skip_bad_images to the same command, which then "
                "resumes and shows the next image in its place; or repair the data set, and start "
                "again in another folder with --out"
            )
        for failure in sorted({*failures} - images.skipped):
            print(f"skipped: {failure}", file=sys.stderr)
        images.skipped.update(failures)
        yield pixels, labels


def _leave_signals_to_parent(worker: int) -> None:
    """Let a worker go on when a scheduler signals all processes: the parent saves, and ends it."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def _stacked(examples: list[Example]) -> tuple[torch.Tensor | None, torch.Tensor, list[str]]:
    failures = [failure for example in examples for failure in example.failures]
    shown = [example.pixels for example in examples if example.pixels is not None]
    labels = torch.tensor([example.label for example in examples])
    return torch.stack(shown) if len(shown) == len(examples) else None, labels, failures
