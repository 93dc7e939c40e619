r"""Run a whole study: models × benchmarks, collected into one table and a report.

    python code/run_study.py --model category:adversarial_training tv_resnet50 --data /data
    python code/run_study.py --model @models.txt --data /data --benchmark imagenet spectral \
        "adv --attack pgd fgsm --eps 0.5/255 1/255" -- --limit 5000
    python code/run_study.py --model @models.txt --data /data --dry_run --rate 3000

A cell is one model (with --together N, up to N models) on one benchmark: the eval_*.py command that
you would type yourself. Finished cells are skipped and interrupted ones resume; a failed cell does
not stop the others and is listed at the end with the reason and its command. --data is a folder
with a subfolder per data set, named as download.py names them (imagenet, imagenet-v2, imagenet-c,
model-vs-human, …); without it, the scripts use their environment variables and the downloaded data
sets. Flags after -- are passed to every script.
Writes the results (docs/results.md), a log per cell to <results>/.study, the table to
<results>/table and the page <results>/report.html.
"""

import argparse
import json
import math
import os
import re
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from bvg.data.downloads import data_folder, data_sets
from bvg.errors import UserError
from bvg.progress import duration
from bvg.run.command_line import BUSY, guarded, positive, underscored
from bvg.run.engines import Local, OnRay, places_of, reason_in, write_line
from bvg.zoo.names import expanded, run_name, split_alias

CODE = Path(__file__).resolve().parent
POLL_SECONDS, RETRY_SECONDS = 0.2, 5.0  # the latter doubles, up to a minute


@dataclass(frozen=True)
class Benchmark:
    """A script, and what a study needs to know about it.

    results: its result folders, as patterns. data: data sets, one of which the script needs;
    extras: those that it can do without. images: published files, of all `conditions` (of each
    of which --limit takes some). inputs: model inputs per file, a gradient counting as one more.
    flags: what makes the script this benchmark.
    """

    script: str
    results: tuple[str, ...]
    data: tuple[str, ...] = ("imagenet",)
    images: int = 50_000
    inputs: int = 1
    conditions: int = 1
    flags: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


VARIANTS = ("imagenet-v2", "imagenet-a", "imagenet-r", "imagenet-sketch")
BENCHMARKS = {
    "imagenet": Benchmark("eval_imagenet.py", ("imagenet",)),
    "imagenet_real": Benchmark(
        "eval_imagenet_real.py", ("imagenet_real",), images=46_837, extras=("imagenet-real",)
    ),
    "imagenet_ood": Benchmark(
        "eval_imagenet_ood.py",
        tuple(name.replace("-", "_") for name in VARIANTS),
        VARIANTS,
        10_000 + 7_500 + 30_000 + 50_889,
        conditions=4,
    ),
    "imagenet_c": Benchmark(
        "eval_imagenet_c.py", ("imagenet_c",), ("imagenet-c",), 50_000 * 19 * 5, conditions=19 * 5
    ),
    "imagenet_c_generated": Benchmark(  # clean, and 19 corruptions at 5 severities
        "eval_imagenet_c.py", ("imagenet_c_generated",), inputs=1 + 19 * 5, flags=("--generate",)
    ),
    "imagenet_cbar": Benchmark(
        "eval_imagenet_cbar.py",
        ("imagenet_cbar",),
        ("imagenet-c-bar",),
        50_000 * 10 * 5,
        conditions=10 * 5,
    ),
    "imagenet_p": Benchmark(  # a file is a sequence of 31 frames
        "eval_imagenet_p.py", ("imagenet_p",), ("imagenet-p",), 50_000 * 10, 31, conditions=10
    ),
    "model_vs_human": Benchmark(
        "eval_model_vs_human.py",
        ("imagenet_model_vs_human",),
        ("model-vs-human",),
        18_080,
        conditions=78,
        extras=("human-decisions",),
    ),
    "shape_bias": Benchmark(
        "eval_shape_bias.py", ("imagenet_shape_bias",), ("model-vs-human/cue-conflict",), 1_280
    ),
    "spectral": Benchmark(  # clean, and 11 cutoffs of a low and a high pass
        "eval_spectral.py", ("imagenet_spectral",), inputs=1 + 2 * 11
    ),
    "criticalband": Benchmark(  # without noise, and 7 octaves of noise at 4 strengths
        "eval_criticalband.py", ("imagenet_criticalband",), inputs=1 + 7 * 4
    ),
    "adv": Benchmark(  # clean and attacked; PGD's 40 steps with a gradient, and its two ends
        "eval_imagenet_adv.py", ("imagenet_adv_*",), inputs=2 + 40 * 2 + 2
    ),
}
# Skipped by default if the other one runs: cue conflict is one of model-vs-human's data sets, and
# ImageNet-C need not be generated if its files are available.
INSTEAD = {"shape_bias": "model_vs_human", "imagenet_c_generated": "imagenet_c"}


def data_flags(kind: Benchmark, root: Path | None) -> list[str]:
    """Return the script's flags for the data sets that are below `root`."""
    words = []
    for data_set in (data_sets()[name] for name in (*kind.data, *kind.extras)):
        if root and (root / data_set.path).exists():
            words += [data_set.flag, str((root / data_set.path).resolve())]
    return words


def has_data(kind: Benchmark, flags: Iterable[str]) -> bool:
    """Return whether the script will find its data: by `flags`, by a variable, or as fetched."""
    given = {word.partition("=")[0].replace("-", "_") for word in flags}
    return any(
        data_set.flag.replace("-", "_") in given
        or bool(os.environ.get(data_set.variable))
        or (data_folder() / data_set.path).exists()
        for data_set in (data_sets()[name] for name in kind.data)
    )


@dataclass(frozen=True)
class Cell:
    """One command: models on a benchmark.

    benchmark: as given, a name and possibly flags. flags: all of the script's flags but --model.
    """

    benchmark: str
    kind: Benchmark
    models: tuple[str, ...]
    flags: tuple[str, ...]
    results: Path

    @property
    def title(self) -> str:
        """Return the name used in messages."""
        more = f" and {len(self.models) - 1} more" if len(self.models) > 1 else ""
        return f"{self.benchmark} of {run_name(self.models[0])}{more}"

    @property
    def command(self) -> list[str]:
        """Return the command, with absolute paths."""
        script = str(CODE / self.kind.script)
        return [sys.executable, script, "--model", *self.models, *self.flags]

    @property
    def log(self) -> Path:
        """Return the file that the command's output goes to."""
        return self.results / ".study" / (re.sub(r"[^\w.=-]+", "_", self.title)[:200] + ".log")

    @property
    def inputs(self) -> int:
        """Return the model inputs with the published data set and the script's default flags."""
        parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
        parser.add_argument("--limit", type=int, default=self.kind.images)
        limit = parser.parse_known_args(self.flags)[0].limit
        images = min(self.kind.images, limit * self.kind.conditions)
        return images * self.kind.inputs * len(self.models)

    def finished(self, model: str) -> dict[str, int]:
        """Return when each result, "<benchmark>/<model>", was finished, in ns; 0 if it is not."""
        found = {}
        for pattern in self.kind.results:
            for folder in self.results.glob(f"{pattern}/{run_name(model)}"):
                summary = folder / "summary.json"
                complete = summary.exists() and not (folder / "partial").exists()
                name = f"{folder.parent.name}/{folder.name}"
                found[name] = summary.stat().st_mtime_ns if complete else 0
        return found


def together(cells: Iterable[Cell], most: int) -> list[Cell]:
    """Return the cells with up to `most` models of a benchmark in one."""
    models: dict[Cell, list[str]] = {}
    for cell in cells:
        models.setdefault(replace(cell, models=()), []).extend(cell.models)
    return [
        replace(cell, models=tuple(names[start : start + most]))
        for cell, names in models.items()
        for start in range(0, len(names), most)
    ]


def cells_of(arguments: argparse.Namespace) -> list[Cell]:
    """Return a cell for each model on each benchmark of the command line, in that order.

    Raises UserError for an unknown benchmark or model pattern, for two models with one run name,
    and when no benchmark is named and no data set is available.
    """
    models, cells, data = expanded(arguments.model), [], arguments.data
    names = [run_name(model) for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two models are named {twice[0]!r}: rename one with RUNNAME=MODEL")
    here = [name for name, kind in BENCHMARKS.items() if has_data(kind, data_flags(kind, data))]
    chosen = arguments.benchmark or [name for name in here if INSTEAD.get(name) not in here]
    if not chosen:
        raise UserError(
            "no data set is available: give a folder that contains data sets with --data, or "
            "download them with python code/download.py"
        )
    for text in dict.fromkeys(chosen):
        name, *own = shlex.split(text) or [""]
        if name not in BENCHMARKS:
            raise UserError(f"unknown benchmark {name!r}: choose from {', '.join(BENCHMARKS)}")
        kind, results = BENCHMARKS[name], arguments.results.resolve()
        words = (*kind.flags, *data_flags(kind, data), *own)
        flags = (*words, "--results", str(results), *arguments.flags)
        cells += [Cell(text, kind, (model,), flags, results) for model in models]
    return cells


def absent_data(cells: Iterable[Cell]) -> list[str]:
    """Return a sentence for each benchmark whose data set is unavailable."""
    absent = {cell.benchmark: cell.kind for cell in cells if not has_data(cell.kind, cell.flags)}
    return [
        f"{name}: its data set is unavailable: set "
        f"{' or '.join(data_sets()[key].variable for key in kind.data)}, "
        f"or give --data a folder that contains {' or '.join(kind.data)}"
        for name, kind in absent.items()
    ]


@dataclass(frozen=True)
class Done:
    """A command that succeeded: a line of <results>/.study/done.jsonl.

    results: when each of its results, "<benchmark>/<model>", was finished, in ns. seconds: None
    if part of the work had been done before.
    """

    script: str
    flags: list[str]
    models: list[str]
    results: dict[str, int]
    inputs: int
    seconds: float | None

    def covers(self, cell: Cell) -> bool:
        """Return whether it ran the script of `cell` with the same flags."""
        return (self.script, self.flags) == (cell.kind.script, [*cell.flags])


def done_before(results: Path) -> list[Done]:
    """Return the commands that succeeded so far, in order; lines cut off by a kill are ignored."""
    done = []
    with suppress(OSError):
        text = (results / ".study" / "done.jsonl").read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            with suppress(ValueError, TypeError):
                done.append(Done(**json.loads(line)))
    return done


def is_done(cell: Cell, done: Iterable[Done]) -> bool:
    """Return whether the cell's one model was run with the same flags, and nothing changed since.

    Its results must be unchanged, and the files that the command names, such as a checkpoint,
    older. Otherwise the script decides: it resumes, is complete, or refuses.
    """
    (model,) = cell.models
    words = [split_alias(word)[1].removeprefix("file://") for word in (model, *cell.flags)]
    files = [Path(re.sub(r"(\.py):\w+$", r"\1", word)) for word in words]
    changed = max((file.stat().st_mtime_ns for file in files if file.is_file()), default=0)
    now = cell.finished(model)
    for one in done:
        if one.covers(cell) and model in one.models:
            then = {k: when for k, when in one.results.items() if Path(k).name == run_name(model)}
            if then and then.items() <= now.items() and changed < min(then.values()):
                return True
    return False


def undrawn(cells: Iterable[Cell], done: Sequence[Done]) -> list[Cell]:
    """Return, for each benchmark whose figures lack finished models, a cell of all of them.

    A script draws the models of its call, so the last call decides.
    """
    ready = [cell for cell in cells if is_done(cell, done)]
    groups = []
    for group in together(ready, max(1, len(ready))):
        models = {*group.models}
        last = [one for one in done if one.covers(group) and models & {*one.models}][-1]
        groups += [] if models <= {*last.models} else [group]
    return groups


def run(
    cells: Sequence[Cell],
    engine: Callable[[], Local | OnRay],
    done: list[Done],
    split: bool = True,
) -> dict[Cell, str]:
    """Run the cells; return the reason for each failure. Successes are appended to `done`.

    When a cell of several models fails, they are run one by one, as one of them may be to blame,
    unless `split` is False. A cell whose result another process is writing, such as a script that
    outlived a killed run_study.py, is retried after all others have ended.
    """
    queue, busy, delay = deque(cells), list[Cell](), RETRY_SECONDS
    running, failed = dict[Any, tuple[Cell, int, int, bool]](), dict[Cell, str]()
    total, ended = sum(len(cell.models) for cell in cells), 0
    if not cells:
        return failed
    bar = partial(tqdm, unit=" inputs", unit_scale=True, disable=None)
    with closing(engine()) as on, closing(bar(total=sum(cell.inputs for cell in cells))) as shown:
        while queue or running or busy:
            while queue and on.has_room():
                cell = queue.popleft()
                write_line(cell.log, f"$ {shlex.join(cell.command)}")
                start = cell.log.stat().st_size if cell.log.exists() else 0
                before = any(cell.finished(model) for model in cell.models)
                running[on.start(cell.command, cell.log)] = cell, start, time.time_ns(), before
            shown.set_postfix_str(", ".join(cell.title for cell, *_ in [*running.values()][:2]))
            time.sleep(POLL_SECONDS)
            for task in list(running):
                if (ending := on.ended(task)) is None:
                    continue
                (cell, start, begun, before), (code, seconds) = running.pop(task), ending
                if code == BUSY:
                    busy.append(cell)
                    say(f"{cell.title}: another process is writing its result; retrying later")
                    continue
                reason = reason_in(cell.log, start, code) if code else ""
                fate = f"failed: {reason}" if code else "done"
                if code and split and len(cell.models) > 1:
                    queue.extendleft(replace(cell, models=(model,)) for model in cell.models[::-1])
                    say(f"{cell.title}: {fate}; running its models one by one")
                    continue
                if code:
                    failed[cell] = reason
                else:
                    done.append(recorded(cell, begun, None if before else seconds))
                ended += len(cell.models)
                shown.update(cell.inputs)
                say(f"[{ended}/{total}] {cell.title}: {fate} in {duration(seconds)}")
            if busy and not queue and not running:
                time.sleep(delay)
                delay, queue, busy = min(60.0, 2 * delay), deque(busy), []
    return failed


def recorded(cell: Cell, begun: int, seconds: float | None) -> Done:
    """Return the record of a cell that succeeded, after adding it to done.jsonl.

    A model's results are those that were finished since `begun` (in ns) or, if there are none
    because they had been complete before, all of its results on the benchmark.
    """
    results: dict[str, int] = {}
    for model in cell.models:
        found = cell.finished(model)
        results |= {name: when for name, when in found.items() if when >= begun} or found
    one = Done(cell.kind.script, [*cell.flags], [*cell.models], results, cell.inputs, seconds)
    if not write_line(cell.log.with_name("done.jsonl"), json.dumps(asdict(one))):
        say(f"cannot write to {cell.log.parent}, so the next study re-checks this cell")
    return one


def say(line: str) -> None:
    """Print a line above the progress bar, and flush it."""
    tqdm.write(line)
    sys.stdout.flush()


def planned(cells: Sequence[Cell], done: Sequence[Done], rate: float | None, workers: int) -> str:
    """Return the plan as text: the cells of each benchmark, and the remaining work.

    rate: model inputs per second; None: as measured by the commands in `done` and, for a benchmark
    among them with the same flags, its time per model.
    """
    timed = [] if rate else [one for one in done if one.seconds]
    if timed:
        rate = sum(one.inputs for one in timed) / sum(one.seconds or 0 for one in timed)
    rows = []
    for benchmark in dict.fromkeys(cell.benchmark for cell in cells):
        mine = [cell for cell in cells if cell.benchmark == benchmark]
        left = [cell for cell in mine if not is_done(cell, done)]
        inputs = sum(cell.inputs for cell in left)
        seconds = inputs / rate if rate else math.nan
        if same := [one for one in timed if one.covers(mine[0])]:
            models = sum(len(one.models) for one in same)
            seconds = len(left) * sum(one.seconds or 0 for one in same) / models
        rows.append((benchmark, len(mine), len(mine) - len(left), inputs, seconds))
    _, *columns = zip(*rows, strict=True)
    *counts, time = (sum(column) for column in columns)
    rows.append(("all", *counts, time / workers))
    names = ("benchmark", "cells", "done", "model inputs", "time")
    formats = {"model inputs": "{:,}".format, "time": duration}
    frame = pd.DataFrame(rows, columns=names)
    table = frame.to_string(index=False, formatters=formats, na_rep="unknown")
    speed = f"at {rate:,.0f} model inputs/s" if rate else "unknown (nothing has run; give --rate)"
    basis = f", as measured by {len(timed)} command(s)" if timed else ""
    return (
        f"{table}\n"
        f"time {speed}{basis}, {workers} command(s) at once\n"
        "model inputs are counted for the published data sets, with default flags except --limit"
    )


def report(results: Path, notes: list[str]) -> bool:
    """Collect the table and write the report; return whether both succeeded."""
    table, page = str(results / "table"), str(results / "report.html")
    collect = ["collect.py", "--results", str(results), "--out", table, "--notes", *notes]
    show = ["report.py", "--results", str(results), "--table", f"{table}/benchmark.csv"]
    for script, *words in (collect, [*show, "--out", page]):
        if subprocess.run([sys.executable, str(CODE / script), *words]).returncode:
            return False
    return True


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog="exit codes: 0 all done; 1 some cells failed (listed at the end); 2 a problem you "
        "can fix (one sentence says how); 130 interrupted (the same command resumes)",
    )
    add = parser.add_argument
    names = "model names; also category:NAME of the zoo, glob patterns, or @FILE with one per line"
    add("--model", nargs="+", required=True, metavar="NAME", help=names)
    add(
        "--benchmark",
        nargs="+",
        metavar="NAME",
        help=f"benchmarks to run, of {', '.join(BENCHMARKS)}; quote a name with additional flags "
        "(default: all whose data are available, without shape_bias if model_vs_human runs, and "
        "without imagenet_c_generated if imagenet_c runs)",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the data sets (default: environment variables and downloads)",
    )
    output = "directory for all output (default: results)"
    add("--results", type=Path, default=Path("results"), metavar="DIR", help=output)
    shared = "models per command, which share decoding and start-up (default: 1)"
    add("--together", type=positive, default=1, metavar="N", help=shared)
    parallel = "commands at a time on this machine (default: the number of GPUs, or 1)"
    add("--workers", type=positive, metavar="N", help=parallel)
    where = "run on this machine (default), or as tasks of a Ray cluster"
    add("--engine", choices=("local", "ray"), default="local", help=where)
    cluster = "address of a running Ray cluster, or auto (default: start one on this machine)"
    add("--ray_address", metavar="HOST:PORT", help=cluster)
    gpus = "GPUs per Ray task (default: 1 if there are any)"
    add("--gpus_per_cell", type=float, metavar="N", help=gpus)
    cpus = "CPUs per Ray task (default: 1)"
    add("--cpus_per_cell", type=float, default=1, metavar="N", help=cpus)
    add("--again", action="store_true", help="run finished cells, too")
    plan = "print cells, model inputs and time, and write nothing"
    add("--dry_run", action="store_true", help=plan)
    rate = "for --dry_run: model inputs per second (default: as measured in this results folder)"
    add("--rate", type=float, metavar="R", help=rate)
    commands = "print one command per cell, for SLURM arrays, GNU parallel or xargs, and exit"
    add("--print_commands", action="store_true", help=commands)
    no_report = "skip the figures of all models, the table and the report at the end"
    add("--no_report", action="store_true", help=no_report)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    words = sys.argv[1:] if argv is None else argv
    split = words.index("--") if "--" in words else len(words)
    arguments = parser().parse_args([underscored(word) for word in words[:split]])
    arguments.flags = words[split + 1 :]
    return guarded(lambda: study(arguments))


def study(arguments: argparse.Namespace) -> int:
    """Run what the command line asks for; return the exit code."""
    cells = cells_of(arguments)
    absent = absent_data(cells)
    if arguments.print_commands or arguments.dry_run:
        for sentence in absent:
            print(sentence, file=sys.stderr)
    if arguments.print_commands:
        for cell in together(cells, arguments.together):
            print(shlex.join(cell.command))
        return 0
    results = arguments.results.resolve()
    done = done_before(results)
    if arguments.dry_run:
        print(planned(cells, done, arguments.rate, len(places_of(arguments.workers))))
        return 0
    if absent:
        raise UserError(absent[0])
    (results / ".study").mkdir(parents=True, exist_ok=True)

    def engine() -> Local | OnRay:
        if arguments.engine == "ray":
            return OnRay(arguments.ray_address, arguments.gpus_per_cell, arguments.cpus_per_cell)
        return Local(places_of(arguments.workers))

    todo = [cell for cell in cells if arguments.again or not is_done(cell, done)]
    print(f"{len(cells)} cells, {len(cells) - len(todo)} already done; logs: {results / '.study'}")
    failed = run(together(todo, arguments.together), engine, done)
    print(f"{len(todo) - len(failed)} cells completed, {len(failed)} failed")
    for cell, reason in failed.items():
        print(f"\n{cell.title}: {reason}\n    {shlex.join(cell.command)}")
    if arguments.no_report:
        return 1 if failed else 0
    if groups := undrawn(cells, done):
        print(f"drawing figures of all models: {', '.join(cell.benchmark for cell in groups)}")
    for cell, reason in run(groups, engine, done, split=False).items():
        print(f"the figures of {cell.benchmark} do not show all models: {reason}")
    notes = [f"{cell.title} failed: {reason}" for cell, reason in failed.items()]
    return 0 if report(results, notes) and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
