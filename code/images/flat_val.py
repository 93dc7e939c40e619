"""Ground truth for the 50,000 ImageNet val files when they lie in one folder."""

import csv
from pathlib import Path

from basics.errors import UserError

_DEVKIT = "ILSVRC2012_devkit_t12"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_SYNSETS = "imagenet_2012_validation_synset_labels.txt"
_KAGGLE = "LOC_val_solution.csv"
_TORCHVISION = "meta.bin"


def wnids_of_flat_val(folder: Path, files: list[str]) -> list[str]:
    """Return the wnid of each of `files` (named ILSVRC2012_val_<8 digits>.JPEG).

    The ground truth is looked for in `folder` and the two folders above it: the devkit
    (`ILSVRC2012_devkit_t12/`, or its two files), torchvision's `meta.bin`, Kaggle's
    `LOC_val_solution.csv`, or the one-wnid-per-line `imagenet_2012_validation_synset_labels.txt`.
    Raises UserError when none is found, or a file is not named as in the archive.
    """
    for place in (folder, folder.parent, folder.parent.parent):
        wnids = _ground_truth(place)
        if wnids:
            return [wnids[_number(folder, name, len(wnids)) - 1] for name in files]
    raise UserError(
        f"{folder} holds {len(files):,} images in no class folders, and no ground truth lies in or "
        f"above it: put {_DEVKIT}/, {_TORCHVISION}, {_KAGGLE} or {_SYNSETS} beside it"
    )


def _number(folder: Path, name: str, count: int) -> int:
    digits = Path(name).stem.rpartition("_")[2]
    if not digits.isdigit() or not 1 <= int(digits) <= count:
        raise UserError(
            f"{folder / name} is not named like ILSVRC2012_val_00000001.JPEG, so its class is "
            "unknown: keep the archive's names, or sort the images into class folders"
        )
    return int(digits)


def _ground_truth(place: Path) -> list[str]:
    """Return the wnids of val images 1, 2, …, or nothing where `place` has no ground truth."""
    if (place / _SYNSETS).is_file():
        return (place / _SYNSETS).read_text(encoding="utf-8").split()
    if (place / _KAGGLE).is_file():
        with open(place / _KAGGLE, newline="", encoding="utf-8-sig") as file:
            rows = {row["ImageId"]: row["PredictionString"] for row in csv.DictReader(file)}
        return [rows[image].split()[0] for image in sorted(rows)]
    if (place / _TORCHVISION).is_file():
        import torch

        return list(torch.load(place / _TORCHVISION, weights_only=True)[1])
    for data in (place / _DEVKIT / "data", place / "data", place):
        if (data / _TRUTH).is_file() and (data / "meta.mat").is_file():
            return _devkit(data)
    return []


def _devkit(data: Path) -> list[str]:
    """Return the wnids from the devkit, whose class numbers are not in wnid order."""
    from scipy.io import loadmat

    synsets = loadmat(data / "meta.mat", squeeze_me=True)["synsets"]
    wnid = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    return [wnid[int(line)] for line in (data / _TRUTH).read_text(encoding="utf-8").split()]
