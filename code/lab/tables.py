"""What is written of each subject: the decisions in the published format, and the timing.

Both tables are replaced as a whole, atomically, after every trial: a killed server or a full disk
leaves the trials that were saved before.
"""

import csv
import io
import json
import math
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bvg.errors import UserError
from bvg.files import written_atomically
from bvg.scores.decision_table import COLUMNS
from lab.stimuli import Stimulus, fingerprint, in_order

MISSED = "na"
SESSION = 1
INSTRUCTIONS = ("neutral", "shape", "texture")
PHASES = ("fixation", "stimulus", "blank_1", "mask", "blank_2", "response", "gap", "end")
# What the page measures in each trial: numbers, in the units that docs/lab.md states.
MEASURED = (
    "refresh_ms",
    *(f"{phase}_ms" for phase in PHASES),
    "dropped",
    "repeats",
    "clicks",
    "first_rt",
    "cursor_x",
    "cursor_y",
    "cursor_path",
    "device_px",
    "device_pixel_ratio",
    "window_width",
    "window_height",
    "screen_width",
    "screen_height",
    "px_per_cm",
    "distance_cm",
    "degrees",
    "fullscreen",
)
TIMING = ("subj", "session", "trial", *MEASURED, "first_response", "user_agent")
MOST_SUBJECTS = 999
MOST_CHARACTERS = 200  # of the browser's name
PROTOCOL = "protocol.json"
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class RefusedError(Exception):
    """An answer that cannot be one of the page's."""


@dataclass(frozen=True)
class Study:
    """One experiment: a data set, an instruction, a folder for its tables.

    trials: the number of trials of each subject, or None for all stimuli.
    distance: between eyes and screen, in cm.
    """

    name: str
    stimuli: list[Stimulus]
    practice: list[Stimulus]
    grid: list[list[str]]
    settings: dict[str, Any]
    instruction: str
    out: Path
    seed: int = 0
    trials: int | None = None
    distance: float = 107.0
    rows: dict[int, dict[int, list[str]]] = field(default_factory=dict)
    timing: dict[int, dict[int, list[str]]] = field(default_factory=dict)

    @property
    def categories(self) -> list[str]:
        """Return the possible answers."""
        return [name for column in self.grid for name in column]

    def protocol(self) -> dict[str, Any]:
        """Return what has to be the same for all subjects of a folder of tables."""
        return {
            "name": self.name,
            "instruction": self.instruction,
            "stimuli": fingerprint(self.stimuli),
            "number_of_stimuli": len(self.stimuli),
            "practice": fingerprint(self.practice),
            "trials": self.trials or len(self.stimuli),
            "seed": self.seed,
            "grid": self.grid,
            "settings": self.settings,
        }

    def order(self, subject: int) -> list[Stimulus]:
        """Return what a subject sees, trial by trial."""
        return in_order(self.stimuli, self.seed, subject)[: self.trials]

    def table(self, subject: int) -> Path:
        """Return the file of a subject's decisions, named as in model-vs-human."""
        return self.out / f"{self.name}_{subject_name(subject)}_session_{SESSION}.csv"

    def timing_table(self, subject: int) -> Path:
        """Return the file of a subject's timing; whoever reads decisions reads all *.csv."""
        return self.out / f"{self.table(subject).stem}_timing.tsv"

    def image_name(self, subject: int, trial: int, stimulus: Stimulus) -> str:
        """Return a trial's imagename in the published pattern."""
        parts = [f"{trial:04d}", self.instruction, f"s{subject:02d}", stimulus.condition]
        return "_".join([*parts, stimulus.category, "00", stimulus.file])

    def saved(self, subject: int) -> dict[int, list[str]]:
        """Return the rows of the trials that a subject has finished, by number."""
        if subject not in self.rows:
            self.timing[subject] = _rows(self.timing_table(subject), TIMING)
            self.rows[subject] = _rows(self.table(subject), COLUMNS)
        return self.rows[subject]

    def save(self, subject: int, answer: dict[str, Any], browser: str) -> None:
        """Write a trial of a subject; one that is there already stays as it is.

        answer: trial, response, rt in seconds, and the numbers MEASURED. Raises RefusedError if
        these are impossible, UserError if the file cannot be written.
        """
        order, saved = self.order(subject), self.saved(subject)
        trial = answer.get("trial")
        if type(trial) is not int or not 1 <= trial <= len(order):
            raise RefusedError(f"trial: a number from 1 to {len(order)} is expected")
        if trial in saved:
            return
        stimulus = order[trial - 1]
        response = self._category(answer.get("response")) or MISSED
        first = self._category(answer.get("first_response"))
        rt = _number("rt", answer.get("rt"))
        if (rt == "") != (response == MISSED):
            raise RefusedError("rt: a number is expected for a response, none for a missed one")
        subj = [subject_name(subject), str(SESSION), str(trial)]
        name = self.image_name(subject, trial, stimulus)
        decided = [rt or "NaN", response, stimulus.category, stimulus.condition, name]
        measured = [_number(column, answer.get(column)) for column in MEASURED]
        timing = self.timing[subject]
        timing[trial] = [*subj, *measured, first, _printable(browser)]
        saved[trial] = subj + decided
        try:
            _write(self.timing_table(subject), TIMING, timing)
            _write(self.table(subject), COLUMNS, saved)
        except UserError:
            del saved[trial], timing[trial]
            raise

    def _category(self, given: object) -> str:
        if given is None:
            return ""
        if given not in self.categories:
            raise RefusedError("response: one of the categories, or null, is expected")
        return str(given)


def subject_name(subject: int) -> str:
    """Return subject-07 for 7."""
    return f"subject-{subject:02d}"


def _number(name: str, given: object) -> str:
    """Return a number as text, "" for None."""
    if given is None:
        return ""
    if not isinstance(given, int | float) or not math.isfinite(given):
        raise RefusedError(f"{name}: a number, or null, is expected")
    return f"{float(given):.10g}"


def _printable(text: str) -> str:
    return "".join(c for c in text[:MOST_CHARACTERS] if " " <= c <= "~")


def _rows(path: Path, columns: list[str] | tuple[str, ...]) -> dict[int, list[str]]:
    """Return the rows of a table by trial, none if there is no file; raises UserError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file, delimiter=_DELIMITERS[path.suffix])
        if header != [*columns] or any(len(row) != len(columns) for row in rows):
            raise ValueError
        return {int(row[2]): row for row in rows}
    except FileNotFoundError:
        return {}
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{path} is not a table of this experiment: move it elsewhere, or choose another "
            "folder with --out"
        ) from error


def _write(path: Path, columns: list[str] | tuple[str, ...], rows: dict[int, list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=_DELIMITERS[path.suffix], lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows[trial] for trial in sorted(rows))
    _write_text(path, text.getvalue())


def _write_text(path: Path, text: str) -> None:
    with written_atomically(path, "--out") as file:
        file.write(text.encode(errors="surrogateescape"))


def check_protocol(study: Study) -> str:
    """Write the protocol into the folder of tables, if it is new, and return the folder's id.

    Browsers keep unsent trials under the id. Raises UserError if the folder has another protocol.
    """
    path, own = study.out / PROTOCOL, study.protocol()
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        identity = secrets.token_hex(8)
        text = json.dumps({"id": identity, **own}, indent=2, ensure_ascii=False)
        _write_text(path, text + "\n")
        return identity
    except ValueError:
        before = None
    if not isinstance(before, dict) or "id" not in before:
        raise UserError(f"{path} is damaged: restore it, or choose another folder with --out")
    changed = [key for key in own if own[key] != before.get(key)]
    if changed:
        raise UserError(
            f"the tables in {study.out} were begun with other settings ({', '.join(changed)}; see "
            f"{path}): repeat these, or choose another folder with --out"
        )
    return str(before["id"])
