"""Decision tables of any observers, from folders in any of the published formats, as one table.

The formats: texture-vs-shape (Geirhos et al. 2019), model-vs-human (2021), our own, which are alike
but for the names of folders and experiments, and the vision-language study's (Gavrikov et al.
2024). An observer is a network, or all people who took part in an experiment together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS
from bvg.errors import UserError, first_few
from bvg.scores.decision_table import (
    COLUMNS,
    has_two_cues,
    holds_responses,
    original_image,
    read_decisions,
    read_responses,
)
from bvg.scores.humans import MISSED, SUBJECT, checked, conditions_of, subject_of
from bvg.scores.shape_bias import texture_of

HUMANS = "humans"
GREYSCALE, ORIGINAL, TEXTURE = "greyscale", "original", "texture"
# texture-vs-shape's experiments, as model-vs-human calls data sets of the same kind.
_DATA_SETS = {
    "style-transfer-512-nomask": CUE_CONFLICT,
    "style-transfer-512-nomask-content-guessing": CUE_CONFLICT,
    "style-transfer-512-nomask-texture-guessing": CUE_CONFLICT,
    "silhouette-filled": "silhouette",
    "grayscale": GREYSCALE,
    "noise": "uniform-noise",
    "contrast-png": "contrast",
    "lowpass": "low-pass",
    "highpass": "high-pass",
    **{name: name for name in (ORIGINAL, "edge", TEXTURE)},
}
# In these, people were told which of the two to answer.
_INSTRUCTED = {
    "style-transfer-512-nomask-content-guessing": f"{HUMANS} told to answer the shape",
    "style-transfer-512-nomask-texture-guessing": f"{HUMANS} told to answer the texture",
}
_ONE_CONDITION = (ORIGINAL, GREYSCALE, TEXTURE)
_EIDOLONS = {"10": "eidolonI", "3": "eidolonII", "0": "eidolonIII"}  # by coherence
# Beside people, these networks were Caffe's; texture-vs-shape's others are torchvision's.
_CAFFE = ("alexnet", "googlenet", "vgg")
# Written beside decision tables by eval_model_vs_human.py, by score_decisions.py, and by
# laboratories (the times of a trial's phases).
_OTHER_FILES = re.compile(
    r"(human_comparison|error_consistency|members|confusion|.+_timing)\.csv(\.gz)?"
)
_LONGEST = 60  # seconds: a longer median is not in seconds
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]|^\.+$')  # of folders, on some system


@dataclass(frozen=True)
class Source:
    """A folder of decision tables; with a label, which its observers' names get in brackets."""

    folder: Path
    label: str = ""


def source_of(word: str) -> Source:
    """Return the source that FOLDER or LABEL=FOLDER names; raises UserError without the folder."""
    label, _, name = ("", "", word) if Path(word).exists() else word.partition("=")
    if not (folder := Path(name or word).expanduser()).is_dir():
        raise UserError(
            f"{folder} is not a folder: give folders of decision tables, as FOLDER or LABEL=FOLDER"
        )
    return Source(folder, label)


def read_observers(sources: Sequence[Source]) -> pd.DataFrame:
    """Return the trials of all decision tables below the folders, one row each.

    Columns: those of decision tables, with categories and conditions as model-vs-human spells them,
    and `observer` (a network's name, or `humans`), `member` (which of them; of a network, which
    session), `data_set`, `image` (the original file's name), `texture` (empty but for cue-conflict
    stimuli) and `source`. Copies of a table count once.
    Raises UserError for a file that is no decision table, for response times that are not seconds,
    for an image twice in a session, and for two observers of one name, be it in two sources, or in
    two files of one session that differ.
    """
    files: dict[tuple[str, ...], pd.DataFrame] = {}
    for source in sources:
        for path in _paths(source.folder):
            for key, trials in _read(path, source).groupby(
                ["observer", "subj", "data_set", "session"], sort=False
            ):
                name = tuple(map(str, key))
                known = files.setdefault(name, trials)
                if known is not trials and not _same_decisions(known, trials):
                    one = f"number its sessions in the column session (both are {key[3]})"
                    raise _namesakes(str(key[0]), known["path"].iloc[0], path, one)
    table = pd.concat(files.values(), ignore_index=True)
    _check_sources(table)
    return table.drop(columns="path")


def _paths(folder: Path) -> list[Path]:
    """Return the tables below a folder, without hidden files; raises UserError without any."""
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith((".csv", ".csv.gz"))
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not _OTHER_FILES.fullmatch(path.name.lower())
    )
    if not paths:
        raise UserError(f"{folder} holds no decision tables (*.csv), nor does a folder below it")
    return paths


def _read(path: Path, source: Source) -> pd.DataFrame:
    """Return one file's trials, with the columns that `read_observers` describes and `path`."""
    responses = holds_responses(path)
    table = read_responses(path) if responses else read_decisions(path)
    table = table.drop_duplicates([name for name in COLUMNS if name != "rt"])
    table = table.assign(
        session=[_session(name) for name in table["session"]], rt=_seconds(table, path)
    )
    experiment = CUE_CONFLICT if responses else _experiment(path, table["imagename"])
    of_condition = {c: _data_set(experiment, c) for c in table["condition"].unique()}
    data_sets = table["condition"].map(of_condition)
    table = table.assign(subj=table["subj"].map(subject_of), data_set=data_sets)
    parts = [_tidy(part, path, str(name)) for name, part in table.groupby("data_set", sort=False)]
    table = pd.concat(parts)
    _check_repeated(table, path)
    human = table["subj"].str.startswith(SUBJECT)
    people = _INSTRUCTED.get(experiment, HUMANS)
    is_caffe = experiment in _DATA_SETS and path.parent.name == f"{experiment}-experiment"
    names = [f"{n} (caffe)" if is_caffe and n in _CAFFE else n for n in table["subj"]]
    ending = f" ({source.label})" if source.label else ""
    observers = [people if person else name for name, person in zip(names, human, strict=True)]
    return table.assign(
        observer=[_NOT_IN_NAMES.sub("-", name + ending) for name in observers],
        member=table["subj"].where(human, "session " + table["session"]),
        source=str(source.folder),
        path=str(path),
    )


def _session(name: object) -> str:
    """Return 1 for variants such as 1.0 and session-1, and for none."""
    text = re.sub(r"^session[-_ ]?|\.0$", "", str(name).casefold())
    return "1" if text in ("", "nan") else text


def _seconds(table: pd.DataFrame, path: Path) -> pd.Series:
    """Return response times in seconds, NaN where there is none: none was given, or it is 0.

    Raises UserError for what is no time, and for milliseconds, be it of one subject only.
    """
    column = table["rt"]
    text = (
        column.astype(object).fillna("").astype(str).str.casefold().str.replace(",", ".")
    )  # decimal commas
    given = ~text.isin([*MISSED])
    times = pd.to_numeric(text.where(given), errors="coerce")
    unread = column[given & ~times.between(0, _LONGEST * 1000)]
    if len(unread):
        raise UserError(
            f"{path} has {first_few([repr(value) for value in dict.fromkeys(unread)])} in the "
            "column rt, where seconds are expected: correct the file, or leave cells without a "
            "response time empty"
        )
    for subject, median in times.groupby(table["subj"]).median().items():
        if median > _LONGEST:
            raise UserError(
                f"{path} has a median response time of {median:,.0f} of {subject}, which are not "
                "seconds: divide the column rt by 1000 if it is in milliseconds"
            )
    return times.where(times > 0)


def _check_repeated(table: pd.DataFrame, path: Path) -> None:
    """Raise UserError for an image that was shown twice under one condition in one session."""
    again = table.duplicated(["subj", "session", "data_set", "condition", "image"])
    if again.any():
        raise UserError(
            f"{path} has {first_few([*dict.fromkeys(table['image'][again])])} more than once in a "
            "session, or under several names that end alike (an image is known by the last part "
            "between underscores): number the sessions, or rename the images or remove the trials"
        )


def _experiment(path: Path, images: pd.Series) -> str:
    """Return the experiment in a file's name, <experiment>_<subject>_session…, or its folder's.

    Where neither is named as published, images with two cues are cue conflicts.
    """
    named = re.match(r"([^_]+)_.+_session[_-]\d+\.csv", path.name)
    folder = path.parent.name
    name = re.sub(r"-experiment(-.+)?$", "", named[1] if named else folder)
    if named or name != folder or name in (*DATA_SETS, *_DATA_SETS):
        return name
    return CUE_CONFLICT if all(map(has_two_cues, images)) else name


def _data_set(experiment: str, condition: str) -> str:
    coherence = re.fullmatch(r"\d+-(\d+)-10", condition)
    if experiment == "eidolon" and coherence and coherence[1] in _EIDOLONS:
        return _EIDOLONS[coherence[1]]
    return _DATA_SETS.get(experiment, experiment)


def _tidy(table: pd.DataFrame, path: Path, data_set: str) -> pd.DataFrame:
    table = checked(table, path, data_set)
    conditions = conditions_of(data_set, table["condition"])
    images = table["imagename"].map(original_image)
    textures = images.map(texture_of)
    known = {*CATEGORIES, *table["category"]}
    with_cues = images.str.contains("-").all() and textures.isin(known).all()
    return table.assign(
        condition=["0" for _ in conditions] if data_set in _ONE_CONDITION else conditions,
        image=images,
        texture=textures if with_cues or data_set == CUE_CONFLICT else "",
    )


def _same_decisions(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether two tables have the same responses to the same images."""
    both = [
        table.sort_values(["condition", "image", "trial"])[
            ["condition", "image", "object_response", "category"]
        ].to_numpy()
        for table in (one, other)
    ]
    return both[0].shape == both[1].shape and bool((both[0] == both[1]).all())


def _check_sources(table: pd.DataFrame) -> None:
    """Raise UserError for an observer from two sources; people, only in the same data set."""
    people = table["observer"].str.startswith(HUMANS)
    where = table["observer"].where(~people, table["observer"] + " in " + table["data_set"])
    for name, sources in table.groupby(where)["source"].unique().items():
        if len(sources) > 1:
            raise _namesakes(str(name), sources[0], sources[1], "give the folder above both")


def _namesakes(name: str, first: object, second: object, one: str) -> UserError:
    """Return the error for decisions in two places; one: the remedy if the observer is the same."""
    return UserError(
        f"{name}: decisions in {first} and in {second}, which are never pooled; if these are two "
        "observers, give each folder a label (LABEL=FOLDER), which their names get in brackets; if "
        f"it is one, {one}; or leave one out"
    )
