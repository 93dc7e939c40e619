"""ImageNet's validation set, in each of its common layouts.

The labels of images in one flat folder follow from their names. A name may contain the wnid itself,
have a row in Kaggle's table, or be the archive's name, ILSVRC2012_val_<8 digits>, whose number is a
line of the published lists. The position of a file in the folder, or of a row in the table, is
never used, since files may be missing.
"""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from bvg.data.downloads import data_sets
from bvg.data.folders import (
    check_answerable,
    check_copies,
    check_known,
    existing_folder,
    found_twice,
    images_of_class,
    original_of,
    subfolders,
    unused_note,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, check_counts, images_of_classes
from bvg.errors import UserError, first_few, reason_of

VAL_IMAGES, VAL_CLASSES = 50_000, 1_000
_MOST_LEVELS = 4  # <group>/<corruption>/<severity>/<wnid>
# The images' folder inside ImageNet's, in the original, Kaggle's and Hugging Face's archives.
_BELOW = (
    "val",
    "ILSVRC/Data/CLS-LOC/val",
    "Data/CLS-LOC/val",
    "CLS-LOC/val",
    "val_images",
    "data/val_images",
)
_DEVKIT = "ILSVRC2012_devkit_t12"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_SYNSETS = "imagenet_2012_validation_synset_labels.txt"
_KAGGLE = "LOC_val_solution.csv"
_TORCHVISION = "meta.bin"
_GROUND_TRUTH = {_TRUTH, _META, _SYNSETS, _KAGGLE, _TORCHVISION}
_DEVKIT_FOLDERS = {_DEVKIT, "data"}
_LEVELS_ABOVE = 4  # Kaggle's table is above ILSVRC/Data/CLS-LOC/val

_WNID = re.compile(r"n\d{8}")
_WNID_IN_NAME = re.compile(r"(?<![^\W_])n\d{8}(?![^\W_])")  # a whole word; _ separates words
# Hugging Face's names end in the wnid; archives unpacked on Windows may have lost their case.
_VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})(?:_n\d{8})?", re.IGNORECASE)
_TEST_NAME = re.compile(r"ILSVRC2012_test_\d{8}.*")
_TRAIN_NAME = re.compile(r"n\d{8}_[1-9]\d\d+")  # nearly all have three to five digits
# How the files of the published data sets are named, by name in the catalogue.
_NAMED = {
    "imagenet": _VAL_NAME,
    "imagenet-v2": re.compile(r"[0-9a-f]{40}"),
    "imagenet-a": re.compile(r"0\.\d{6}_.+"),
    "imagenet-r": re.compile(
        r"(art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting|sculpture|sketch|"
        r"sticker|tattoo|toy|videogame)_\d+"
    ),
    "imagenet-sketch": re.compile(r"sketch_\d+"),
}
_SAMPLED = 20  # images that are enough to tell how all were named, labelled and resized
_FEW_TRAINED = 0.02  # share of training images that is not worth a warning
_USUAL_SIDE = 500  # pixels: the longer side of most images
# Of ILSVRC2012_img_val.tar in bytes. A file takes its size there, rounded up to whole blocks, and a
# block more; files that were exchanged one by one may change the sum by ALLOWED.
_ARCHIVE, _BLOCK, _ALLOWED = 6_744_924_160, 512, 1e-4
# A class whose labels ReaL contradicts for more of its images has the images of another class. Of
# the published ones it contradicts 82 % at most (of class 848), and 10 % of all.
_OTHER_CLASS, _FEWEST = 0.95, 25

Lookup = Callable[[str], str | None]  # the name of an image → its wnid, if it is known


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the 1000 wnids of ImageNet-1k in sorted order, the order of the models' logits."""
    path = timm_file("imagenet_synsets.txt")
    if path:
        return tuple(path.read_text(encoding="utf-8").split())
    from timm.data import ImageNetInfo  # here, because importing timm takes seconds

    return tuple(ImageNetInfo("imagenet-1k").label_names())


def timm_file(name: str) -> Path | None:
    """Return a table of the installed timm, which is not imported, or None."""
    spec = find_spec("timm")
    places = (spec.submodule_search_locations or []) if spec else []
    paths = (Path(place) / "data" / "_info" / name for place in places)
    return next((path for path in paths if path.is_file()), None)


def classes_in(folder: Path) -> tuple[str, ...]:
    """Return the classes of a data set, for calls without a model.

    ImageNet's if the folder contains folders named by wnid, directly, in `val`, or below folders of
    groups, conditions and severities; else the names of its folders.
    """
    top = level = val_folder(folder)
    for _ in range(_MOST_LEVELS):
        inside = subfolders(level)
        if not inside:
            break
        if set(inside) <= set(imagenet_classes()):
            return imagenet_classes()
        level = level / inside[0]
    folders = tuple(name for name in subfolders(top) if name not in _DEVKIT_FOLDERS)
    return folders or imagenet_classes()


def val_folder(given: Path) -> Path:
    """Return the folder of the validation images: one inside ImageNet's folder, or that itself."""
    return next((given / below for below in _BELOW if (given / below).is_dir()), given)


def are_imagenet(classes: tuple[str, ...]) -> bool:
    """Return whether `classes` are ImageNet-1k's (timm is only imported if there are 1000)."""
    return len(classes) == VAL_CLASSES and classes == imagenet_classes()


def expected_counts(classes: tuple[str, ...], found: int) -> tuple[int, int]:
    """Return how many images and classes a complete validation set has.

    Of other classes than ImageNet's, any number of images, `found`, is complete.
    """
    return (VAL_IMAGES, VAL_CLASSES) if are_imagenet(classes) else (found, len(classes))


def imagenet_val(
    root: str | Path,
    classes: tuple[str, ...] | None = None,
    partial: bool = False,
    name: str = "imagenet",
    warn: bool = True,
) -> ImageSet:
    """Return ImageNet's validation set, or a data set of the same layout for other `classes`.

    root: ImageNet's folder (also in the layout of Kaggle's archive) or its `val`, with class
    folders <class>/<image>, or with images whose labels follow from their names and the ground
    truth next to them (see wnids_of_flat_val). Unused files are counted in the notes.
    classes: those of the models; None: those of the folder. name: of the data set in the catalogue,
    for messages. warn: check whether they are the published images, and warn if not.
    Raises UserError for any other layout, with the right folder if it is nearby, and, unless
    `partial`, for other counts than ImageNet's.
    """
    given = existing_folder(root, "the ImageNet folder", data_sets()[name].flag)
    classes = classes or classes_in(given)
    folder = val_folder(given)
    present = subfolders(folder)
    if set(present) & set(classes):
        images = images_of_classes(folder, classes)
        _refuse_contradictions(images)
        _refuse_duplicates(folder, images.files)
        check_known(folder, sorted(set(present) - set(classes)))
    else:
        files, unused = images_of_class(folder, {*_GROUND_TRUTH, *_DEVKIT_FOLDERS})
        if wnids := [name for name in present if name in imagenet_classes()]:
            check_answerable(folder, wnids, classes)
        if not files or _WNID.fullmatch(folder.name):
            layout = f"class folders (such as {classes[0]}/) with images in them"
            raise wrong_folder(folder, name, layout, {*classes, *imagenet_classes()})
        wnids = wnids_of_flat_val(folder, files)
        check_answerable(folder, wnids, classes)
        position = {name: label for label, name in enumerate(classes)}
        labels = np.array([position[wnid] for wnid in wnids], dtype=np.int64)
        names = tuple(f"{wnid}/{file}" for wnid, file in zip(wnids, files, strict=True))
        notes = unused_note(unused)
        images = ImageSet(folder, tuple(files), names, labels, classes, notes=notes)
    counts, balanced = expected_counts(classes, len(images)), are_imagenet(classes)
    check_counts(images, counts, partial, balanced)
    if warn:
        check_images(images, name)
    return replace(images, photographs=name == "imagenet")


def _refuse_contradictions(images: ImageSet) -> None:
    """Raise UserError for a file whose name states another wnid than its folder's."""
    for file in images.files:
        of_folder, stated = file.partition("/")[0], set(_WNID_IN_NAME.findall(Path(file).stem))
        if _WNID.fullmatch(of_folder) and stated and of_folder not in stated:
            raise UserError(
                f"{images.root / file} is of the class {min(stated)} by its name and of "
                f"{of_folder} by its folder: move it to its class's folder, or rename it"
            )


def wnids_of_flat_val(folder: Path, files: list[str]) -> list[str]:
    """Return the wnid of each of `files`, which lie in `folder`.

    From the wnid in a file's name, as in ILSVRC2012_val_00000001_n01440764.JPEG, and from the
    nearest ground truth in `folder` and the four folders above it: Kaggle's `LOC_val_solution.csv`,
    by the file's name; the devkit (`ILSVRC2012_devkit_t12/`, or its two files), torchvision's
    `meta.bin` or `imagenet_2012_validation_synset_labels.txt`, by the number in the file's name.
    Raises UserError for a file whose class is unknown or contradictory.
    """
    check_copies(folder, files)
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
        number = val_number(stem)
        name = stem if number is None else f"ILSVRC2012_val_{number:08d}"
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


def val_number(stem: str) -> int | None:
    """Return the number of a validation image in the archive, from its name; None for others.

    Folders may precede it with a backslash, which some programs leave of Windows's archives.
    """
    match = _VAL_NAME.fullmatch(stem.rpartition("\\")[2])
    return int(match[1]) if match else None


def _refuse_duplicates(folder: Path, files: Sequence[str]) -> None:
    """Raise UserError if the names of two files have the number of one validation image."""
    file_of: dict[int, str] = {}
    for file in files:
        number = val_number(Path(original_of(file)).stem)
        other = file if number is None else file_of.setdefault(number, file)
        if other != file:
            raise found_twice(folder, other, file)


def _nearest(folder: Path, stems: list[str]) -> tuple[Path, dict[str, Lookup], list[str]]:
    """Return the nearest folder with ground truth, its lookups by name, and why others failed."""
    numbers = {val_number(stem) for stem in stems} - {None}
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
        number = val_number(stem) or 0
        return wnids[number - 1] if 1 <= number <= len(wnids) else None

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


def check_images(images: ImageSet, data_set: str) -> None:
    """Warn of images that are not those of the published data set, and note it.

    That is, if labels contradict ReaL's for the numbers in the files' names, if most files are
    named like another data set's or some like training images, or if all were resized. data_set:
    its name in the catalogue. Of data sets without published names, only labels are checked.
    """
    check_labels(images)
    if data_set not in _NAMED or not are_imagenet(images.classes):
        return
    stems = [Path(name).stem for name in images.names]
    trained_on = [stem for stem in stems if _TRAIN_NAME.fullmatch(stem)]
    if len(trained_on) > _FEW_TRAINED * len(stems):
        images.notes["named_like_training_images"] = len(trained_on)
        _warn(
            images,
            f"{len(trained_on):,} of the {len(stems):,} images are named like ImageNet's training "
            f"images ({trained_on[0]}): accuracy on images that a model was trained on is too high",
        )
    foreign = [stem for stem in stems if not _NAMED[data_set].fullmatch(stem)]
    for other, pattern in _NAMED.items():
        count = sum(map(bool, map(pattern.fullmatch, foreign)))
        if 2 * count > len(stems):
            title, own = data_sets()[other].title, data_sets()[data_set]
            images.notes["named_like"] = {"data_set": other, "images": count}
            _warn(
                images,
                f"{count:,} of the {len(stems):,} images are named like those of {title} "
                f"({foreign[0]}): give the folder of {own.title} with {own.flag}",
            )
    _check_sides(images, data_set)


def _check_sides(images: ImageSet, data_set: str) -> None:
    """Warn if some images are all squares of one size, or val's have a side of one length."""
    sample = range(0, len(images), max(1, len(images) // _SAMPLED))
    if len(sample) < _SAMPLED // 2:
        return
    sizes = [_pixels(images.path(k)) for k in sample]
    found = ""
    side = sizes[0][0]
    if {*sizes} == {(side, side)}:
        found = f"all images are {side} x {side} pixels"
    elif data_set == "imagenet":
        for which, of in (("shorter", min), ("longer", max)):
            sides = {of(size) for size in sizes}
            if len(sides) == 1 and sides != {_USUAL_SIDE}:
                side = sides.pop()
                found = f"the {which} side of all images is {side} pixels"
    if found:
        images.notes["all_resized_to"] = side
        _warn(
            images,
            f"{found}, so they were resized or cropped before: accuracy is not that on the "
            "published images, which differ in size",
        )


def check_archive(images: ImageSet) -> None:
    """Warn if all validation images together do not have the published archive's size; note it.

    They were then compressed again, resized or exchanged.
    """
    published = images.photographs and are_imagenet(images.classes) and len(images) == VAL_IMAGES
    if not published or "bytes_in_archive" in images.notes:
        return
    total = sum(_in_archive(size) for size in images.sizes.values() if isinstance(size, int))
    if abs(total - _ARCHIVE) > _ALLOWED * _ARCHIVE:
        images.notes["bytes_in_archive"] = {"found": total, "published": _ARCHIVE}
        _warn(
            images,
            f"the files would make an archive of {total:,} bytes, not of {_ARCHIVE:,} as "
            "ILSVRC2012_img_val.tar has: they were compressed again, resized or exchanged, so "
            "accuracy may differ from that on the published images",
        )


def _in_archive(size: int) -> int:
    """Return the bytes that a file of a size takes in a tar archive."""
    return -(-size // _BLOCK) * _BLOCK + _BLOCK


def _warn(images: ImageSet, message: str) -> None:
    print(f"warning: {images.root}: {message}", file=sys.stderr, flush=True)


def _pixels(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # decoding it will report the error
        return 0, 1


def check_labels(images: ImageSet) -> None:
    """Warn of labels that contradict ReaL's for the numbers in the files' names, and note it.

    If most of them do, or nearly all of some class.
    """
    if not are_imagenet(images.classes):
        return
    all_numbers = (val_number(Path(name).stem) for name in images.names)
    numbers = {k: n for k, n in enumerate(all_numbers) if n and n <= VAL_IMAGES}
    path = timm_file("imagenet_real_labels.json")
    if not path or len(numbers) < _SAMPLED:
        return
    real = json.loads(path.read_bytes())
    known = {k: real[n - 1] for k, n in numbers.items() if real[n - 1]}
    wrong = [k for k, labels in known.items() if int(images.labels[k]) not in labels]
    per_class = np.bincount(images.labels[[*known]], minlength=VAL_CLASSES)
    wrong_of = np.bincount(images.labels[wrong], minlength=VAL_CLASSES)
    others = np.flatnonzero((per_class >= _FEWEST) & (wrong_of > _OTHER_CLASS * per_class))
    if 2 * len(wrong) > len(known):
        first, wnids = wrong[0], imagenet_classes()
        images.notes["labels_unlike_real"] = {"images": len(wrong), "of": len(known)}
        _warn(
            images,
            f"{len(wrong):,} of {len(known):,} labels contradict ReaL's labels of the images with "
            f"these names: {images.files[first]} is labelled {wnids[images.labels[first]]}, where "
            f"ReaL has {', '.join(wnids[label] for label in known[first])}. Either the ground "
            "truth or the class folders are wrong, or the files were renumbered",
        )
    elif len(others):
        names = [imagenet_classes()[label] for label in others]
        images.notes["classes_unlike_real"] = names
        _warn(
            images,
            f"nearly all images of {first_few(names)} are of other classes by ReaL's labels of the "
            "images with these names: sort them into the folders of their classes",
        )
