"""Files of corrupted images, written in the layout that data/imagenet_c.py reads."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bvg.data.image_set import ImageSet, subfolders
from bvg.data.imagenet_c import corruption_condition
from bvg.errors import UserError, storage_error
from bvg.files import make_folder
from bvg.progress import Meter, size

FILE_BYTES = 15_800  # on average: the published 75 GB / (50,000 images * 95 conditions)


@dataclass(frozen=True)
class Missing:
    """What is to be written.

    images: those that some condition lacks. files: what they are called below a condition's folder.
    folders: of the conditions. missing: which condition lacks which image, (conditions, images).
    """

    images: ImageSet
    files: list[str]
    folders: dict[str, Path]
    missing: np.ndarray


def missing_files(
    out: Path, images: ImageSet, corruptions: tuple[str, ...], severities: tuple[int, ...]
) -> Missing:
    """Return which files are missing or empty (as a power cut can leave them)."""
    files = [Path(name).with_suffix(".JPEG").as_posix() for name in images.names]
    if len(set(files)) < len(files):  # two images that differ in their suffix only
        files = [f"{name}.JPEG" for name in images.names]
    folders = {
        corruption_condition(corruption, severity): out / corruption / str(severity)
        for corruption in corruptions
        for severity in severities
    }
    missing = np.ones((len(folders), len(files)), dtype=bool)
    with Meter("looking for files", "folders", len(folders)) as meter:
        for row, folder in enumerate(folders.values()):
            there = _files(folder)
            missing[row] = [file not in there for file in files]
            meter.add(1)
    lacking = np.flatnonzero(missing.any(axis=0))
    return Missing(
        images.select(lacking), [files[i] for i in lacking], folders, missing[:, lacking]
    )


def _files(folder: Path) -> set[str]:
    """Return the files <class>/<file> in the folder that are not empty."""
    found: set[str] = set()
    for inner in subfolders(folder) if folder.is_dir() else ():
        with os.scandir(folder / inner) as entries:
            found |= {f"{inner}/{entry.name}" for entry in entries if entry.stat().st_size}
    return found


def check_space(out: Path, count: int) -> None:
    """Raise UserError when the disk of `out` has not enough room for so many files."""
    needed, free = count * FILE_BYTES, shutil.disk_usage(out).free
    if needed > free:
        raise UserError(
            f"{count:,} files need about {size(needed)}, but the disk of {out} has "
            f"{size(free)} left: choose another folder with --out, or fewer files with "
            f"--corruptions, --severities or --limit"
        )


def save_jpeg(path: Path, picture: np.ndarray, quality: int) -> None:
    """Write the JPEG file; a killed process leaves at most a hidden one of another name.

    It is not flushed to the disk file by file, which would take longer than all the rest.
    """
    make_folder(path.parent, "--out")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            image = Image.fromarray(picture)
            image.save(file, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path, "--out") from error
