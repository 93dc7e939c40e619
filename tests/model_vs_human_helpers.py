"""Tiny versions of model-vs-human's data sets, of its human data, and of a model's predictions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS
from bvg.predictions.table import Predictions
from bvg.scores.decision_table import joined, read_decisions, table_files
from conftest import draw

HEADER = "subj,Session,trial,rt,object_response,category,condition,imagename"


def read_folder(folder: Path) -> pd.DataFrame:
    """Return all decision tables in `folder` as one."""
    return joined([read_decisions(path) for path in table_files(folder)])


def image_names(name: str, per_condition: int, spelling: dict[str, str] | None = None):
    """Yield (condition, category, path inside the data set) as published."""
    trial = 0
    for condition in DATA_SETS[name].conditions:
        for number in range(per_condition):
            trial += 1
            category = CATEGORIES[(5 * trial) % 16]
            if name == "cue-conflict":
                other = CATEGORIES[(5 * trial + number) % 16]
                path = f"{category}/{category}{trial}-{other}{number}.png"
            elif DATA_SETS[name].folders:
                path = f"{category}/{category}{trial}.png"
            else:
                written = (spelling or {}).get(condition, condition)
                wnid = f"n0{trial:07d}_{number}" if name not in ("sketch", "stylized") else ""
                original = wnid or f"{category}-{trial:04d}-sketch-{number}"
                path = f"dnn/session-1/{trial:04d}_x_dnn_{written}_{category}_10_{original}.png"
            yield condition, category, path


def write_data_set(
    root: Path, name: str, per_condition: int, spelling: dict[str, str] | None = None
) -> Path:
    """Return `root`, with images of one data set below it."""
    for seed, (_, _, path) in enumerate(image_names(name, per_condition, spelling)):
        draw(root / name / path, seed, size=(16, 16))
    return root


def write_stimuli(root: Path, per_condition: int) -> Path:
    """Return `root`, with images of all 17 data sets below it."""
    for name in DATA_SETS:
        write_data_set(root, name, per_condition)
    return root


def answers_of(
    answer: Callable[[str, str, int], int],
    per_condition: int,
    names=tuple(DATA_SETS),
) -> Predictions:
    """Return the predictions of a model: `answer` of (data set, condition, number of the image)
    is how far its category is from the right one (0: right)."""
    rows = []
    for name in names:
        for number, (condition, category, path) in enumerate(image_names(name, per_condition)):
            label = CATEGORIES.index(category)
            texture = -1
            if name == "cue-conflict":
                word = path.rpartition("-")[2].removesuffix(".png")
                texture = CATEGORIES.index(word.rstrip("0123456789"))
            said = (label + answer(name, condition, number)) % 16
            rows.append((f"{name}/{path}", f"{name}/{condition}", label, said, texture))
    images, conditions, labels, said, textures = zip(*rows, strict=True)
    first = np.array(said, np.int16)
    return Predictions(
        CATEGORIES,
        np.array(images, object),
        np.array(conditions, object),
        np.array(labels, np.int16),
        np.stack([first, (first + 1) % 16], axis=1),
        np.ones(len(rows), np.float32),
        {"texture": np.array(textures, np.int16), "answer_max": first},
    )


def write_humans(
    root: Path, name: str, right: dict[str, Callable[[str, int], bool]], per_condition: int
) -> Path:
    """Return `root`, with tables of observers in `root`/`name`.

    right: observer -> whether it is right on an image, by condition and number.
    """
    (root / name).mkdir(parents=True, exist_ok=True)
    for observer, is_right in right.items():
        lines = [HEADER]
        for number, (condition, category, path) in enumerate(image_names(name, per_condition)):
            said = category if is_right(condition, number) else "na"
            file = path.rpartition("/")[2]
            original = file.split("_10_")[-1]
            shown = f"{number + 1:04d}_x_s01_{condition}_{category}_10_{original}"
            lines.append(f"{observer},1,{number + 1},0.5,{said},{category},{condition},{shown}")
        (root / name / f"{name}_{observer}_session_1.csv").write_text("\n".join(lines) + "\n")
    return root
