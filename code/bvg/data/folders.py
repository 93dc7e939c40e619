"""Folders of images: listing class folders, and error messages for wrong layouts."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from filecmp import cmp
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bvg.data.downloads import data_sets
from bvg.data.preprocessing import image_endings
from bvg.errors import UserError, first_few

UNUSED = "unused"  # the note that counts files among the images that are not read
_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini"}  # files that file browsers create
# Folders of operating systems, in lower case: macOS's archives, Windows, Synology, Linux.
_SYSTEM = {"__macosx", "$recycle.bin", "system volume information", "@eadir", "lost+found"}
# How file browsers name copies, in any language: x (1), x (copy), x - Copy (2), x Kopie 2, x_copy.
_COPY = re.compile(
    r"(.+?)(?: \([\w ]+\)| \d+|(?:(?: -)? [^\W\d_]+|_[Cc]opy)(?: ?\(?\d+\)?)?)",
)
# Kinds of unused files, besides their endings.
_DEEPER, _BESIDE = "image in a deeper folder", "image beside the class folders"
_FOLDER = "folder with no images directly in it"
_DANGLING = "link to nothing beside the class folders"


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of `folder` except hidden ones and operating systems' folders.

    Raises UserError if it is unreadable.
    """
    try:
        with os.scandir(folder) as entries:
            return [
                entry
                for entry in entries
                if not entry.name.startswith(".") and entry.name.lower() not in _SYSTEM
            ]
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be read ({error.strerror}): check its permissions, or "
            f"choose another one"
        ) from error


def image_files(folder: Path) -> list[str]:
    """Return the names of the image files directly in `folder`, sorted, except hidden ones."""
    return sorted(entry.name for entry in visible(folder) if _is_image(entry.name))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether the entry is a folder, or a link to one; False for links in a circle."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def same_bytes(one: Path, other: Path) -> bool:
    """Return whether both are files with the same content; False for dangling links."""
    return one.is_file() and other.is_file() and cmp(one, other, shallow=False)


def original_of(file: str) -> str:
    """Return the path without a file browser's mark of a copy, such as ` (1)` or ` - Copy`."""
    path = Path(file)
    marked = _COPY.fullmatch(path.stem)
    return path.with_stem(marked[1]).as_posix() if marked else file


def check_copies(folder: Path, files: Collection[str]) -> None:
    """Raise UserError if a file is marked as a copy of another one in `files` and has its bytes.

    The mark alone proves nothing: browsers and Windows name different images `x (1)`, `x (2)`.
    """
    marked = [file for file in files if " " in file or "_copy" in file.lower()]
    present = {*files} if marked else set()
    for file in marked:
        other = original_of(file)
        if other != file and other in present and same_bytes(folder / other, folder / file):
            raise found_twice(folder, other, file)


def check_stems(folder: Path, files: Iterable[str]) -> None:
    """Raise UserError if two files differ in their endings only, as when images were converted."""
    file_of: dict[str, str] = {}
    for file in files:
        other = file_of.setdefault(file.rpartition(".")[0], file)
        if other != file:
            raise found_twice(folder, other, file)


def check_names(folder: Path, files: Iterable[str], classes: Collection[str]) -> None:
    """Raise UserError for a file whose name has other classes than its folder's, `<class>/<file>`.

    Names without any of the classes may be in any folder. classes: published ones, since names of
    one's own may be in any file's name, such as 1 or a.
    """
    any_class = re.compile(f"(?<![a-z])({'|'.join(map(re.escape, classes))})(?![a-z])")
    for file in files:
        own, _, name = file.partition("/")
        stated = set(any_class.findall(name))
        if stated and own not in stated:
            raise UserError(
                f"{folder / file} is of {min(stated)} by its name, and of {own} by its folder: "
                "unpack or download the data set again, or rename the file"
            )


def found_twice(folder: Path, one: str, other: str) -> UserError:
    """Return the error for two files with the same image."""
    return UserError(f"{folder} contains an image twice, as {one} and {other}: remove one of them")


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in image_endings()


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders directly in `folder`, sorted, except hidden ones."""
    return sorted(entry.name for entry in visible(folder) if is_folder(entry))


def existing_folder(path: str | Path, what: str, flag: str) -> Path:
    """Return `path` as a Path; raises UserError when it is not a folder."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{what} {folder} {problem}: give the right one with {flag}")
    return folder


def images_of_class(folder: Path, known: Collection[str] = ()) -> tuple[list[str], Counter[str]]:
    """Return the image files of one class's folder, sorted, and counts of unused files by kind.

    If the folder itself has no image, its images are those in its folder `images` (as in Tiny
    ImageNet) or in a folder of the same name (unpacked twice). Kinds of unused files are endings,
    and images in deeper folders. Hidden files, those that file browsers create, and the names in
    `known` are not counted. Raises UserError when the folder cannot be read.
    """
    entries = visible(folder)
    folders = {entry.name for entry in entries if is_folder(entry)}
    names = [entry.name for entry in entries if entry.name not in folders]
    files = sorted(filter(_is_image, names))
    deeper = {name: image_files(folder / name) for name in sorted(folders.difference(known))}
    inner = next((name for name in ("images", folder.name) if deeper.get(name)), None)
    if not files and inner:
        files = [f"{inner}/{file}" for file in deeper.pop(inner)]
    unused = kinds_of(name for name in names if not _is_image(name) and name not in known)
    unused[_DEEPER] = sum(map(len, deeper.values()))
    unused[_FOLDER] = sum(not files for files in deeper.values())
    return files, +unused


def kinds_of(names: Iterable[str]) -> Counter[str]:
    """Return the number of unused files of each kind: the ending, or "other file"."""
    endings = [Path(name).suffix.lower() for name in names if name.lower() not in _LITTER]
    is_ending = re.compile(r"\.[a-z0-9]*[a-z][a-z0-9]*").fullmatch
    return Counter(ending if is_ending(ending) else "other file" for ending in endings)


def unused_note(unused: Counter[str]) -> dict[str, object]:
    """Return the note for a result that counts unused files by kind, if there are any."""
    return {UNUSED: dict(sorted(unused.items()))} if unused else {}


def kinds_in_words(counts: dict[str, int]) -> str:
    """Return counts of files by kind as text."""
    return ", ".join(f"{count:,} x {kind}" for kind, count in counts.items())


class InClassFolders(NamedTuple):
    """Images in class folders.

    files: relative to the folder of the class folders.
    labels: (N,) int64, positions in the classes.
    names: `<class>/<file>`, whichever folder of the class a file is in.
    unused: counts of unused files by kind.
    """

    files: list[str]
    labels: np.ndarray
    names: list[str]
    unused: Counter[str]


def in_class_folders(
    folder: Path, classes: Iterable[str], folder_of: dict[str, str] | None = None
) -> InClassFolders:
    """Return the images under `folder` in the order of `classes`, then of file names.

    Classes without a folder have no images. folder_of: the folder of each class (default: the one
    of the same name).
    """
    files: list[str] = []
    names: list[str] = []
    labels: list[int] = []
    entries = [(entry, is_folder(entry)) for entry in visible(folder)]
    beside = [entry for entry, folder_like in entries if not folder_like]
    unused = Counter({_BESIDE: sum(_is_image(entry.name) for entry in beside)})
    unused[_DANGLING] = sum(not (_is_image(e.name) or Path(e).exists()) for e in beside)
    if folder_of is None:
        folder_of = {entry.name: entry.name for entry, folder_like in entries if folder_like}
    for label, name in enumerate(classes):
        if name in folder_of:
            inner = folder_of[name]
            of_class, unused_here = images_of_class(folder / inner)
            files += [f"{inner}/{file}" for file in of_class]
            names += [f"{name}/{file.rpartition('/')[2]}" for file in of_class]
            labels += [label] * len(of_class)
            unused += unused_here
    return InClassFolders(files, np.array(labels, dtype=np.int64), names, +unused)


def holds_class_folders(folder: Path) -> bool:
    """Return whether some folder in `folder` holds images directly, or as images_of_class does."""
    return any(_holds_images(folder / name) for name in subfolders(folder))


def _holds_images(folder: Path) -> bool:
    try:
        return bool(image_files(folder)) or any(
            inner in ("images", folder.name) and image_files(folder / inner)
            for inner in subfolders(folder)
        )
    except UserError:  # an unreadable folder
        return False


def check_known(folder: Path, unknown: list[str]) -> None:
    """Raise UserError when `folder` has folders that are not classes of the model."""
    if unknown:
        raise UserError(
            f"{folder} has {len(unknown):,} folder(s) that are not classes of the model "
            f"({first_few(unknown)}): evaluate a model that knows these classes and lists their "
            "names in its attribute `classes`, or remove these folders from the data set"
        )


def check_folders(folder: Path, known: Collection[str], what: str) -> None:
    """Raise UserError when `folder` has a folder that is not one of `known`, which are `what`."""
    unknown = sorted(set(subfolders(folder)) - set(known))
    if unknown:
        raise UserError(
            f"{folder / unknown[0]} is not one of the {len(known)} {what} "
            f"({', '.join(known)}): remove or rename it, or download the data set again"
        )


def check_answerable(folder: Path, needed: Iterable[str], classes: tuple[str, ...]) -> None:
    """Raise UserError when the model's `classes` lack some of the images' classes, `needed`."""
    lacking = sorted(set(needed) - set(classes))
    if lacking:
        raise UserError(
            f"images in {folder} are labelled as ImageNet's classes, but the model's "
            f"{len(classes):,} classes ({first_few(classes)}) lack {first_few(lacking)}: evaluate "
            "a model of ImageNet's 1000 classes; if it is one, name them by their wnids in the "
            "model's attribute `classes`, in the order of its logits"
        )


def contents(folder: Path) -> str:
    """Return a description of the contents of `folder`, for an error message."""
    inside = subfolders(folder)
    if inside:
        return f"the folders {first_few(inside)}{archives_in(folder)}"
    files, others = images_of_class(folder)
    if files:
        return f"{len(files):,} image(s) in no class folders"
    if others:
        return f"no images ({kinds_in_words(others)}){archives_in(folder)}"
    return "no images or class folders"


def archives_in(folder: Path) -> str:
    """Return a phrase that asks for archives in `folder` to be unpacked; empty without any."""
    archives = sorted(path.name for path in folder.glob("*.tar*") if path.is_file())
    return f" ({first_few(archives)}: unpack it first)" if archives else ""


def _subfolders_if_readable(folder: Path) -> set[str]:
    try:
        return set(subfolders(folder)) if folder.is_dir() else set()
    except UserError:  # an unreadable folder
        return set()


def wrong_folder(
    given: Path, name: str, layout: str, parts: Collection[str], groups: Collection[str] = ()
) -> UserError:
    """Return the error for a folder without a data set, which names the right one if it is near.

    name: of the data set in the catalogue. layout: what its folder contains, for the message.
    parts: names of its subfolders; groups: names of folders that may lie between it and them.
    """
    data_set = data_sets()[name]
    here = given.resolve()
    for part in (*reversed(here.parents[:3]), here):
        if part.name in parts:
            whole = part.parent.parent if part.parent.name in groups else part.parent
            return UserError(
                f"{given} is only part of {data_set.title}: give the folder that contains it, "
                f"{whole}, with {data_set.flag}"
            )
    for inner in sorted({*subfolders(given)} - {"train"}):  # never the training images
        for folder in (given / inner, given / inner / "val"):
            if _subfolders_if_readable(folder) & {*parts, *groups}:
                return UserError(
                    f"{given} does not contain {layout}, but {folder} does: give that one with "
                    f"{data_set.flag}"
                )
    return UserError(
        f"{given} contains {contents(given)} instead of {layout}: give the folder of "
        f"{data_set.title} with {data_set.flag}, or {data_set.remedy}"
    )
