"""Batches: decoded images → the input of stimuli, and answers → rows of the predictions."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bvg.data.image_set import ImageSet
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError
from bvg.files import make_folder, written_atomically
from bvg.predictions.table import LABEL_PROBABILITY
from bvg.progress import Meter
from bvg.run.settings import Settings
from bvg.stimuli.batch import CLEAN, Batch, Columns, Stimuli, on_device, on_its_way, with_levels

Rows = dict[str, np.ndarray]  # columns of the predictions, by name
# For each condition, in order: its name and the decision's columns, tensors of (B, …).
Answers = list[tuple[str, dict[str, torch.Tensor]]]
Example = dict[str, np.ndarray]  # by condition, one image as (H, W, 3) float32 in [0, 1]


def as_batch(
    images: ImageSet, pixels: torch.Tensor, indices: torch.Tensor, device: torch.device, seed: int
) -> Batch:
    """Return (B, H, W, 3) uint8 pixels as a batch on the device.

    indices: (B,) positions in the image set; frames of one file have the same.
    """
    # The bytes of (B, H, W, 3) are those of (B, 3, H, W) in channels_last: nothing is moved.
    moved = on_device(pixels, device).permute(0, 3, 1, 2)
    names = tuple(images.names[i] for i in indices)
    labels = on_device(torch.from_numpy(images.labels[indices.numpy()]), device)
    # In place, which takes a quarter of the time.
    return with_levels(Batch(moved.float().div_(255), names, labels, seed), pixels.numpy())


def condition_of(images: ImageSet, index: int, stimulus: str) -> str:
    """Return the full condition: the file's, the stimulus's, or `<file's>/<stimulus's>`."""
    if not images.conditions:
        return stimulus
    of_file = images.conditions[index]
    return of_file if stimulus == CLEAN else f"{of_file}/{stimulus}"


class Returning:
    """A batch's answers on their way from the device.

    Asked for later, they have arrived, even if the device is busy with the next batch by then.
    """

    def __init__(self, answers: Answers) -> None:
        self.stimuli = [stimulus for stimulus, _ in answers]
        self._columns = {
            name: on_its_way(torch.stack([columns[name] for _, columns in answers], dim=1))
            for name in answers[0][1]
        }

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns, (B, stimuli, …) by name, once they are here."""
        return {name: arrived().numpy() for name, arrived in self._columns.items()}


def as_rows(images: ImageSet, indices: np.ndarray, frames: np.ndarray, answers: Returning) -> Rows:
    """Return a batch's answers as rows, ordered by image, then condition.

    indices, frames: (B,) position in the set, and number of frames, of each file. Where files hold
    several frames, an image's `answers` are its frames' one after the other, and its
    probabilities are their means.
    """
    count = len(answers.stimuli)
    names = [images.names[i] for i in indices]
    conditions = [
        condition_of(images, i, stimulus) for i in indices for stimulus in answers.stimuli
    ]
    rows: Rows = {
        "image": np.repeat(np.array(names, dtype=object), count),
        "condition": np.array(conditions, dtype=object),
        "label": np.repeat(images.labels[indices].astype(np.int16), count),
    }
    for name, values in images.columns.items():
        rows[name] = np.repeat(values[indices].astype(np.int16), count)
    for name, stacked in answers.columns().items():
        if images.has_sequences:
            stacked = _by_file(name, stacked, frames)
        rows[name] = stacked.reshape(len(indices) * count, *stacked.shape[2:])
    if images.has_sequences:
        rows["frames"] = np.repeat(frames.astype(np.int16), count)
    return rows


def _by_file(name: str, values: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return (files, conditions, F * K) answers, or (files, conditions) means, from all frames'."""
    parts = np.split(values, np.cumsum(frames)[:-1])
    if name in ("confidence", LABEL_PROBABILITY):
        return np.stack([part.mean(axis=0) for part in parts])
    if name != "answers":
        raise ValueError(f"the column {name} is not defined for files of several frames")
    flat = [part.swapaxes(0, 1).reshape(part.shape[1], -1) for part in parts]
    widest = max(row.shape[-1] for row in flat)
    return np.stack([_padded(row, widest) for row in flat])


def _padded(answers: np.ndarray, width: int) -> np.ndarray:
    """Return (N, K) answers followed by -1, (N, width)."""
    return np.pad(answers, ((0, 0), (0, width - answers.shape[1])), constant_values=-1)


def concatenated(parts: list[Rows], names: list[str]) -> Rows:
    """Return several sets of rows as one; if there are none, empty columns of these names."""
    if not parts:
        return {
            name: np.empty((0, 1) if name == "answers" else 0, dtype=np.int16) for name in names
        }
    widest = max(rows["answers"].shape[1] for rows in parts)
    parts = [{**rows, "answers": _padded(rows["answers"], widest)} for rows in parts]
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}


@torch.no_grad()
def check_stimuli(stimuli: Stimuli, view: Preprocessing, device: torch.device) -> Columns:
    """Return the columns that stimuli add to the predictions, found with one grey image.

    Stimuli that cannot be made from images of this size fail here, before any long work.
    """
    grey = torch.full((1, 3, view.crop, view.crop), 0.5, device=device)
    label = torch.zeros(1, dtype=torch.int64, device=device)
    _, _, *columns = next(iter(stimuli(Batch(grey, ("grey",), label, 0))))
    return columns[0] if columns else {}


def example_of(
    images: ImageSet, view: Preprocessing, stimuli: Stimuli, settings: Settings
) -> Example:
    """Return the first image that can be decoded, under every condition."""
    settings = replace(settings, skip_bad_images=True)
    for _, frames in _one_by_one(images, view, stimuli, settings):
        return frames[0]
    return {}


def save_stimuli(
    folder: Path,
    images: ImageSet,
    view: Preprocessing,
    stimuli: Stimuli,
    settings: Settings,
) -> int:
    """Write `folder`/<condition>/<image>.png for every image and condition; return how many.

    PNG holds 8 bits per channel, so the files are rounded to 1/255; models see float32.
    Raises UserError for an image that cannot be decoded, unless such images are skipped.
    """
    stems = {name: Path(name).with_suffix("").as_posix() for name in images.names}
    if len(set(stems.values())) < len(stems):  # two images that differ in their suffix only
        stems = {name: name for name in stems}
    written = 0
    with Meter("saving stimuli", "img", len(images)) as meter:
        for name, frames in _one_by_one(images, view, stimuli, settings):
            for number, example in enumerate(frames):
                frame = f"/{number:03d}" if images.has_sequences else ""
                for condition, picture in example.items():
                    _save(folder / condition / f"{stems[name]}{frame}.png", picture)
                    written += 1
            meter.add(1)
    return written


def _save(path: Path, picture: np.ndarray) -> None:
    make_folder(path.parent, "--save_stimuli")
    with written_atomically(path, "--save_stimuli") as file:
        Image.fromarray((picture * 255).round().astype(np.uint8)).save(file, "PNG")


@torch.no_grad()
def _one_by_one(
    images: ImageSet, view: Preprocessing, stimuli: Stimuli, settings: Settings
) -> Iterator[tuple[str, list[Example]]]:
    """Yield each image's name and its stimuli, an Example per frame."""
    for decoded in decoded_batches(images, (view,), 0, 1, 0, pin_memory=False):
        for index, reason in decoded.failures:
            if not settings.skip_bad_images:
                raise UserError(
                    f"the image {images.path(index)} cannot be decoded ({reason}): replace it, or "
                    "skip such images with --skip_bad_images"
                )
        if not len(decoded.indices):
            continue
        index = int(decoded.indices[0])
        positions = decoded.indices.repeat_interleave(decoded.frames)
        batch = as_batch(images, decoded.views[0], positions, settings.device, settings.seed)
        frames: list[Example] = [{} for _ in positions]
        for condition, x, *_ in stimuli(batch):
            for example, stimulus in zip(frames, x, strict=True):
                picture = stimulus.permute(1, 2, 0).float().cpu().numpy().copy()
                example[condition_of(images, index, condition)] = picture
        yield batch.names[0], frames
