"""An ordered, labelled list of image files: the images of a benchmark."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from bvg.data.decoding import image_endings
from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.errors import UserError

Reader = Callable[[Path], list[Image.Image]]
RESTRICTED = "restricted_to"  # the note that lists the classes among which a model is to answer
UNUSED = "unused"  # the note that counts the files that lie among the images but are not read
MOST_SIZES = 100_000  # files whose size a fingerprint asks for: on a network drive 100 s

_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini"}  # file browsers leave it in any folder
# What is counted of the files that are not read, beside their endings.
_DEEPER, _BESIDE = "image in a deeper folder", "image beside the class folders"
_FOLDER = "folder with no images directly in it"
_DANGLING = "link to nothing beside the class folders"


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

    Names that are not UTF-8 get their odd bytes as escapes, since predictions are stored as UTF-8.
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

    def __post_init__(self) -> None:
        """Make the names UTF-8; raises UserError where two would become one."""
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
        digest = hashlib.sha256(_as_bytes("\0".join(self.classes)))
        columns = [self.labels, *self.columns.values()]
        step = -(-len(self) // MOST_SIZES)
        for index, name in enumerate(self.names):
            values = [int(column[index]) for column in columns]
            size = _size(self.path(index)) if index % step == 0 else ""
            condition = f"{self.conditions[index]}\0" if self.conditions else ""
            digest.update(f"{condition}{name}\0{size}\0{values}\n".encode())
        return digest.hexdigest()


def _as_bytes(name: str) -> bytes:
    """Return a name in UTF-8; in a file's, what is not UTF-8 becomes the bytes that it was."""
    return name.encode("utf-8", "surrogateescape")


def _size(path: Path) -> int | str:
    """Return a file's size in bytes, or how many files a folder (of frames) holds."""
    try:
        return len(image_files(path)) if path.is_dir() else os.stat(path).st_size
    except (
        OSError,
        UserError,
    ):  # such as a dangling link, which is reported when the image is to be decoded
        return "unreadable"


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
    return hashlib.blake2b(_as_bytes(f"{seed}\0{name}"), digest_size=16).digest()


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of `folder` except hidden ones; raises UserError if it is unreadable."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be read ({error.strerror}): check its permissions, or "
            f"choose another one"
        ) from error


def image_files(folder: Path) -> list[str]:
    """Return the names of the image files directly in `folder`, sorted, except hidden ones."""
    return sorted(entry.name for entry in visible(folder) if _is_image(entry.name))


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in image_endings()


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders directly in `folder`, sorted, except hidden ones."""
    return sorted(entry.name for entry in visible(folder) if entry.is_dir())


def existing_folder(path: str | Path, what: str, flag: str) -> Path:
    """Return `path` as a Path; raises UserError when it is not a folder."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{what} {folder} {problem}: give the right one with {flag}")
    return folder


def images_of_class(folder: Path, known: Collection[str] = ()) -> tuple[list[str], Counter[str]]:
    """Return the image files of one class's folder, sorted, and counts of what else lies in it.

    Where the folder itself has no image, those are taken that lie in its folder `images` (as in
    Tiny ImageNet) or in a folder of its own name (unpacked twice). Other files are counted by their
    kind: the ending, or that they lie deeper. Hidden ones are not counted, nor what file browsers
    leave behind, nor the names in `known`. Raises UserError when the folder cannot be read.
    """
    found = visible(folder)
    inside = {entry.name for entry in found if entry.is_dir()}
    loose = [entry.name for entry in found if entry.name not in inside]
    files = sorted(filter(_is_image, loose))
    deeper = {name: image_files(folder / name) for name in sorted(inside.difference(known))}
    place = next((name for name in ("images", folder.name) if deeper.get(name)), None)
    if not files and place:
        files = [f"{place}/{file}" for file in deeper.pop(place)]
    rest = [name for name in loose if not _is_image(name)]
    unused = kinds_of(name for name in rest if name not in known)
    unused[_DEEPER] = sum(map(len, deeper.values()))
    unused[_FOLDER] = sum(not names for names in deeper.values())
    return files, +unused


def kinds_of(names: Iterable[str]) -> Counter[str]:
    """Return how many files there are of each kind that are not read; litter is not counted."""
    return Counter(_kind(name) for name in names if name.lower() not in _LITTER)


def _kind(name: str) -> str:
    """Return what a file that is not read is counted as: its ending, if it is one."""
    ending = Path(name).suffix.lower()
    return ending if re.fullmatch(r"\.[a-z0-9]*[a-z][a-z0-9]*", ending) else "other file"


def unused_note(unused: Counter[str]) -> dict[str, object]:
    """Return the note for a result that says how many files were not used, by kind."""
    return {UNUSED: dict(sorted(unused.items()))} if unused else {}


def unused_sentence(images: ImageSet) -> str:
    """Return a sentence on the files among the images that are not used, or nothing."""
    unused = images.notes.get(UNUSED)
    if not isinstance(unused, dict):
        return ""
    return f"unused files in {images.root}: {kinds_in_words(unused)}"


def kinds_in_words(counts: dict[str, int]) -> str:
    """Return counts of files by kind as text."""
    return ", ".join(f"{count:,} x {kind}" for kind, count in counts.items())


class InClassFolders(NamedTuple):
    """Images in class folders.

    files: relative to the folder of the class folders. labels: (N,) int64, positions in the
    classes. names: `<class>/<file>`, wherever in the class's folder a file lies. unused: how many
    files of each kind lie there but are not among them.
    """

    files: list[str]
    labels: np.ndarray
    names: list[str]
    unused: Counter[str]


def in_class_folders(
    folder: Path, classes: Iterable[str], folder_of: dict[str, str] | None = None
) -> InClassFolders:
    """Return the images under `folder` in the order of `classes`, then of file names.

    Classes without a folder simply have no image. folder_of: the folder of each class, where it is
    not called like the class.
    """
    files: list[str] = []
    names: list[str] = []
    labels: list[int] = []
    found = [(entry, entry.is_dir()) for entry in visible(folder)]
    loose = [entry for entry, is_folder in found if not is_folder]
    unused = Counter({_BESIDE: sum(_is_image(entry.name) for entry in loose)})
    unused[_DANGLING] = sum(not (_is_image(e.name) or Path(e).exists()) for e in loose)
    if folder_of is None:
        folder_of = {entry.name: entry.name for entry, is_folder in found if is_folder}
    for label, name in enumerate(classes):
        if name not in folder_of:
            continue
        inner = folder_of[name]
        of_class, rest = images_of_class(folder / inner)
        files += [f"{inner}/{file}" for file in of_class]
        names += [f"{name}/{file.rpartition('/')[2]}" for file in of_class]
        labels += [label] * len(of_class)
        unused += rest
    return InClassFolders(files, np.array(labels, dtype=np.int64), names, +unused)
