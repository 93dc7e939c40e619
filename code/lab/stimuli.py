"""The pictures of an experiment, from any of the project's folders, in each subject's order."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bvg.errors import UserError, first_few
from bvg.scores.shape_bias import texture_of
from lab.mask import SIDE

_FIELDS = 6  # of the published names, before the original file: _PATTERN in scores/decision_table
_CONDITION, _CATEGORY = 3, 4
_ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Stimulus:
    """A picture to be shown.

    file: the image's own name, by which observers' answers to it are compared.
    category: the one of the shape, in cue conflicts.
    """

    path: Path
    file: str
    category: str
    condition: str = "0"

    @property
    def key(self) -> str:
        """Return the identity of the picture within its folder, which its order depends on."""
        return f"{self.condition}/{self.category}/{self.file}"

    def right(self, instruction: str, categories: Sequence[str]) -> str:
        """Return the answer that counts as correct: the texture, if asked for, or the category."""
        texture = texture_of(self.file) if "-" in self.file else ""
        return texture if instruction == "texture" and texture in categories else self.category


def stimuli_in(folder: Path) -> list[Stimulus]:
    """Return the pictures in `folder`, sorted by condition, category and name.

    Layouts: <category>/<file>; <condition>/<category>/<file>; and model-vs-human's
    dnn/session-<n>/<a>_<b>_<c>_<condition>_<category>_<d>_<file>. Raises UserError for any other
    layout, and for a picture that is not 224 x 224 pixels.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give the folder of the stimuli")
    inside = _subfolders(folder)
    if "dnn" in inside:
        found = _in_sessions(folder / "dnn")
    elif any(_image_files(folder / name) for name in inside):
        found = _in_categories(folder, "0")
    else:
        found = [
            stimulus
            for name in inside
            for stimulus in _in_categories(folder / name, name.replace("_", "-"))
        ]
    if not found:
        raise UserError(
            f"{folder} holds no stimuli: folders <category>/<image>, or <condition>/<category>/"
            "<image>, are expected; give the folder of one data set, such as "
            "model-vs-human/cue-conflict"
        )
    keys = [stimulus.key for stimulus in found]
    twice = sorted({key for key in keys if keys.count(key) > 1}) if len({*keys}) < len(keys) else []
    if twice:
        raise UserError(
            f"{folder} has several images of one name ({first_few(twice)}), which the tables could "
            "not tell apart: rename them"
        )
    for stimulus in found:
        _check_size(stimulus.path)
    return sorted(found, key=lambda stimulus: stimulus.key)


# bvg.data.folders lists the same, but imports torchvision, which takes seconds.
def _image_files(folder: Path) -> list[str]:
    paths = [path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS]
    return sorted(path.name for path in paths if not path.name.startswith("."))


def _subfolders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _in_categories(folder: Path, condition: str) -> list[Stimulus]:
    return [
        Stimulus(folder / name / file, file, name, condition)
        for name in _subfolders(folder)
        for file in _image_files(folder / name)
    ]


def _in_sessions(folder: Path) -> list[Stimulus]:
    found = []
    for session in _subfolders(folder):
        for name in _image_files(folder / session):
            fields = name.split("_", _FIELDS)
            if len(fields) <= _FIELDS:
                raise UserError(
                    f"{folder / session / name} is not named <a>_<b>_<c>_<condition>_<category>_"
                    "<d>_<file>: rename or remove it"
                )
            stimulus = Stimulus(
                folder / session / name, fields[-1], fields[_CATEGORY], fields[_CONDITION]
            )
            found.append(stimulus)
    return found


def _check_size(path: Path) -> None:
    try:
        with Image.open(path) as image:
            size = image.size
    except OSError as error:
        raise UserError(f"{path} cannot be read as an image: replace or remove it") from error
    if size != (SIDE, SIDE):
        raise UserError(
            f"{path} has {size[0]} x {size[1]} pixels, where {SIDE} x {SIDE} are shown: resize the "
            "stimuli, or give another folder"
        )


def in_order(stimuli: Sequence[Stimulus], seed: int, subject: int) -> list[Stimulus]:
    """Return the stimuli in a subject's random order, a pure function of seed, subject and keys."""

    def place(stimulus: Stimulus) -> bytes:
        key = f"{seed}\0{subject}\0{stimulus.key}".encode(errors="surrogateescape")
        return hashlib.blake2b(key, digest_size=16).digest()

    return sorted(stimuli, key=place)


def fingerprint(stimuli: Sequence[Stimulus]) -> str:
    """Return a hash of the pictures' names, categories, conditions and sizes in bytes."""
    digest = hashlib.sha256()
    for stimulus in stimuli:
        text = f"{stimulus.key}\0{stimulus.path.stat().st_size}\n"
        digest.update(text.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
