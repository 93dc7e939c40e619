"""An ordered, labelled list of image files: what a benchmark looks at."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from basics.errors import UserError
from images.preprocessing import STUDY, Preprocessing

Reader = Callable[[Path], list[Image.Image]]
RESTRICTED = "restricted_to"  # the note that lists the classes among which a model is to answer
MOST_SIZES = 100_000  # files whose size a fingerprint asks for: on a network drive 100 s

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order.

    root: the folder that `files` are relative to.
    files: one path per image.
    names: one identity per image, which does not depend on where or how the set is stored.
    labels: (N,) int64, indices into `classes`.
    classes: the names that labels, and the models' answers, refer to.
    columns: what else the benchmark knows of each image, (N,) integers by name.
    notes: what the result must say about the set (for example that it is partial).
    conditions: the condition that each file shows; empty where the stimuli make the conditions.
        Two files may be one image (have one name) under two conditions.
    reader: returns the frames of a file that holds several; None for one image per file.
    frames: how many frames a file holds, as a rule.
    view: how a file becomes the crop that models see.
    """

    root: Path
    files: Sequence[str]
    names: Sequence[str]
    labels: np.ndarray
    classes: tuple[str, ...]
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)
    conditions: Sequence[str] = ()
    reader: Reader | None = None
    frames: int = 1
    view: Preprocessing = STUDY

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def path(self, index: int) -> Path:
        """Return the file of one image."""
        return self.root / self.files[index]

    def described(self, index: int) -> str:
        """Return an image's name, with the condition where its file shows one."""
        own = f"{self.conditions[index]}/" if self.conditions else ""
        return own + self.names[index]

    def select(self, indices: np.ndarray) -> "ImageSet":
        """Return the images at `indices`, in that order."""
        return replace(
            self,
            files=tuple(self.files[i] for i in indices),
            names=tuple(self.names[i] for i in indices),
            labels=self.labels[indices],
            columns={name: column[indices] for name, column in self.columns.items()},
            conditions=tuple(self.conditions[i] for i in indices) if self.conditions else (),
        )

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of every image's name, size in bytes, label and columns, in order.

        The bytes themselves are not read: hashing 7 GB would take longer than some runs. Of a set
        of more than MOST_SIZES files, the sizes of evenly spaced ones are asked for.
        """
        digest = hashlib.sha256("\0".join(self.classes).encode())
        columns = [self.labels, *self.columns.values()]
        step = -(-len(self) // MOST_SIZES)
        for index, name in enumerate(self.names):
            values = [int(column[index]) for column in columns]
            size = _size(self.path(index)) if index % step == 0 else ""
            condition = f"{self.conditions[index]}\0" if self.conditions else ""
            digest.update(f"{condition}{name}\0{size}\0{values}\n".encode())
        return digest.hexdigest()


def _size(path: Path) -> int:
    """Return a file's size in bytes, or how many files a folder (of frames) holds."""
    return len(image_files(path)) if path.is_dir() else os.stat(path).st_size


def class_balanced(images: ImageSet, limit: int, seed: int) -> ImageSet:
    """Return `limit` images per condition, the classes as equally often as they allow.

    They stay in the original order. The choice is a pure function of (seed, image names), so it is
    the same on every machine, a larger limit contains a smaller one, and conditions that hold the
    same images keep the same ones.
    """
    of_condition: dict[str, list[int]] = {}
    for index in range(len(images)):
        of_condition.setdefault(images.conditions[index] if images.conditions else "", []).append(
            index
        )
    if limit >= max(map(len, of_condition.values()), default=0):
        return images
    order = {name: _order(seed, name) for name in {*images.names, *images.classes}}
    chosen: list[int] = []
    for candidates in of_condition.values():
        chosen += _balanced(images, candidates, limit, order)
    return images.select(np.array(sorted(chosen)))


def _balanced(
    images: ImageSet, candidates: list[int], limit: int, order: dict[str, bytes]
) -> list[int]:
    rank_in_class: dict[int, int] = {}
    keys = {}
    for index in sorted(candidates, key=lambda i: order[images.names[i]]):
        label = int(images.labels[index])
        rank = rank_in_class[label] = rank_in_class.get(label, -1) + 1
        keys[index] = (rank, order[images.classes[label]])
    return sorted(keys, key=lambda index: keys[index])[:limit]


def _order(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()


def image_files(folder: Path) -> list[str]:
    """Return the names of the image files directly in `folder`, sorted; hidden ones left out."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.startswith(".")
        )


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders directly in `folder`, sorted; hidden ones left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def existing_folder(path: str | Path, what: str, flag: str) -> Path:
    """Return `path` as a Path; raises UserError when it is not a folder."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{what} {folder} {problem}: give the right one with {flag}")
    return folder


def in_class_folders(folder: Path, classes: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """Return the files `<class>/<file>` under `folder` and their labels.

    Labels are positions in `classes`; classes without a folder simply have no image. Order:
    by class, then by file name.
    """
    files: list[str] = []
    labels: list[int] = []
    present = set(subfolders(folder))
    for label, name in enumerate(classes):
        if name in present:
            found = image_files(folder / name)
            files += [f"{name}/{file}" for file in found]
            labels += [label] * len(found)
    return files, np.array(labels, dtype=np.int64)
