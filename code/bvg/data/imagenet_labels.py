"""Labels of ImageNet validation images that lie in one folder, from their names.

A name may contain the wnid itself, have a row in Kaggle's table, or be the archive's name,
ILSVRC2012_val_<8 digits>, whose number is a line of the published lists. The position of a file in
the folder, or of a row in the table, is never used, since files may be missing.
"""

import csv
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from bvg.errors import UserError, reason_of

VAL_IMAGES = 50_000
_DEVKIT = "ILSVRC2012_devkit_t12"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_SYNSETS = "imagenet_2012_validation_synset_labels.txt"
_KAGGLE = "LOC_val_solution.csv"
_TORCHVISION = "meta.bin"
GROUND_TRUTH = {_TRUTH, _META, _SYNSETS, _KAGGLE, _TORCHVISION}
DEVKIT_FOLDERS = {_DEVKIT, "data"}
_LEVELS_ABOVE = 4  # Kaggle's table is above ILSVRC/Data/CLS-LOC/val

_WNID = re.compile(r"n\d{8}")
_WNID_IN_NAME = re.compile(r"(?<![^\W_])n\d{8}(?![^\W_])")  # a whole word; _ separates words
_VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})(?:_n\d{8})?")  # Hugging Face's ends in the wnid
_TEST_NAME = re.compile(r"ILSVRC2012_test_\d{8}.*")

Lookup = Callable[[str], str | None]  # the name of an image → its wnid, if it is known


def wnids_of_flat_val(folder: Path, files: list[str]) -> list[str]:
    """Return the wnid of each of `files`, which lie in `folder`.

    From the wnid in a file's name, as in ILSVRC2012_val_00000001_n01440764.JPEG, and from the
    nearest ground truth in `folder` and the four folders above it: Kaggle's `LOC_val_solution.csv`,
    by the file's name; the devkit (`ILSVRC2012_devkit_t12/`, or its two files), torchvision's
    `meta.bin` or `imagenet_2012_validation_synset_labels.txt`, by the number in the file's name.
    Raises UserError for a file whose class is unknown or contradictory.
    """
    _refuse_duplicates(folder, files)
    stems = [Path(file).stem for file in files]
    place, lookups, rejected = _nearest(folder, stems)
    wnids: list[str] = []
    unknown: list[str] = []
    for file, stem in zip(files, stems, strict=True):
        if _TEST_NAME.fullmatch(stem):
            raise UserError(
                f"{folder / file} is one of ImageNet's test images, whose labels are not "
                "published: give the validation images with --imagenet"
            )
        match = _VAL_NAME.fullmatch(stem)
        name = f"ILSVRC2012_val_{match[1]}" if match else stem
        found = dict.fromkeys(_WNID_IN_NAME.findall(stem), "the file's name")
        for source, lookup in lookups.items():
            if wnid := lookup(name):
                found.setdefault(wnid, str(place / source))
        if len(found) > 1:
            labels = ", ".join(f"{wnid} by {source}" for wnid, source in found.items())
            raise UserError(
                f"{folder / file} has several labels ({labels}): rename the file, or remove the "
                f"ground truth if it belongs to other images"
            )
        wnids += found
        unknown += [] if found else [file]
    if unknown:
        reasons = [*(f"{place / source} does not list it" for source in lookups), *rejected]
        why = "; ".join(reasons) or "there is no ground truth in or above the folder"
        raise UserError(
            f"the class of {len(unknown):,} of the {len(files):,} images in {folder} is unknown, "
            f"the first is {unknown[0]}: its name contains no wnid (such as n01440764), and {why}. "
            f"Keep the archive's names (ILSVRC2012_val_00000001.JPEG) and put the whole of "
            f"{_DEVKIT}/, {_TORCHVISION}, {_KAGGLE} or {_SYNSETS} next to the images, or sort them "
            f"into class folders"
        )
    return wnids


def wnids_in_name(file: str) -> set[str]:
    """Return the wnids in a file's name: none, one, or several."""
    return set(_WNID_IN_NAME.findall(Path(file).stem))


def _refuse_duplicates(folder: Path, files: list[str]) -> None:
    """Raise UserError if two files are the same validation image."""
    file_of: dict[str, str] = {}
    for file in files:
        if match := _VAL_NAME.fullmatch(Path(file).stem):
            if other := file_of.get(match[1]):
                raise UserError(
                    f"{folder} contains an image twice, as {other} and {file}: remove one of them"
                )
            file_of[match[1]] = file


def _nearest(folder: Path, stems: list[str]) -> tuple[Path, dict[str, Lookup], list[str]]:
    """Return the nearest folder with ground truth, its lookups by name, and why others failed."""
    numbers = {int(match[1]) for stem in stems if (match := _VAL_NAME.fullmatch(stem))}
    rejected: list[str] = []
    folder = folder.absolute()
    for place in (folder, *folder.parents[:_LEVELS_ABOVE]):
        lookups: dict[str, Lookup] = {}
        if (place / _KAGGLE).is_file():
            lookups[_KAGGLE] = _kaggle(place / _KAGGLE).get
        for path, read in _lists(place):
            wnids = _checked(path, read)
            # Line k is image k if these are all of ImageNet's labels, or those of all images here.
            if len(wnids) == VAL_IMAGES or (wnids and numbers == {*range(1, len(wnids) + 1)}):
                lookups[path.name] = _by_number(wnids)
            else:
                rejected.append(
                    f"{path} has {len(wnids):,} lines, not ImageNet's {VAL_IMAGES:,}, so lines "
                    f"cannot be matched to images"
                )
        if lookups:
            return place, lookups, rejected
    return folder, {}, rejected


def _by_number(wnids: list[str]) -> Lookup:
    def lookup(stem: str) -> str | None:
        match = _VAL_NAME.fullmatch(stem)
        return wnids[int(match[1]) - 1] if match and 1 <= int(match[1]) <= len(wnids) else None

    return lookup


def _lists(place: Path) -> Iterable[tuple[Path, Callable[[Path], list[str]]]]:
    """Yield the files in `place` that list the wnids of images 1, 2, …, and how to read each."""
    if (place / _SYNSETS).is_file():
        yield place / _SYNSETS, lambda path: path.read_text(encoding="utf-8-sig").splitlines()
    if (place / _TORCHVISION).is_file():
        yield place / _TORCHVISION, _torchvision
    for data in (place / _DEVKIT / "data", place / "data", place):
        if (data / _TRUTH).is_file() and (data / _META).is_file():
            yield data / _TRUTH, _devkit
            break


def _checked(path: Path, read: Callable[[Path], list[str]]) -> list[str]:
    """Return the wnids in a file; raises UserError if it is unreadable or lists anything else.

    Other labels, such as class names or numbers, are ambiguous.
    """
    try:
        lines = read(path)
    except Exception as error:  # SciPy's and torch's readers raise many kinds of errors
        raise UserError(
            f"{path} cannot be read ({reason_of(error)}): download it again, or remove it"
        ) from error
    wnids = [line.strip() for line in lines]
    while wnids and not wnids[-1]:
        wnids.pop()
    for number, wnid in enumerate(wnids, start=1):
        if not _WNID.fullmatch(wnid):
            raise UserError(
                f"{path} is not a list of wnids: line {number:,} is {wnid[:40]!r}, not like "
                f"n01440764; download it again, or remove it"
            )
    return wnids


def _torchvision(path: Path) -> list[str]:
    import torch

    return list(torch.load(path, weights_only=True)[1])


def _devkit(path: Path) -> list[str]:
    """Return the wnids from the devkit, whose class numbers are not in wnid order."""
    from scipy.io import loadmat

    synsets = loadmat(path.parent / _META, squeeze_me=True)["synsets"]
    wnid = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    return [wnid[int(line)] for line in path.read_text(encoding="utf-8").split()]


def _kaggle(path: Path) -> dict[str, str]:
    """Return the wnid of each ImageId; all boxes of an image have the same class."""
    wnids: dict[str, str] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                image = row["ImageId"].strip().removesuffix(".JPEG")
                found = {*_WNID.findall(row["PredictionString"])}
                found |= {wnids[image]} if image in wnids else set()
                if len(found) != 1:
                    raise ValueError(f"{image} has {', '.join(sorted(found)) or 'no wnid'}")
                wnids[image] = found.pop()
    except (OSError, KeyError, TypeError, AttributeError, ValueError, csv.Error) as error:
        raise UserError(
            f"{path} is not Kaggle's table, ImageId,PredictionString with one wnid for each image "
            f"({type(error).__name__}: {reason_of(error)}); download it again, or remove it"
        ) from error
    return wnids
