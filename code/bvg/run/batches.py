"""Decoded images as the batches that stimuli are made from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bvg.data.image_set import ImageSet
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError
from bvg.files import make_folder, written_atomically
from bvg.run.progress import Progress
from bvg.run.rows import condition_of
from bvg.stimuli.batch import Batch, Columns, Stimuli

Example = dict[str, np.ndarray]  # by condition, one image as (H, W, 3) float32 in [0, 1]


def as_batch(
    images: ImageSet, pixels: torch.Tensor, indices: torch.Tensor, device: torch.device, seed: int
) -> Batch:
    """Return (B, H, W, 3) uint8 pixels as a batch on the device.

    indices: (B,) the image set's position of each; frames of one file have the same.
    """
    # The bytes of (B, H, W, 3) are those of (B, 3, H, W) in channels_last: nothing is moved.
    on_device = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2)
    names = tuple(images.names[i] for i in indices)
    labels = torch.from_numpy(images.labels[indices.numpy()]).to(device)
    return Batch(on_device.float() / 255, names, labels, seed)


@torch.no_grad()
def check_stimuli(stimuli: Stimuli, view: Preprocessing, device: torch.device) -> Columns:
    """Return the columns that stimuli come with, as the first one made from a grey image has them.

    So stimuli that cannot be made from images of this size say so at once.
    """
    grey = torch.full((1, 3, view.crop, view.crop), 0.5, device=device)
    label = torch.zeros(1, dtype=torch.int64, device=device)
    _, _, *columns = next(iter(stimuli(Batch(grey, ("grey",), label, 0))))
    return columns[0] if columns else {}


def example_of(
    images: ImageSet, view: Preprocessing, stimuli: Stimuli, device: torch.device, seed: int
) -> Example:
    """Return the first image that can be decoded, under every condition."""
    for _, frames in _one_by_one(images, view, stimuli, device, seed):
        return frames[0]
    return {}


def save_stimuli(
    folder: Path,
    images: ImageSet,
    view: Preprocessing,
    stimuli: Stimuli,
    device: torch.device,
    seed: int,
    skip_bad_images: bool = False,
) -> int:
    """Write `folder`/<condition>/<image>.png for every image and condition; return how many.

    PNG holds 8 bits per channel, so the files are rounded to 1/255; models see float32.
    Raises UserError for an image that cannot be decoded, unless such images are to be skipped.
    """
    suffixed = {name: Path(name).with_suffix("").as_posix() for name in images.names}
    if len(set(suffixed.values())) < len(suffixed):  # two images that differ in their suffix only
        suffixed = {name: name for name in suffixed}
    written = 0
    with Progress(len(images), "saving stimuli") as progress:
        for done, (name, frames) in enumerate(
            _one_by_one(images, view, stimuli, device, seed, not skip_bad_images), start=1
        ):
            for number, example in enumerate(frames):
                frame = f"/{number:03d}" if images.reader else ""
                for condition, picture in example.items():
                    _save(folder / condition / f"{suffixed[name]}{frame}.png", picture)
                    written += 1
            progress.update(done)
    return written


def _save(path: Path, picture: np.ndarray) -> None:
    make_folder(path.parent, "--save_stimuli")
    with written_atomically(path, "--save_stimuli") as file:
        Image.fromarray((picture * 255).round().astype(np.uint8)).save(file, "PNG")


@torch.no_grad()
def _one_by_one(
    images: ImageSet,
    view: Preprocessing,
    stimuli: Stimuli,
    device: torch.device,
    seed: int,
    refuse: bool = False,
) -> Iterator[tuple[str, list[Example]]]:
    """Yield each image's name and its stimuli, an Example per frame."""
    for decoded in decoded_batches(images, (view,), 0, 1, 0, pin_memory=False):
        for index, reason in decoded.failures if refuse else ():
            raise UserError(
                f"the image {images.path(index)} cannot be decoded ({reason}): replace it, or "
                "skip such images with --skip_bad_images"
            )
        if not len(decoded.indices):
            continue
        index = int(decoded.indices[0])
        positions = decoded.indices.repeat_interleave(decoded.frames)
        batch = as_batch(images, decoded.views[0], positions, device, seed)
        frames: list[Example] = [{} for _ in positions]
        for made, x, *_ in stimuli(batch):
            for example, stimulus in zip(frames, x, strict=True):
                example[condition_of(images, index, made)] = _picture(stimulus)
        yield batch.names[0], frames


def _picture(x: torch.Tensor) -> np.ndarray:
    return x.permute(1, 2, 0).float().cpu().numpy().copy()
