"""Cells of a study: one model on one benchmark, which is one command, and what became of it."""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from basics.errors import UserError
from basics.files import make_folder, write_text
from model_zoo.loading import split_alias
from study.benchmarks import KINDS, Data, Kind, lacking

CODE = Path(__file__).resolve().parents[1]
_CHUNK = re.compile(r"chunk-\d{8}-(\d{8})\.parquet")


@dataclass(frozen=True)
class Cell:
    """One model on one benchmark.

    words: the script and all of its flags; absent: the data that it lacks here.
    """

    benchmark: str
    model: str
    words: tuple[str, ...]
    results: Path
    images: int
    absent: tuple[Data, ...] = ()
    own: str = ""  # the benchmark's own flags

    @property
    def kind(self) -> Kind:
        """Return what is known of the benchmark."""
        return KINDS[self.benchmark]

    @property
    def run_name(self) -> str:
        """Return what the results call the model."""
        return split_alias(self.model)[0]

    @property
    def name(self) -> str:
        """Return a name for files and messages, different for each cell of a study."""
        own = re.sub(r"[^\w.=-]+", "_", self.own).strip("_")
        return f"{self.benchmark}{'_' + own if own else ''}--{self.run_name}"

    @property
    def command(self) -> list[str]:
        """Return the command that measures it, with absolute paths."""
        return [sys.executable, str(CODE / self.kind.script), *self.words]

    @property
    def shell(self) -> str:
        """Return the command as a shell takes it."""
        return shlex.join(self.command)

    @property
    def inputs(self) -> float:
        """Return the forward passes it takes, a gradient counting as two more."""
        return self.images * self.kind.inputs

    @property
    def folders(self) -> list[Path]:
        """Return the result folders that are there, of this model."""
        return [path / self.run_name for path in self.results.glob(self.kind.results)]

    def images_done(self) -> int:
        """Return how many images are on disk while it runs, as the chunks say."""
        stops = [0]
        for folder in self.folders:
            found = (_CHUNK.fullmatch(path.name) for path in (folder / "partial").glob("chunk-*"))
            stops.append(max((int(match[1]) for match in found if match), default=0))
        return sum(stops)


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
    """Return the cells, benchmark by benchmark.

    benchmarks: names of KINDS, each perhaps with flags of its own behind it ("adv --eps 1/255").
    common: flags that every script gets. Raises UserError for an unknown benchmark, for models
    of one run name, and for one cell that is there twice.
    """
    names = [split_alias(model)[0] for model in models]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two models are called {name!r}: tell them apart with RUNNAME=MODEL")
    cells = []
    for text in benchmarks:
        name, *own = shlex.split(text) or [""]
        if name not in KINDS:
            raise UserError(f"no benchmark is called {name!r}: there are {', '.join(KINDS)}")
        kind = KINDS[name]
        found = [word for one in kind.data for word in one.words(data)]
        flags = (*kind.words, *found, *own, "--results", str(results.resolve()), *common)
        cell = Cell(
            name, "", flags, results, _images(kind, own, common),
            tuple(lacking(kind, data) if not {d.flag for d in kind.data} & {*own, *common} else ()),
            shlex.join(own),
        )  # fmt: skip
        cells += [replace(cell, model=m, words=("--model", m, *flags)) for m in models]
    if twice := [cell.name for k, cell in enumerate(cells) if cell in cells[:k]]:
        raise UserError(f"{twice[0].replace('--', ' of ')} is there twice: leave one out")
    return cells


def _images(kind: Kind, own: Sequence[str], common: Sequence[str]) -> int:
    words = [*own, *common]
    if "--limit" in words and words[words.index("--limit") + 1 :][:1]:
        given = words[words.index("--limit") + 1]
        return min(kind.images, int(given)) if given.isdigit() else kind.images
    return kind.images


class Records:
    """What is on disk about a study's cells: an ending and a log for each."""

    def __init__(self, results: Path) -> None:
        self.folder = results / ".study"
        make_folder(self.folder)

    def log(self, cell: Cell) -> Path:
        """Return where the script's output goes."""
        return self.folder / f"{cell.name}.log"

    def write(self, cell: Cell, ending: Ending) -> None:
        """Keep a cell's ending."""
        content = {"command": cell.words, **asdict(ending)}
        write_text(self.folder / f"{cell.name}.json", json.dumps(content, indent=1) + "\n")

    def read(self, cell: Cell) -> Ending | None:
        """Return the ending of the same command, or None."""
        try:
            content = json.loads((self.folder / f"{cell.name}.json").read_text())
        except (OSError, json.JSONDecodeError):
            return None
        if content.pop("command", None) != list(cell.words):
            return None
        return Ending(**content)

    def is_done(self, cell: Cell) -> bool:
        """Return whether the cell was measured with the same flags, and its result is still there.

        Whatever else is found, the script itself decides: it goes on, or says what differs.
        """
        ending = self.read(cell)
        there = any((folder / "summary.json").exists() for folder in cell.folders)
        return ending is not None and ending.is_done and there
