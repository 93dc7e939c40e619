"""The 17 out-of-distribution data sets of model-vs-human, as one set of images.

Source: Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021. Twelve are from Geirhos et al., NeurIPS 2018, four from Geirhos et al., ICLR 2019, and
the sketches from Wang et al., NeurIPS 2019. All were published at 224 px.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bvg.data.categories import CATEGORIES
from bvg.data.finding import find_data
from bvg.data.folders import (
    check_copies,
    check_folders,
    check_names,
    check_stems,
    existing_folder,
    found_twice,
    image_files,
    subfolders,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, images_of_classes, same_files, sampled
from bvg.data.imagenet import classes_in
from bvg.data.preprocessing import READY_224
from bvg.data.shape_bias import check_categories, cue_conflict
from bvg.errors import UserError, first_few

CUE_CONFLICT = "cue-conflict"


@dataclass(frozen=True)
class DataSet:
    """A published data set: the number of images, and the conditions from the mildest on.

    excluded: conditions that are not out of distribution (no manipulation), or on which human
    accuracy is below 20 % (Geirhos et al. 2021).
    folders: whether the category is the name of the folder, not part of the file's name.
    """

    images: int
    conditions: tuple[str, ...] = ("0",)
    excluded: tuple[str, ...] = ()
    folders: bool = False

    @property
    def counted(self) -> tuple[str, ...]:
        """Return the conditions that are not excluded."""
        return tuple(name for name in self.conditions if name not in self.excluded)


def _eidolon(coherence: int, first: int) -> DataSet:
    conditions = tuple(f"{2**reach}-{coherence}-10" for reach in range(8))
    return DataSet(1_280, conditions, (conditions[0], *conditions[first:]))


DATA_SETS = {
    "edge": DataSet(160, folders=True),
    "silhouette": DataSet(160, folders=True),
    CUE_CONFLICT: DataSet(1_280, folders=True),
    "colour": DataSet(1_280, ("cr", "bw"), ("cr",)),
    "contrast": DataSet(
        1_280, ("c100", "c50", "c30", "c15", "c10", "c05", "c03", "c01"), ("c100", "c03", "c01")
    ),
    "high-pass": DataSet(
        1_280,
        ("inf", "3.0", "1.5", "1.0", "0.7", "0.55", "0.45", "0.4"),
        ("inf", "0.55", "0.45", "0.4"),
    ),
    "low-pass": DataSet(1_280, ("0", "1", "3", "5", "7", "10", "15", "40"), ("0", "15", "40")),
    "phase-scrambling": DataSet(
        1_120, ("0", "30", "60", "90", "120", "150", "180"), ("0", "150", "180")
    ),
    "power-equalisation": DataSet(1_120, ("0", "pow"), ("0",)),
    "false-colour": DataSet(1_120, ("True", "False"), ("True",)),
    "rotation": DataSet(1_280, ("0", "90", "180", "270"), ("0",)),
    "eidolonI": _eidolon(10, 6),
    "eidolonII": _eidolon(3, 5),
    "eidolonIII": _eidolon(0, 4),
    "uniform-noise": DataSet(
        1_280, ("0.0", "0.03", "0.05", "0.1", "0.2", "0.35", "0.6", "0.9"), ("0.0", "0.6", "0.9")
    ),
    "sketch": DataSet(800),
    "stylized": DataSet(800),
}

# What the second part of an image's name is, in the data sets whose conditions do not tell them
# apart.
_CODES = {
    "edg": "edge",
    "sif": "silhouette",
    "s5n": CUE_CONFLICT,
    "ske": "sketch",
    "sty": "stylized",
}
# An image's name as published: <trial>_<code>_<subject>_<condition>_<category>_<nn>_<original>.
PUBLISHED_NAME = re.compile(
    r"\d{4}_(?P<code>[a-z0-9]{2,3})_(?:s\d+|dnn)_(?P<condition>[^_]+)_(?P<category>[^_]+)_"
)
_REMEDY = (
    "get the data with `python code/download.py model-vs-human`, or give their folder with "
    "--stimuli (or BVG_MODEL_VS_HUMAN)"
)


def condition_of(data_set: str, spelling: str) -> str:
    """Return the condition, as DATA_SETS spells it, for another spelling in a file or table.

    Published files have `true`, `0.90` and `3` for True, 0.9 and 3.0. A data set's only condition
    may be any number or word but those of other data sets' conditions. Unknown conditions are
    returned unchanged.
    """
    conditions = DATA_SETS[data_set].conditions
    if len(conditions) == 1:
        return spelling if _normalized(spelling) in _ELSEWHERE else conditions[0]
    same = (name for name in conditions if _normalized(name) == _normalized(spelling))
    return next(same, spelling)


def _normalized(condition: str) -> str | float:
    try:
        return float(condition.replace(",", "."))  # spreadsheets may write decimal commas
    except ValueError:
        return condition.strip().casefold()


_ELSEWHERE = {
    word
    for one in DATA_SETS.values()
    for word in map(_normalized, one.conditions)
    if isinstance(word, str)
}


def data_set_of(image_name: str) -> str:
    """Return the data set that an image's name states, empty if it states none that is known.

    A name with the code of cue conflict that does not name two cues states none.
    """
    match = PUBLISHED_NAME.match(image_name)
    name = _CODES.get(match["code"], "") if match else ""
    return "" if name == CUE_CONFLICT and "-" not in image_name else name


def locate_stimuli(given: str | None, names: Sequence[str], partial: bool = False) -> Path:
    """Return the folder of the data sets: `given`, $BVG_MODEL_VS_HUMAN or the downloaded one.

    Raises UserError if it contains none of the data sets, or lacks one of `names` (if `partial`,
    all of them).
    """
    folder = find_data("model-vs-human", given)
    existing_folder(folder, "the folder of the model-vs-human data sets", "--stimuli")
    existing = [name for name in DATA_SETS if (folder / name).is_dir()]
    if not existing:
        expected = ", ".join([*DATA_SETS][:3])
        layout = f"folders of the 17 data sets ({expected}, …)"
        raise wrong_folder(folder, "model-vs-human", layout, DATA_SETS)
    missing = [name for name in names if name not in existing]
    if len(missing) == len(names) or (missing and not partial):
        unknown = [name for name in subfolders(folder) if name not in DATA_SETS]
        also = f" (but has {first_few(unknown)}, which is none of them)" if unknown else ""
        raise UserError(
            f"{folder} lacks the data set(s) {', '.join(missing)}{also}: {_REMEDY}, or evaluate "
            f"the existing ones with --partial (or --datasets {' '.join(existing)})"
        )
    return folder


def model_vs_human(
    root: Path, classes: tuple[str, ...] | None, names: Iterable[str], partial: bool = False
) -> ImageSet:
    """Return the images of the existing data sets among `names`, data set after data set.

    root: the folder that contains them. classes: those of the models; 16 classes are taken as the
    categories, otherwise the categories are the entry-level ones. Conditions are named `<data
    set>/<condition>`, images `<data set>/<path inside>`. Labels are categories, as indices into
    `classes`, and so is the column `texture` (-1 except for cue-conflict stimuli). Numbers of
    images that differ from the published ones are noted in the result.
    Raises UserError if folders or names differ from the published layout, and, unless `partial`,
    if a data set lacks conditions or categories, or has fewer images under some conditions.
    """
    classes = classes or classes_in(root)
    classes = classes if len(classes) == len(CATEGORIES) else CATEGORIES
    parts = {
        name: _data_set(root, name, classes)
        for name in DATA_SETS
        if name in {*names} and (root / name).is_dir()
    }
    for name, part in parts.items() if not partial else ():
        _check_whole(root / name, name, part)
    counts = {name: len(part.files) for name, part in parts.items()}
    other = {
        name: {"images": count, "expected_images": DATA_SETS[name].images}
        for name, count in counts.items()
        if count != DATA_SETS[name].images
    }
    sample = {name: [part.files[k] for k in sampled(len(part))] for name, part in parts.items()}
    same = same_files(root, sample)
    return ImageSet(
        root,
        tuple(file for part in parts.values() for file in part.files),
        tuple(f"{name}/{image}" for name, part in parts.items() for image in part.names),
        np.concatenate([part.labels for part in parts.values()]),
        classes,
        {"texture": np.concatenate([part.columns["texture"] for part in parts.values()])},
        {"data_sets": counts, **({"partial": other} if other else {}), **same},
        tuple(f"{name}/{shown}" for name, part in parts.items() for shown in part.conditions),
        view=READY_224,
    )


def _data_set(root: Path, name: str, classes: tuple[str, ...]) -> ImageSet:
    """Return one data set with files relative to `root`, names relative to the data set."""
    folder = root / name
    if (folder / name).is_dir():  # unpacked into another folder of the same name
        folder = folder / name
    if not DATA_SETS[name].folders:
        found = _in_sessions(folder, name, classes)
    elif name == CUE_CONFLICT:
        found = cue_conflict(folder, classes, partial=True)
    else:
        found = _in_categories(folder, name, classes)
    files = tuple(f"{folder.relative_to(root).as_posix()}/{file}" for file in found.files)
    texture = found.columns.get("texture", np.full(len(files), -1, dtype=np.int64))
    conditions = found.conditions or ("0",) * len(files)
    return ImageSet(
        root, files, found.names, found.labels, classes, {"texture": texture}, {}, conditions
    )


def _check_whole(folder: Path, name: str, found: ImageSet) -> None:
    """Raise UserError when conditions or categories are missing, or conditions differ in size.

    The published number of images is accepted in any distribution over conditions.
    """
    check_categories(folder, found.labels, found.classes)
    counts = Counter(found.conditions)
    missing = [condition for condition in DATA_SETS[name].conditions if not counts[condition]]
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if missing:
        problem = f"{folder} has no images of the condition(s) {', '.join(missing)}"
    elif counts[least] < counts[most] and len(found) != DATA_SETS[name].images:
        problem = (
            f"{folder} has {counts[least]:,} image(s) of the condition {least} and "
            f"{counts[most]:,} of {most}"
        )
    else:
        return
    raise UserError(
        f"{problem}: unpack or download the data set again, or evaluate the existing images with "
        "--partial (recorded in the result; means that need a missing condition are undefined)"
    )


def _in_categories(folder: Path, name: str, classes: tuple[str, ...]) -> ImageSet:
    check_folders(folder, classes, "categories")
    images = images_of_classes(folder, classes)
    check_stems(folder, images.files)
    if classes == CATEGORIES:
        check_names(folder, images.files, classes)
    if not len(images):
        raise UserError(
            f"{folder} holds no {name} stimuli: category folders ({', '.join(classes[:3])}, …) "
            f"with image files are expected; {_REMEDY}"
        )
    return images


def _in_sessions(folder: Path, name: str, classes: tuple[str, ...]) -> ImageSet:
    sessions = subfolders(folder / "dnn") if (folder / "dnn").is_dir() else []
    files = [f"dnn/{s}/{file}" for s in sessions for file in image_files(folder / "dnn" / s)]
    if not files:
        raise UserError(
            f"{folder} holds no {name} stimuli: files dnn/session-1/<a>_<b>_<c>_<condition>_"
            f"<category>_….png are expected; {_REMEDY}"
        )
    check_copies(folder, files)
    conditions, labels, sessions_of = [], [], dict[str, str]()
    for file in files:
        other = sessions_of.setdefault(Path(file).stem, file)
        if other != file:
            raise found_twice(folder, other, file)
        if data_set_of(Path(file).name) not in ("", name):
            raise UserError(
                f"{folder / file} is a stimulus of {data_set_of(Path(file).name)} by its name, not "
                f"of {name}: unpack or download the data set again"
            )
        condition, category = [*Path(file).stem.split("_"), "", "", "", "", ""][3:5]
        condition = condition_of(name, condition)
        if category not in classes or condition not in DATA_SETS[name].conditions:
            unknown = "category" if category not in classes else "condition"
            known = classes if unknown == "category" else DATA_SETS[name].conditions
            raise UserError(
                f"{folder / file} names no {unknown} of {name} ({', '.join(known)}): "
                "<a>_<b>_<c>_<condition>_<category>_….png is expected; rename or remove it"
            )
        conditions.append(condition)
        labels.append(classes.index(category))
    names = tuple(files)
    return ImageSet(
        folder, names, names, np.array(labels, dtype=np.int64), classes, conditions=conditions
    )
