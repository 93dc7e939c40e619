"""Cells of a study: a model on a benchmark; the command that measures it; what became of it."""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from basics.errors import UserError
from basics.files import make_folder, write_text
from model_zoo.loading import split_alias
from study.benchmarks import KINDS, Data, Kind, lacking
from study.counting import Work, work_of

CODE = Path(__file__).resolve().parents[1]
_CHUNK = re.compile(r"chunk-\d{8}-(\d{8})\.parquet")


@dataclass(frozen=True)
class Cell:
    """A model on a benchmark, or several models that one command measures together.

    flags: what the script is given besides --model. absent: the data that it lacks here. own: the
    benchmark's own flags. count: counts its work, when that is asked for.
    """

    benchmark: str
    models: tuple[str, ...]
    flags: tuple[str, ...]
    results: Path
    absent: tuple[Data, ...] = ()
    own: str = ""
    count: Callable[[], Work] = field(default=lambda: Work(()), compare=False, repr=False)

    @property
    def kind(self) -> Kind:
        """Return what is known of the benchmark."""
        return KINDS[self.benchmark]

    @property
    def run_names(self) -> list[str]:
        """Return what the results call the models."""
        return [split_alias(model)[0] for model in self.models]

    @property
    def title(self) -> str:
        """Return what messages call it."""
        first, *others = self.run_names
        more = f" and {len(others)} more" if others else ""
        return f"{self.benchmark}{' ' + self.own if self.own else ''} of {first}{more}"

    @property
    def name(self) -> str:
        """Return a name for its files, different for each cell of a study."""
        return re.sub(r"[^\w.=-]+", "_", self.title)

    @property
    def words(self) -> list[str]:
        """Return all that the script is given."""
        return ["--model", *self.models, *self.flags]

    def single(self) -> list["Cell"]:
        """Return a cell for each model."""
        return [replace(self, models=(model,)) for model in self.models]

    @property
    def command(self) -> list[str]:
        """Return the command that measures it, with absolute paths."""
        return [sys.executable, str(CODE / self.kind.script), *self.words]

    @property
    def shell(self) -> str:
        """Return the command as a shell takes it."""
        return shlex.join(self.command)

    @property
    def images(self) -> int:
        """Return how many files are decoded."""
        return self.count().images

    @property
    def inputs(self) -> float:
        """Return the forward passes it takes, a gradient counting as one more."""
        return self.count().inputs(len(self.models))

    @property
    def folders(self) -> list[Path]:
        """Return the first model's result folders that are there."""
        return [
            path / self.run_names[0]
            for pattern in self.kind.results.split("|")
            for path in self.results.glob(pattern)
        ]

    def inputs_done(self) -> float:
        """Return the model inputs whose answers are on disk, as chunks and finished results say."""
        return sum(
            _images_of(self.results / part.name / name, part.images)
            * (part.inputs(len(self.models)) / len(self.models) / max(part.images, 1))
            for part in self.count().parts
            for name in self.run_names
        )


def _images_of(result: Path, whole: int) -> int:
    """Return how many images of a result are on disk."""
    try:
        with os.scandir(result / "partial") as entries:
            found = [_CHUNK.fullmatch(entry.name) for entry in entries]
    except OSError:
        return whole if (result / "summary.json").exists() else 0
    return min(whole, max((int(match[1]) for match in found if match), default=0))


@dataclass(frozen=True)
class Ending:
    """How a cell ended: the script's exit code, 0 when all is done; why, if not."""

    code: int
    seconds: float
    reason: str = ""
    where: str = ""

    @property
    def is_done(self) -> bool:
        """Return whether it was measured."""
        return self.code == 0


def cells_of(
    benchmarks: Sequence[str],
    models: Sequence[str],
    results: Path,
    data: Path | None,
    common: Sequence[str],
) -> list[Cell]:
    """Return the cells, one model each, benchmark by benchmark.

    benchmarks: names of KINDS, each perhaps with flags of its own behind it ("adv --eps 1/255").
    common: flags that every script gets. Raises UserError for an unknown benchmark, for models
    of one run name, and for one cell that is there twice.
    """
    names = [split_alias(model)[0] for model in models]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two models are called {name!r}: tell them apart with RUNNAME=MODEL")
    cells: list[Cell] = []
    seen: dict[Any, Any] = {}
    for text in benchmarks:
        name, *own = shlex.split(text) or [""]
        if name not in KINDS:
            raise UserError(f"no benchmark is called {name!r}: there are {', '.join(KINDS)}")
        kind = KINDS[name]
        found = [word for one in kind.data for word in one.words(data)]
        flags = (*kind.words, *found, *own, "--results", str(results.resolve()), *common)
        given = {d.flag for d in kind.data} & {*own, *common}
        absent = () if given else tuple(lacking(kind, data))
        count = cache(partial(work_of, kind, flags, not absent, seen))
        cell = Cell(name, (), flags, results, absent, shlex.join(own), count)
        cells += [replace(cell, models=(model,)) for model in models]
    if len(set(cells)) < len(cells):
        twice = next(cell for k, cell in enumerate(cells) if cell in cells[:k])
        raise UserError(f"{twice.title} is there twice: leave one out")
    return cells


def together(cells: Sequence[Cell], most: int) -> list[Cell]:
    """Return the cells with up to `most` models of a benchmark in one: they share the decoding."""
    alike: dict[Cell, list[str]] = {}
    for cell in cells:
        alike.setdefault(replace(cell, models=()), []).extend(cell.models)
    return [
        replace(cell, models=tuple(models[start : start + most]))
        for cell, models in alike.items()
        for start in range(0, len(models), most)
    ]


class Records:
    """What is on disk about a study's cells: an ending and a log for each model's.

    unwritten: why endings could not be kept, a sentence for each. to_read: nothing is made.
    """

    def __init__(self, results: Path, to_read: bool = False) -> None:
        self.folder = results / ".study"
        self.unwritten: list[str] = []
        if not to_read:
            make_folder(self.folder)

    def log(self, cell: Cell) -> Path:
        """Return where the script's output goes."""
        return self.folder / f"{cell.name}.log"

    def write(self, cell: Cell, ending: Ending) -> None:
        """Keep a cell's ending; where the disk refuses, note why, and forget an older one."""
        content = {"words": cell.words, **asdict(ending)}
        path = self.folder / f"{cell.name}.json"
        try:
            write_text(path, json.dumps(content, indent=1) + "\n")
        except UserError as error:
            self.unwritten.append(str(error))
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def read(self, cell: Cell) -> Ending | None:
        """Return the ending of the same command, or None."""
        try:
            content = json.loads((self.folder / f"{cell.name}.json").read_text(encoding="utf-8"))
            return Ending(**content) if content.pop("words", None) == cell.words else None
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def written(self, cell: Cell) -> int:
        """Return when the cell's ending was kept, in nanoseconds; 0 where there is none."""
        try:
            return (self.folder / f"{cell.name}.json").stat().st_mtime_ns
        except OSError:
            return 0

    def is_done(self, cell: Cell) -> bool:
        """Return whether the cell was measured with the same flags, and its result is still there.

        Whatever else is found, the script itself decides: it goes on, or says what differs.
        """
        ending = self.read(cell)
        there = any((folder / "summary.json").exists() for folder in cell.folders)
        return ending is not None and ending.is_done and there
