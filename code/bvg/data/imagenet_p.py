"""ImageNet-P: short sequences of frames, each an mp4 file or a folder of frames.

Source: Hendrycks & Dietterich, ICLR 2019, section 3.3; https://github.com/hendrycks/robustness.
"""

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from bvg.data.folders import (
    UNUSED,
    check_copies,
    existing_folder,
    images_of_class,
    kinds_in_words,
    kinds_of,
    subfolders,
    unused_note,
    visible,
    wrong_folder,
)
from bvg.data.image_set import SAME_FILES, ImageSet, by_condition, crossed
from bvg.data.imagenet import classes_in, expected_counts
from bvg.data.preprocessing import READY_224, decode
from bvg.data.video import video_frames, video_library
from bvg.errors import UserError, reason_of

# The benchmark's means are over these ten. Its download contains more: stronger noise
# (gaussian_noise_2, …_3) and perturbations for validation (speckle_noise, shear, …).
PERTURBATIONS = (
    "gaussian_noise",
    "shot_noise",
    "motion_blur",
    "zoom_blur",
    "snow",
    "brightness",
    "translate",
    "rotate",
    "tilt",
    "scale",
)
FRAMES = 31  # of most published sequences
_GROUPS = ("noise", "blur", "weather", "digital", "validation", "extra")  # the downloads' folders
_LAYOUT = "<perturbation>/<class>/<sequence>.mp4, or a folder of frames in place of each mp4"


def read_frames(path: Path) -> list[Image.Image]:
    """Return the frames of a sequence, an mp4 file or a folder of images, in order, as RGB.

    Raises OSError, ValueError or SyntaxError when one of them cannot be decoded, and ValueError if
    the folder contains other files, which may be frames in an unknown format, or if frames are
    missing by their numbers.
    """
    if not path.is_dir():
        return video_frames(path)
    found, others = images_of_class(path)
    if not found:
        raise ValueError("the folder holds no frames")
    if others:  # if they are frames, the others are not consecutive
        raise ValueError(f"the folder holds more than frames: {kinds_in_words(others)}")
    names = sorted(found, key=_by_number)
    _check_numbers(names)
    frames = []
    for name in names:
        try:
            frames.append(decode(path / name))
        except (ValueError, SyntaxError, OSError) as error:
            raise ValueError(f"its frame {name} cannot be decoded: {reason_of(error)}") from error
    return frames


def imagenet_p(
    root: str | Path,
    classes: tuple[str, ...] | None,
    perturbations: list[str] | None = None,
    partial: bool = False,
) -> ImageSet:
    """Return the sequences under `perturbations` (default: all ten), one entry each.

    An entry's condition is its perturbation; its name is `<class>/<sequence>` under all
    perturbations. Other folders are ignored. Raises UserError for any other layout, and, unless
    `partial`, for other counts than those of ImageNet-P or if one of the ten is missing.
    """
    folder = existing_folder(root, "the ImageNet-P folder", "--imagenet_p")
    classes = classes or classes_in(folder)
    found, missing = perturbations_in(folder, perturbations, partial)
    parts = {name: _perturbed(folder / place, classes) for name, place in found.items()}
    notes = _checked(parts, missing, classes, partial)
    notes |= unused_note(
        sum((Counter(part.notes.get(UNUSED)) for part in parts.values()), Counter())
    )
    if any(_is_video(file) for part in parts.values() for file in part.files):
        notes["decoder"] = f"PyAV {video_library().__version__}"
    first = next(iter(parts.values()))
    if all(part.files == first.files for part in parts.values()):
        images = crossed(replace(first, root=folder), found)
    else:
        images = by_condition(folder, parts, found, classes)
    notes |= {SAME_FILES: images.notes[SAME_FILES]} if SAME_FILES in images.notes else {}
    return replace(images, notes=notes, reader=read_frames, frames=FRAMES, view=READY_224)


def perturbations_in(
    folder: Path, perturbations: list[str] | None, partial: bool
) -> tuple[dict[str, str], list[str]]:
    """Return the folders of the existing perturbations, and the names of the missing ones.

    perturbations: the chosen ones; None: the ten. Raises UserError if a chosen one is missing, or,
    unless `partial`, one of the ten.
    """
    # In a fixed order, because the order is part of the result's identity.
    chosen = {*(perturbations or PERTURBATIONS)}
    names = [name for name in PERTURBATIONS if name in chosen]
    names += sorted(chosen - {*PERTURBATIONS})
    found = {name: place for name in names if (place := _place(folder, name))}
    missing = [name for name in names if name not in found]
    if not found:
        raise wrong_folder(folder, "imagenet-p", f"folders {_LAYOUT}", names, _GROUPS)
    if missing and (perturbations or not partial):
        raise UserError(
            f"{folder} lacks the perturbations {', '.join(missing)}: give the complete data set, "
            f"or choose the existing ones with --perturbations"
        )
    return found, missing


def _by_number(name: str) -> list[str | int]:
    """Return a key that sorts img2 before img10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def _check_numbers(names: list[str]) -> None:
    """Raise ValueError if the frames are numbered, but not consecutively."""
    parts = [re.fullmatch(r"(.*?)(\d+)\D*", Path(name).stem) for name in names]
    numbers = [int(part[2]) for part in parts if part]
    if len(numbers) == len(names) and len({part[1] for part in parts if part}) == 1:
        for before, after in pairwise(numbers):
            if after - before > 1:
                raise ValueError(f"its frame {before + 1} is missing")


def _place(root: Path, perturbation: str) -> str | None:
    """Return the perturbation's folder relative to `root`, or None; it may be in a group's."""
    places = (perturbation, *(f"{group}/{perturbation}" for group in _GROUPS))
    return next((place for place in places if (root / place).is_dir()), None)


def _perturbed(folder: Path, classes: tuple[str, ...]) -> ImageSet:
    """Return the sequences of one perturbation."""
    present = subfolders(folder)
    known = set(classes)
    if unknown := [name for name in present if name not in known]:
        hint = " (ImageNet-C looks like this)" if unknown[0].isdigit() else ""
        raise UserError(
            f"{folder} has the folder {unknown[0]}, which is not a class of the model{hint}: the "
            f"layout is {_LAYOUT}"
        )
    files: list[str] = []
    labels: list[int] = []
    inside = set(present)
    unused: Counter[str] = Counter()
    for label, name in enumerate(classes):
        if name in inside:
            sequences, rest = _sequences(folder / name)
            unused += rest
            files += [f"{name}/{sequence}" for sequence in sequences]
            labels += [label] * len(sequences)
    if not files:
        raise UserError(f"{folder} holds no sequence: the layout is {_LAYOUT}")
    check_copies(folder, files)
    return ImageSet(
        folder,
        tuple(files),
        tuple(map(_sequence, files)),
        np.array(labels, dtype=np.int64),
        classes,
        notes=unused_note(unused),
    )


def _sequences(folder: Path) -> tuple[list[str], Counter[str]]:
    """Return a class's mp4 files and folders, sorted by sequence, and counts of other files."""
    entries = {entry.name: entry.is_dir() for entry in visible(folder)}
    by_sequence: dict[str, str] = {}
    for name, is_folder in entries.items():
        if is_folder or _is_video(name):
            other = by_sequence.setdefault(_sequence(name), name)
            if other != name:
                raise UserError(
                    f"{folder} holds the sequence {_sequence(name)} twice, as {other} and as "
                    f"{name}: remove one of them"
                )
    unused = kinds_of(entries.keys() - by_sequence.values())
    return [by_sequence[name] for name in sorted(by_sequence)], unused


def _sequence(file: str) -> str:
    return file[:-4] if _is_video(file) else file


def _is_video(file: str) -> bool:
    return file.lower().endswith(".mp4")


def _checked(
    parts: dict[str, ImageSet],
    missing: list[str],
    classes: tuple[str, ...],
    partial: bool,
) -> dict[str, object]:
    """Return the notes on the counts; raises UserError for wrong ones unless `partial`."""
    incomplete = {}
    for name, part in parts.items():
        sequences, found = counts = len(part), len(np.unique(part.labels))
        expected = expected_counts(classes, len(part))
        if counts == expected:
            continue
        if not partial:
            raise UserError(
                f"{part.root} holds {sequences:,} sequences of {found:,} classes, not "
                f"{expected[0]:,} of {expected[1]:,}: give all sequences, or allow a subset with "
                "--partial (recorded in the result)"
            )
        incomplete[name] = {"sequences": sequences, "classes": found}
    if not incomplete and not missing:
        return {}
    return {"partial": {"perturbations": incomplete, "missing": missing}}
