"""Decoding: each image is read and decoded once per pass, in background workers, as uint8."""

import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from images.image_set import ImageSet
from images.preprocessing import Preprocessing

MIN_SIDE = 8  # pixels; smaller files are placeholders, not photographs


class Decoded(NamedTuple):
    """A batch of decoded images.

    indices: (B,) positions in the image set.
    views: for each preprocessing, (B, H, W, 3) uint8.
    failures: (position, reason) of each image that could not be decoded; not in the batch.
    resized: positions of images that were resized although the stimuli should be ready to use.
    seconds: time spent reading, decoding and cropping, summed over the batch.
    """

    indices: torch.Tensor
    views: list[torch.Tensor]
    failures: list[tuple[int, str]]
    resized: list[int]
    seconds: float


class _Decoder(Dataset):
    def __init__(self, images: ImageSet, views: tuple[Preprocessing, ...]) -> None:
        self.images = images
        self.views = views

    def __getitems__(self, indices: list[int]) -> Decoded:
        begin = time.perf_counter()
        crops: list[list[np.ndarray]] = []
        good: list[int] = []
        resized: list[int] = []
        failures: list[tuple[int, str]] = []
        for index in indices:
            try:
                image = decode(self.images.path(index))
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                failures.append((index, _reason(error)))
                continue
            good.append(index)
            crops.append([view(image) for view in self.views])
            if any(view.keep_ready and not view.is_ready(image) for view in self.views):
                resized.append(index)
        stacked = [
            torch.from_numpy(np.stack(view)) if good else torch.empty(0, dtype=torch.uint8)
            for view in (zip(*crops, strict=True) if good else [()] * len(self.views))
        ]
        seconds = time.perf_counter() - begin
        return Decoded(torch.tensor(good), stacked, failures, resized, seconds)


def decode(path) -> Image.Image:
    """Return the image as RGB; greyscale, CMYK and palette files are converted.

    Raises OSError, ValueError, SyntaxError or DecompressionBombError when it cannot be decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd EXIF data and palettes
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    if min(rgb.size) < MIN_SIDE:
        raise ValueError(f"it is only {rgb.width} x {rgb.height} pixels")
    return rgb


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is no longer there"
    if isinstance(error, PermissionError):
        return "it may not be read (permissions)"
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is not an image"
    return str(error)


def decoded_batches(
    images: ImageSet,
    views: tuple[Preprocessing, ...],
    start: int,
    batch_size: int,
    num_workers: int,
    pin_memory: bool,
) -> Iterator[Decoded]:
    """Yield the images from position `start` on, in order, in batches of `batch_size`.

    At most 2 batches per worker are in flight, whatever the size of the set.
    """
    loader = DataLoader(
        _Decoder(images, views),
        batch_size=batch_size,
        sampler=range(start, len(images)),
        num_workers=num_workers,
        collate_fn=_as_is,
        pin_memory=pin_memory,
        prefetch_factor=2 if num_workers else None,
    )
    yield from loader


def _as_is(batch: Any) -> Any:
    return batch
