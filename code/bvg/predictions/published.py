"""Other people's predictions: on ImageNet's validation set, and in critical-band masking.

The layout of the former, one CSV per model, is ImageNet-X's
(https://github.com/facebookresearch/imagenetx, model_predictions):
file_name,predicted_class,predicted_probability, classes being positions in the sorted wnids. That
of the latter, one JSON per network, is Subramanian et al.'s
(https://github.com/ajaysub110/critical-band-masking, data/network_data).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd

from bvg.data.critical_band_masking import BANDS, DEVIATIONS
from bvg.data.imagenet import VAL_CLASSES, VAL_IMAGES, val_number
from bvg.errors import UserError, reason_of
from bvg.predictions.table import Predictions

TRIAL_FILE = re.compile(r"(?:solomon|cbm)_(?P<model>.+)_accuracies_[^/]*\.json")
COLUMNS = {"file_name": str, "predicted_class": np.int64, "predicted_probability": np.float64}
_ROUNDING = 1e-6  # of probabilities in 32 bits
# Answers just above their label that are enough to tell how the classes are counted, and how many
# times as many as of those that are the label, or just below it, there must be.
_SHIFTED, _TIMES = 20, 3


def read_published(path: Path, labels: Mapping[int, int], partial: bool = False) -> Predictions:
    """Return the predictions in a file, of one answer per image, in the file's order.

    labels: of the validation images by number. The classes are called "0" to "999". Raises
    UserError for a file of another layout, for values out of range, for images that are unknown or
    occur twice, for classes that are clearly counted from 1, and for fewer than 50,000 images
    unless `partial`.
    """
    try:
        table = pd.read_csv(path, usecols=[*COLUMNS], dtype=COLUMNS)
    except OSError as error:
        raise UserError(f"cannot read {path}: {reason_of(error)}; correct --predictions") from error
    except (ValueError, TypeError) as error:
        raise _refused(path, reason_of(error)) from error
    files = [PureWindowsPath(str(name)) for name in table["file_name"]]  # reads "/", too
    numbers = [val_number(file.stem) for file in files]
    answers = table["predicted_class"].to_numpy()
    confidence = table["predicted_probability"].to_numpy()
    wanted = [-1 if number is None else labels.get(number, -1) for number in numbers]
    if -1 in wanted:
        name = table["file_name"][wanted.index(-1)]
        raise _refused(path, f"{name} is none of the validation images")
    if len({*numbers}) < len(numbers):
        raise _refused(path, "it contains an image twice")
    if not ((answers >= 0) & (answers < VAL_CLASSES)).all():
        raise _refused(path, f"a class is not from 0 to {VAL_CLASSES - 1}, counted from 0")
    if not ((confidence >= 0) & (confidence <= 1 + _ROUNDING)).all():
        raise _refused(path, "a probability is not in [0, 1]")
    if _count_from_one(answers - np.array(wanted)):
        raise UserError(f"{path} counts the classes from 1: subtract 1 from predicted_class")
    if not len(numbers) or (len(numbers) < VAL_IMAGES and not partial):
        raise UserError(
            f"{path} has {len(numbers):,} of the {VAL_IMAGES:,} validation images: complete it, or "
            "score those that are there with --partial"
        )
    return Predictions(
        classes=tuple(map(str, range(VAL_CLASSES))),
        images=np.array([file.name for file in files], dtype=object),
        conditions=np.full(len(numbers), "clean", dtype=object),
        labels=np.array(wanted, dtype=np.int16),
        answers=answers[:, None].astype(np.int16),
        confidence=confidence.clip(max=1),
        columns={},
    )


def _count_from_one(differences: np.ndarray) -> bool:
    """Return whether answers are counted from 1; differences: answers - labels, counted from 0.

    Confusions with the class after the label are no proof: those with the class before it are as
    frequent, for example where an attack leaves no answer that is right.
    """
    above, right, below = (int((differences == step).sum()) for step in (1, 0, -1))
    return above >= _SHIFTED and above > _TIMES * max(right, below)


def _refused(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} is not a table of predictions ({reason}): its columns are {','.join(COLUMNS)}, a "
        "row per image of ImageNet's validation set, named as in the archive"
    )


def read_trials(path: Path) -> dict[tuple[str, int], np.ndarray]:
    """Return a network's trials: whether each was right, (n,) bool, by SD (a text) and octave.

    Raises UserError unless the file has trials, of 0 and 1, for exactly the published conditions.
    """
    keys = {f"noise{sd}freq{band}": (sd, band) for sd in ("0", *DEVIATIONS) for band in BANDS}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if {*content} != {*keys}:
            raise ValueError(f"it lacks conditions, or has others than {next(iter(keys))} etc.")
        trials = {keys[key]: np.array(values) for key, values in content.items()}
        if not all(len(right) and np.isin(right, (0, 1)).all() for right in trials.values()):
            raise ValueError("a trial is neither 0 nor 1, or a condition has none")
    except OSError as error:
        raise UserError(f"cannot read {path}: {reason_of(error)}") from error
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} is not a network's trials by noise and octave ({reason_of(error)}): download "
            "it again with: python code/download.py published-tables/critical_band"
        ) from error
    return {condition: right.astype(bool) for condition, right in trials.items()}
