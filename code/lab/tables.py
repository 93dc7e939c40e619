"""What is written of each subject: the decisions in the published format, and the timing.

Catch trials have a table of their own, in the same format, so that no score contains them. All
tables are replaced as a whole, atomically, after every trial: a killed server or a full disk
leaves the trials that were saved before.
"""

import csv
import io
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bvg.errors import UserError, first_few
from bvg.files import written_atomically
from bvg.scores.decision_table import COLUMNS
from bvg.scores.humans import human_decisions
from bvg.scores.observers import Source, read_observers
from lab.stimuli import Stimulus, fingerprint, in_order, interspersed

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
CATCH_SCORES = ("subj", "trials", "correct", "missed", "percent_correct")
CATCH_TABLE = "catch.tsv"
MOST_SUBJECTS = 999
MOST_CHARACTERS = 200  # of the browser's name
PROTOCOL = "protocol.json"
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class RefusedError(Exception):
    """An answer that cannot be one of the page's."""


@dataclass(frozen=True)
class Study:
    """One experiment: a data set, an instruction, a folder for its tables.

    trials: the number of trials of each subject, or None for all stimuli; catch trials come on top.
    catch: the pictures of catch trials, one for every 1 / catch_rate stimuli.
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
    catch: list[Stimulus] = field(default_factory=list)
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
            "catch": fingerprint(self.catch),
            "trials": self.trials or len(self.stimuli),
            "seed": self.seed,
            "grid": self.grid,
            "settings": self.settings,
        }

    def catch_trials(self) -> int:
        """Return how many catch trials each subject has."""
        rate = self.settings["catch_rate"] if self.catch else 0
        return max(int(rate > 0), round(rate * len(self.stimuli[: self.trials])))

    def order(self, subject: int) -> list[Stimulus]:
        """Return what a subject sees, trial by trial, including catch trials."""
        shown = in_order(self.stimuli, self.seed, subject)[: self.trials]
        catch = in_order(self.catch, self.seed, subject)[: self.catch_trials()]
        return interspersed(shown, catch, self.seed, subject)

    def blocks(self, subject: int) -> list[tuple[Stimulus, int]]:
        """Return what a subject sees with the number of its block, from 0.

        A block has as many stimuli as the settings say; catch trials come on top.
        """
        numbered, before = [], 0
        for stimulus in self.order(subject):
            numbered.append((stimulus, before // self.settings["trials_per_block"]))
            before += not stimulus.is_catch
        return numbered

    def table(self, subject: int) -> Path:
        """Return the file of a subject's decisions, named as in model-vs-human."""
        return self.out / f"{self.name}_{subject_name(subject)}_session_{SESSION}.csv"

    def timing_table(self, subject: int) -> Path:
        """Return the file of a subject's timing; whoever reads decisions reads all *.csv."""
        return self.out / f"{self.table(subject).stem}_timing.tsv"

    def catch_table(self, subject: int) -> Path:
        """Return the file of a subject's decisions in catch trials, which no script scores."""
        return self.out / f"{self.table(subject).stem}_catch.tsv"

    def image_name(self, subject: int, trial: int, stimulus: Stimulus) -> str:
        """Return a trial's imagename in the published pattern."""
        parts = [f"{trial:04d}", self.instruction, f"s{subject:02d}", stimulus.condition]
        return "_".join([*parts, stimulus.category, "00", stimulus.file])

    def row(
        self, subject: int, trial: int, stimulus: Stimulus, response: str = MISSED, rt: str = "NaN"
    ) -> list[str]:
        """Return a row of the table of decisions."""
        name = self.image_name(subject, trial, stimulus)
        decided = [rt, response, stimulus.category, stimulus.condition, name]
        return [subject_name(subject), str(SESSION), str(trial), *decided]

    def check_readable(self) -> None:
        """Raise UserError if other scripts could not read this experiment's tables."""
        rows = {n: self.row(1, n, stimulus) for n, stimulus in enumerate(self.stimuli, start=1)}
        with TemporaryDirectory() as folder:
            path = Path(folder) / self.table(1).name
            _write(path, COLUMNS, rows)
            try:
                read_observers([Source(path.parent)])
                human_decisions(path.parent, self.name)
            except UserError as error:
                reason = str(error).replace(str(path), "a table").rpartition(":")[0]
                raise UserError(
                    f"the tables of {self.name} could not be scored ({reason}): choose another "
                    "name with --name, or other stimuli"
                ) from error

    def saved(self, subject: int) -> dict[int, list[str]]:
        """Return the rows of the trials that a subject has finished, by number."""
        if subject not in self.rows:
            self.timing[subject] = _rows(self.timing_table(subject), TIMING)
            catch = _rows(self.catch_table(subject), COLUMNS)
            self.rows[subject] = _rows(self.table(subject), COLUMNS) | catch
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
        catch = {number for number, one in enumerate(order, start=1) if one.is_catch}
        measured = [_number(column, answer.get(column)) for column in MEASURED]
        timing = self.timing[subject]
        saved[trial] = self.row(subject, trial, stimulus, response, rt or "NaN")
        timing[trial] = [*saved[trial][:3], *measured, first, _printable(browser)]
        try:
            _write(self.timing_table(subject), TIMING, timing)
            own = {n: row for n, row in saved.items() if (n in catch) == stimulus.is_catch}
            path = self.catch_table(subject) if stimulus.is_catch else self.table(subject)
            _write(path, COLUMNS, own)
        except UserError:
            del saved[trial], timing[trial]
            raise

    def catch_score(self, subject: int) -> list[str]:
        """Return a subject's row of CATCH_SCORES, empty without any catch trial yet.

        percent_correct: of the catch trials so far, where a missed one counts as not correct.
        """
        rows = [*_rows(self.catch_table(subject), COLUMNS).values()]
        if not rows:
            return []
        decisions = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        correct = sum(row["object_response"] == row["category"] for row in decisions)
        missed = sum(row["object_response"] == MISSED for row in decisions)
        percent = f"{100 * correct / len(rows):.1f}"
        return [subject_name(subject), *map(str, (len(rows), correct, missed)), percent]

    def write_catch_scores(self) -> list[list[str]]:
        """Write the table of all subjects' catch scores, if there are any, and return its rows."""
        rows = {n: self.catch_score(n) for n in range(1, MOST_SUBJECTS + 1)}
        rows = {subject: row for subject, row in rows.items() if row}
        if rows:
            _write(self.out / CATCH_TABLE, CATCH_SCORES, rows)
        return [*rows.values()]

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
    if not isinstance(given, int | float) or not abs(given) <= sys.float_info.max:  # nan is not
        raise RefusedError(f"{name}: a number, or null, is expected")
    return f"{float(given):.10g}"


def _printable(text: str) -> str:
    return "".join(c for c in text[:MOST_CHARACTERS] if " " <= c <= "~")


def _rows(path: Path, columns: Sequence[str]) -> dict[int, list[str]]:
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


def _write(path: Path, columns: Sequence[str], rows: dict[int, list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=_DELIMITERS[path.suffix], lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows[trial] for trial in sorted(rows))
    _write_text(path, text.getvalue())


def _write_text(path: Path, text: str) -> None:
    with written_atomically(path, "--out") as file:
        file.write(text.encode(errors="surrogateescape"))


def check_protocol(study: Study) -> str:
    """Write the protocol into the folder of tables, if it has none, and return the folder's id.

    Browsers keep unsent trials under the id. Raises UserError for tables of another protocol, or of
    an unknown one.
    """
    path, own = study.out / PROTOCOL, study.protocol()
    tables = sorted(found.name for found in study.out.iterdir() if found.suffix in _DELIMITERS)
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if tables:
            raise UserError(
                f"{study.out} has tables ({first_few(tables)}) but no {PROTOCOL}, so that it is "
                "unknown how they were made: choose another folder with --out, or restore the file"
            ) from None
        return _write_protocol(path, own)
    except ValueError:
        before = None
    if not isinstance(before, dict) or "id" not in before:
        raise UserError(f"{path} is damaged: restore it, or choose another folder with --out")
    changed = [key for key in own if own[key] != before.get(key)]
    if changed and not tables:  # nobody has taken part yet
        return _write_protocol(path, own)
    if changed:
        raise UserError(
            f"the tables in {study.out} were begun with other settings ({', '.join(changed)}; see "
            f"{path}): repeat these, or choose another folder with --out"
        )
    return str(before["id"])


def _write_protocol(path: Path, protocol: dict[str, Any]) -> str:
    identity = secrets.token_hex(8)
    text = json.dumps({"id": identity, **protocol}, indent=2, ensure_ascii=False)
    _write_text(path, text + "\n")
    return identity
