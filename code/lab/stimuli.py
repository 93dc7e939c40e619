"""The pictures of an experiment, from any of the project's folders, in each subject's order."""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from bvg.data.folders import image_files, subfolders
from bvg.data.preprocessing import UNDECODABLE, decode
from bvg.errors import UserError, reason_of
from bvg.scores.decision_table import original_image
from bvg.scores.shape_bias import texture_of
from lab.mask import SIDE

_FIELDS = 6  # of the published names, before the original file: _PATTERN in scores/decision_table
_CONDITION, _CATEGORY = 3, 4
CATCH = "catch"  # the condition of catch trials


@dataclass(frozen=True)
class Stimulus:
    """A picture to be shown.

    file: the image's own name, by which observers' answers to it are compared.
    category: the one of the shape, in cue conflicts.
    digest: a hash of the file, as it was when the folder was read.
    is_catch: whether it is unambiguous, to see if subjects pay attention.
    """

    path: Path
    file: str
    category: str
    condition: str = "0"
    digest: str = ""
    is_catch: bool = False

    @property
    def key(self) -> str:
        """Return the identity of the picture within its folder, which its order depends on."""
        return f"{self.condition}/{self.category}/{self.file}"

    def right(self, instruction: str, categories: Sequence[str]) -> str:
        """Return the answer that counts as correct: the texture, if asked for, or the category."""
        texture = self.texture(categories)
        return texture if instruction == "texture" and texture else self.category

    def texture(self, categories: Sequence[str]) -> str:
        """Return the texture's category, "" for a picture that is not named after one."""
        texture = texture_of(self.file) if "-" in self.file else ""
        return texture if texture in categories else ""


def stimuli_in(folder: Path) -> list[Stimulus]:
    """Return the pictures in `folder`, sorted by condition, category and name.

    Layouts: <category>/<file>; <condition>/<category>/<file>; and model-vs-human's
    dnn/session-<n>/<a>_<b>_<c>_<condition>_<category>_<d>_<file>. Raises UserError for any other
    layout, and for a picture that is not 224 x 224 pixels, or is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give the folder of the stimuli")
    inside = subfolders(folder)
    if "dnn" in inside:
        found = _in_sessions(folder / "dnn")
    elif any(image_files(folder / name) for name in inside):
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
    found = [replace(stimulus, digest=_digest(stimulus.path)) for stimulus in found]
    return sorted(found, key=lambda stimulus: stimulus.key)


def check_names(stimuli: Sequence[Stimulus]) -> None:
    """Raise UserError for pictures of one condition that readers of tables take for the same."""
    names = Counter((stimulus.condition, original_image(stimulus.file)) for stimulus in stimuli)
    twice = {name for name, count in names.items() if count > 1}
    paths = [s.path for s in stimuli if (s.condition, original_image(s.file)) in twice]
    if paths:
        raise UserError(
            f"{paths[0]} and {paths[1]} could not be told apart in tables, where an image is known "
            "by what follows the last underscore of its file's name, without the category: rename "
            "them"
        )


def _in_categories(folder: Path, condition: str) -> list[Stimulus]:
    return [
        Stimulus(folder / name / file, file, name, condition)
        for name in subfolders(folder)
        for file in image_files(folder / name)
    ]


def _in_sessions(folder: Path) -> list[Stimulus]:
    found = []
    for session in subfolders(folder):
        for name in image_files(folder / session):
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


def _digest(path: Path) -> str:
    """Return a hash of a file that can be shown; raises UserError for any other."""
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
        if size == (SIDE, SIDE):
            decode(io.BytesIO(data))
    except UNDECODABLE as error:
        raise UserError(
            f"{path} cannot be read as an image ({reason_of(error)}): replace or remove it"
        ) from error
    if size != (SIDE, SIDE):
        raise UserError(
            f"{path} has {size[0]} x {size[1]} pixels, where {SIDE} x {SIDE} are shown: resize the "
            "stimuli, or give another folder"
        )
    return _hash(data)


def pixels_of(stimulus: Stimulus) -> Image.Image | None:
    """Return the picture as models see it, or None if its file has changed since it was listed."""
    data = stimulus.path.read_bytes()
    return decode(io.BytesIO(data)) if _hash(data) == stimulus.digest else None


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def catch_stimuli_in(
    folder: Path, stimuli: Sequence[Stimulus], categories: Sequence[str]
) -> list[Stimulus]:
    """Return the pictures of catch trials, as `stimuli_in` does.

    Raises UserError also for pictures of two categories, of others than `categories`, and for those
    that are among the stimuli.
    """
    found = [replace(one, condition=CATCH, is_catch=True) for one in stimuli_in(folder)]
    shown = {stimulus.digest for stimulus in stimuli}
    for one in found:
        texture = one.texture(categories)
        if texture not in ("", one.category):
            wrong = f"is named after two categories, {one.category} and {texture}"
        elif one.category not in categories:
            wrong = f"is of {one.category}, of which there is no icon"
        elif one.digest in shown:
            wrong = "is one of the stimuli"
        else:
            continue
        raise UserError(
            f"{one.path} {wrong}: give --catch other pictures, each of one category, such as "
            "photographs"
        )
    return found


def in_order(stimuli: Sequence[Stimulus], seed: int, subject: int) -> list[Stimulus]:
    """Return the stimuli in a subject's random order, a pure function of seed, subject and keys."""
    return sorted(stimuli, key=lambda stimulus: _draw(seed, subject, stimulus.key))


def interspersed(
    stimuli: Sequence[Stimulus], catch: Sequence[Stimulus], seed: int, subject: int
) -> list[Stimulus]:
    """Return the stimuli in their order, with catch trials in between.

    The stimuli are divided into as many equal parts as there are catch trials; one of these comes
    before a random stimulus of each part, a pure function of seed, subject and the numbers of both.
    """
    before: dict[int, Stimulus] = {}
    for part, one in enumerate(catch):
        first, end = (len(stimuli) * edge // len(catch) for edge in (part, part + 1))
        drawn = int.from_bytes(_draw(seed, subject, f"{CATCH}\0{part}"), "big")
        before[first + drawn % (end - first)] = one
    mixed: list[Stimulus] = []
    for place, stimulus in enumerate(stimuli):
        mixed += [*([before[place]] if place in before else []), stimulus]
    return mixed


def _draw(seed: int, subject: int, key: str) -> bytes:
    text = f"{seed}\0{subject}\0{key}".encode(errors="surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()


def fingerprint(stimuli: Sequence[Stimulus]) -> str:
    """Return a hash of the pictures, their names, categories and conditions."""
    digest = hashlib.sha256()
    for stimulus in stimuli:
        digest.update(f"{stimulus.key}\0{stimulus.digest}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
