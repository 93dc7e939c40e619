"""Decoding: each image is read and decoded once per pass, by workers or threads, as uint8."""

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from bvg.data.crop_cache import Crop, Crops, Writer, cached_crops, stamp
from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import UNDECODABLE, Preprocessing, decode
from bvg.errors import UserError, reason_of

# Pillow's warnings about EXIF data and palettes, which are common in ImageNet and harmless.
warnings.filterwarnings("ignore", module=r"PIL\.")


class Decoded(NamedTuple):
    """A batch of decoded images.

    indices: (B,) positions in the image set.
    frames: (B,) the number of frames in each file; 1 for an image.
    views: for each preprocessing, (frames of all files, H, W, 3) uint8.
    failures: (position, reason) of each image that could not be decoded, which is not in the batch.
    resized: positions of images that were resized although stimuli should be ready to use.
    seconds: time spent reading, decoding and cropping, summed over the images.
    decoded: each file's size and time if it was decoded; None if its crops were on disk.
    """

    indices: torch.Tensor
    frames: torch.Tensor
    views: list[torch.Tensor]
    failures: list[tuple[int, str]]
    resized: list[int]
    seconds: float
    decoded: list[tuple[int, int] | None]

    def split(self, most: int) -> list["Decoded"]:
        """Return the decoded images in parts of at most `most` files, without the failures."""
        parts = []
        ends = self.frames.cumsum(0).tolist()
        for start in range(0, len(self.indices), most):
            files = slice(start, start + most)
            first = ends[start - 1] if start else 0
            rows = slice(first, ends[min(start + most, len(ends)) - 1])
            views = [view[rows] for view in self.views]
            parts.append(Decoded(self.indices[files], self.frames[files], views, [], [], 0.0, []))
        return parts or [self]


class _Image(NamedTuple):
    """A decoded file: for each view, its frames' crops (F, H, W, 3); or the reason of a failure."""

    crops: list[np.ndarray]
    failure: str
    resized: bool
    seconds: float
    decoded: tuple[int, int] | None = None


class _Decoder(Dataset):
    def __init__(
        self,
        images: ImageSet,
        views: tuple[Preprocessing, ...],
        threads: int,
        cached: Sequence[Crops],
    ) -> None:
        self.images = images
        self.views = views
        self.threads = threads
        self.cached = cached

    def __getitems__(self, indices: list[int]) -> Decoded:
        # Crops on disk are read without threads, which would cost more than they save.
        found = [(index, self._on_disk(index)) for index in indices] if self.cached else []
        images = {index: image for index, image in found if image}
        lacking = [index for index in indices if index not in images]
        if self.threads > 1 and lacking:  # Pillow releases the GIL while it decodes and resizes
            with ThreadPoolExecutor(self.threads) as pool:
                images |= zip(lacking, pool.map(self._decoded, lacking), strict=True)
        else:
            images |= {index: self._decoded(index) for index in lacking}
        done = [images[index] for index in indices]
        pairs = list(zip(indices, done, strict=True))
        good = [image.crops for image in done if not image.failure]
        stacked = [
            torch.from_numpy(np.concatenate([crops[number] for crops in good]))
            if good
            else torch.empty(0, dtype=torch.uint8)
            for number in range(len(self.views))
        ]
        return Decoded(
            indices=torch.tensor([i for i, image in pairs if not image.failure], dtype=torch.int64),
            frames=torch.tensor([len(crops[0]) for crops in good], dtype=torch.int64),
            views=stacked,
            failures=[(index, image.failure) for index, image in pairs if image.failure],
            resized=[index for index, image in pairs if image.resized],
            seconds=sum(image.seconds for image in done),
            decoded=[image.decoded for image in done if not image.failure],
        )

    def _on_disk(self, index: int) -> _Image | None:
        """Return the file's crops on disk, if all views have one."""
        begin = time.perf_counter()
        found = []
        for crops in self.cached:
            crop = crops.get(self.images.files[index])
            if crop is None:
                return None
            found.append(crop)
        resized = any(crop.resized for crop in found)
        pixels = [crop.pixels[None] for crop in found]
        return _Image(pixels, "", resized, time.perf_counter() - begin)

    def _decoded(self, index: int) -> _Image:
        begin = time.perf_counter()
        # Before the file is read: if it is replaced meanwhile, its crop will not be used again.
        state = stamp(self.images.path(index)) if self.cached else None
        try:
            read = self.images.reader or _single
            frames = read(self.images.path(index))
        except (*UNDECODABLE, UserError) as error:
            return _Image([], _reason(error), False, time.perf_counter() - begin)
        crops = [np.stack([view(frame) for frame in frames]) for view in self.views]
        resized = any(
            view.keep_ready and not view.is_ready(frame) for view in self.views for frame in frames
        )
        return _Image(crops, "", resized, time.perf_counter() - begin, state)


def _single(path: Path) -> list[Image.Image]:
    return [decode(path)]


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        link = error.filename and Path(error.filename).is_symlink()
        return "it is a link to a file that does not exist" if link else "it no longer exists"
    if isinstance(error, PermissionError):
        return "permission is denied"
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
    cache: Path | None = None,
) -> Iterator[Decoded]:
    """Yield the images from position `start` on, in order, in batches of `batch_size`.

    With workers, at most 2 batches per worker are decoded ahead. Without workers, each batch is
    decoded on request, by one thread per core, which is best if the model runs on the same cores.
    cache: a folder in which crops are kept, and looked for (see crop_cache); files that need a
    reader of their own are always decoded.
    Raises UserError if a worker dies (usually for lack of memory).
    """
    threads = 1 if num_workers else os.cpu_count() or 1
    with cached_crops(cache, images, views) as on_disk:
        loader = DataLoader(
            _Decoder(images, views, threads, [crops for crops, _ in on_disk]),
            batch_size=batch_size,
            sampler=range(start, len(images)),
            num_workers=num_workers,
            collate_fn=_identity,
            pin_memory=pin_memory,
            prefetch_factor=2 if num_workers else None,
        )
        try:
            for batch in loader:
                for (_, writer), view in zip(on_disk, batch.views, strict=False):
                    if writer:
                        _keep(writer, images, batch, view.numpy())
                yield batch
        except RuntimeError as error:
            if "worker" not in str(error):
                raise
            raise UserError(
                f"a worker process that decodes images died ({reason_of(error)}): re-run with "
                "fewer --num_workers, which need less memory"
            ) from error


def _keep(writer: Writer, images: ImageSet, batch: Decoded, pixels: np.ndarray) -> None:
    """Add the crops that were decoded to those on disk."""
    resized = set(batch.resized)
    for index, state, crop in zip(batch.indices.tolist(), batch.decoded, pixels, strict=True):
        if state:
            writer.add(images.files[index], state, Crop(crop, index in resized))


def _identity(batch: Any) -> Any:
    return batch
