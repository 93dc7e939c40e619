"""An ordered, labelled list of image files: the images of a benchmark."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bvg.data.folders import (
    UNUSED,
    check_copies,
    image_files,
    in_class_folders,
    kinds_in_words,
    unused_note,
)
from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.errors import UserError

Reader = Callable[[Path], list[Image.Image]]
RESTRICTED = "restricted_to"  # the note that lists the classes among which models choose
_TELLING = 1_000  # bytes; smaller files are flat pictures, which may be alike in any condition
SAME_FILES = "conditions_with_same_files"  # the note that lists pairs of them
MOST_SIZES = 100_000  # files whose size is part of a fingerprint: on a network drive 100 s


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order.

    root: the folder that `files` are relative to.
    files: one path per image.
    names: one identity per image, which does not depend on where or how the set is stored.
    labels: (N,) int64, indices into `classes`.
    classes: the names that labels, and the models' answers, refer to.
    columns: further labels of each image, (N,) integers by name.
    notes: facts about the set for the record (for example that it is partial).
    conditions: the condition that each file shows; empty if the stimuli make the conditions. An
        image has the same name in the files of all conditions.
    reader: returns the frames of a file, where they are not read as an image file's; its paths may
        then lead into a file, such as <Parquet file>/<row>.
    frames: the usual number of frames per file; more than one where files hold sequences.
    view: the preprocessing of the files.
    photographs: whether they are ImageNet's own, on which a model's input can be checked.

    Bytes of names that are not UTF-8 are escaped, since predictions are stored as UTF-8.
    """

    root: Path
    files: Sequence[str]
    names: Sequence[str]
    labels: np.ndarray
    classes: tuple[str, ...]
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    conditions: Sequence[str] = ()
    reader: Reader | None = None
    frames: int = 1
    view: Preprocessing = STUDY
    photographs: bool = False

    def __post_init__(self) -> None:
        """Escape bytes of names that are not UTF-8; raises UserError if two names become one."""
        if not isinstance(self.names, (tuple, list)) or "".join(self.names).isascii():
            return
        names = tuple(_as_bytes(name).decode("utf-8", "backslashreplace") for name in self.names)
        if len(set(names)) < len(set(self.names)):
            raise UserError(
                f"two files in {self.root} have names that are not UTF-8 and cannot be told apart "
                "when these bytes are written as escapes: rename one of them"
            )
        object.__setattr__(self, "names", names)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    @property
    def has_sequences(self) -> bool:
        """Return whether files hold sequences of frames, which have a row each."""
        return self.frames > 1

    def path(self, index: int) -> Path:
        """Return the file of one image."""
        return self.root / self.files[index]

    def described(self, index: int) -> str:
        """Return an image's name, preceded by the condition if its file shows one."""
        condition = f"{self.conditions[index]}/" if self.conditions else ""
        return condition + self.names[index]

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
    def sizes(self) -> dict[int, int | str]:
        """Return the size of each image's file (see `_size`), by the image's position.

        Of sets of more than MOST_SIZES files, those of evenly spaced ones only.
        """
        step = max(1, -(-len(self) // MOST_SIZES))
        return {index: _size(self.path(index)) for index in range(0, len(self), step)}

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of every image's name, size in bytes, label and columns, in order.

        The files are not read, because hashing 7 GB would take longer than some runs.
        """
        digest = hashlib.sha256(_as_bytes("\0".join(self.classes)))
        columns = [self.labels, *self.columns.values()]
        for index, name in enumerate(self.names):
            values = [int(column[index]) for column in columns]
            size = self.sizes.get(index, "")
            condition = f"{self.conditions[index]}\0" if self.conditions else ""
            digest.update(f"{condition}{name}\0{size}\0{values}\n".encode())
        return digest.hexdigest()


def images_of_classes(
    folder: Path, classes: Iterable[str], folder_of: dict[str, str] | None = None
) -> ImageSet:
    """Return the images in the class folders under `folder`, with a note that counts unused files.

    Order, names, and folder_of: see `in_class_folders`. Raises UserError for copies of files.
    """
    classes = tuple(classes)
    files, labels, names, unused = in_class_folders(folder, classes, folder_of)
    check_copies(folder, files)
    notes = unused_note(unused)
    return ImageSet(folder, tuple(files), tuple(names), labels, classes, notes=notes)


def _as_bytes(name: str) -> bytes:
    """Return a name in UTF-8; a file name that is not UTF-8 keeps its original bytes."""
    return name.encode("utf-8", "surrogateescape")


def _size(path: Path) -> int | str:
    """Return a file's size in bytes, or the number of images in a folder of frames.

    For an image in a file, such as <Parquet file>/<row>, that of the file.
    """
    try:
        return len(image_files(path)) if path.is_dir() else os.stat(path).st_size
    except (OSError, UserError):  # such as a broken link; decoding it will report the error
        return os.stat(path.parent).st_size if path.parent.is_file() else "unreadable"


def class_balanced(images: ImageSet, limit: int, seed: int) -> ImageSet:
    """Return `limit` images per condition, with classes as equally represented as possible.

    They keep their order. The choice is a pure function of (seed, image names): it is the same on
    every machine, a larger limit contains a smaller one, and conditions that show the same images
    keep the same ones.
    """
    of_condition: dict[str, list[int]] = {}
    for index in range(len(images)):
        condition = images.conditions[index] if images.conditions else ""
        of_condition.setdefault(condition, []).append(index)
    if limit >= max(map(len, of_condition.values()), default=0):
        return images
    order = {
        name: hashlib.blake2b(_as_bytes(f"{seed}\0{name}"), digest_size=16).digest()
        for name in {*images.names, *images.classes}
    }
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


def found_in(images: ImageSet) -> tuple[int, int]:
    """Return the numbers of images and of classes; raises UserError when there is no image."""
    if not len(images):
        unused = unused_sentence(images)
        raise UserError(
            f"{images.root} has class folders, but no readable image in them"
            f"{f' ({unused})' if unused else ''}: give another folder, or convert the images"
        )
    return len(images), len(np.unique(images.labels))


def check_counts(
    images: ImageSet, expected: tuple[int, int], partial: bool, balanced: bool = False
) -> None:
    """Raise UserError unless there are as many (images, classes) as expected.

    balanced: and as many images of each class. If `partial`, other counts are allowed and added to
    the notes.
    """
    found = found_in(images)
    if found == expected and not (balanced and _unevenly_labelled(images)):
        return
    if not partial:
        if found == expected:
            raise UserError(
                f"{images.root} holds {_unevenly_labelled(images)} images of a class: some images "
                "are in the folder of another class; sort them again, or unpack the data set "
                "again, or allow other images with --partial (recorded in the result)"
            )
        raise UserError(
            f"{images.root} holds {found[0]:,} images of {found[1]:,} classes, not "
            f"{expected[0]:,} of {expected[1]:,}: give all images, or allow a subset with "
            "--partial (recorded in the result)"
        )
    images.notes["partial"] = {
        "images": found[0],
        "classes": found[1],
        "expected_images": expected[0],
        "expected_classes": expected[1],
    }


def _unevenly_labelled(images: ImageSet) -> str:
    """Return the range of numbers of images per class; empty if they are the same."""
    counts = np.unique(images.labels, return_counts=True)[1]
    return f"{counts.min()} to {counts.max()}" if counts.min() < counts.max() else ""


def unused_sentence(images: ImageSet) -> str:
    """Return a sentence about unused files among the images, or an empty string."""
    unused = images.notes.get(UNUSED)
    return f"unused files in {images.root}: {kinds_in_words(unused)}" if unused else ""


class Crossed(Sequence[str]):
    """The strings outer[i] + inner[j], i-major, built on access.

    The 4.75 million paths of ImageNet-C would take half a gigabyte in every worker process.
    """

    def __init__(self, outer: Sequence[str], inner: Sequence[str]) -> None:
        self.outer = outer
        self.inner = inner

    def __len__(self) -> int:
        """Return how many strings there are."""
        return len(self.outer) * len(self.inner)

    def __getitem__(self, index):
        """Return one string, or a tuple of them for a slice."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        outer, inner = divmod(int(index) % len(self), len(self.inner))
        return self.outer[outer] + self.inner[inner]


def crossed(base: ImageSet, folders: dict[str, str]) -> ImageSet:
    """Return every image of `base` under every condition, condition after condition.

    folders: the folder of each condition, relative to `base.root`, which contains `base.files`.
    An image has the same name under all conditions. Warns of conditions with the same files.
    """
    count = len(folders)
    sample = [base.files[k] for k in sampled(len(base))]
    base.notes.update(
        same_files(
            base.root,
            {name: [f"{folder}/{file}" for file in sample] for name, folder in folders.items()},
        )
    )
    return replace(
        base,
        files=Crossed([f"{folder}/" for folder in folders.values()], base.files),
        names=Crossed([""] * count, base.names),
        labels=np.tile(base.labels, count),
        columns={name: np.tile(column, count) for name, column in base.columns.items()},
        conditions=Crossed(list(folders), [""] * len(base)),
    )


def by_condition(
    root: Path, parts: dict[str, ImageSet], folders: dict[str, str], classes: tuple[str, ...]
) -> ImageSet:
    """Return the images of several conditions as one set, with the notes of each.

    parts: by condition. folders: where the files of each lie below `root`. Warns of conditions with
    the same files.
    """
    sample = {
        name: [f"{folders[name]}/{part.files[k]}" for k in sampled(len(part))]
        for name, part in parts.items()
    }
    notes = {name: part.notes for name, part in parts.items() if part.notes}
    return ImageSet(
        root,
        tuple(f"{folders[name]}/{file}" for name, part in parts.items() for file in part.files),
        tuple(image for part in parts.values() for image in part.names),
        np.concatenate([part.labels for part in parts.values()]),
        classes,
        notes=notes | same_files(root, sample),
        conditions=tuple(name for name, part in parts.items() for _ in part.files),
    )


def sampled(count: int) -> list[int]:
    """Return the first, the middle and the last of `count` positions."""
    return sorted({0, count // 2, count - 1}) if count else []


def _last_frame(path: Path) -> Path:
    """Return the last image of a folder of frames, whose first one may be the same; else `path`."""
    return path / (image_files(path) or [""])[-1] if path.is_dir() else path


def same_files(root: Path, sample: dict[str, list[str]]) -> dict[str, object]:
    """Return the note on conditions whose sampled files are equal, and print a warning of them.

    sample: some files of each condition, relative to `root`. Conditions whose folders are links to
    one another, or copies, would count several times.
    """
    same = []
    first: dict[tuple[str, ...], str] = {}
    for name, files in sample.items():
        paths = [_last_frame(root / file) for file in files]
        if paths and all(path.is_file() and path.stat().st_size >= _TELLING for path in paths):
            content = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
            if (other := first.setdefault(content, name)) != name:
                same.append([other, name])
    if not same:
        return {}
    print(
        f"warning: {root}: {len(same)} condition(s) have the same files as another, such as "
        f"{same[0][0]} and {same[0][1]}: their folders are copies or links, so means over "
        "conditions are wrong; unpack the data set again",
        file=sys.stderr,
        flush=True,
    )
    return {SAME_FILES: same}
