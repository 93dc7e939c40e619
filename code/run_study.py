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
import logging
import math
import os
import re
import shlex
import signal
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
from bvg.errors import UserError, reason_of, storage_error
from bvg.run.guard import BUSY, guarded
from bvg.zoo.names import expanded, run_name, split_alias

CODE = Path(__file__).resolve().parent
POLL_SECONDS, RETRY_SECONDS = 0.2, 5.0  # the latter doubles, up to a minute


@dataclass(frozen=True)
class Benchmark:
    """A script, and what a study needs to know about it.

    data: data sets, one of which the script needs; extras: those that it can do without.
    results: its result folders, as patterns. images: published files, of all `conditions` (of each
    of which --limit takes some). inputs: model inputs per file, a gradient counting as one more.
    flags: what makes the script this benchmark.
    """

    script: str
    data: tuple[str, ...]
    results: tuple[str, ...]
    images: int
    inputs: int = 1
    conditions: int = 1
    flags: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


VAL = 50_000
VARIANTS = ("imagenet-v2", "imagenet-a", "imagenet-r", "imagenet-sketch")
BENCHMARKS = {
    "imagenet": Benchmark("eval_imagenet.py", ("imagenet",), ("imagenet",), VAL),
    "imagenet_real": Benchmark(
        "eval_imagenet_real.py", ("imagenet",), ("imagenet_real",), 46_837,
        extras=("imagenet-real",),
    ),
    "imagenet_ood": Benchmark(
        "eval_imagenet_ood.py", VARIANTS, tuple(name.replace("-", "_") for name in VARIANTS),
        10_000 + 7_500 + 30_000 + 50_889, conditions=4,
    ),
    "imagenet_c": Benchmark(
        "eval_imagenet_c.py", ("imagenet-c",), ("imagenet_c",), VAL * 19 * 5, conditions=19 * 5
    ),
    "imagenet_c_generated": Benchmark(  # clean, and 19 corruptions at 5 severities
        "eval_imagenet_c.py", ("imagenet",), ("imagenet_c_generated",), VAL, 1 + 19 * 5,
        flags=("--generate",),
    ),
    "imagenet_cbar": Benchmark(
        "eval_imagenet_cbar.py", ("imagenet-c-bar",), ("imagenet_cbar",), VAL * 10 * 5,
        conditions=10 * 5,
    ),
    "imagenet_p": Benchmark(  # a file is a sequence of 31 frames
        "eval_imagenet_p.py", ("imagenet-p",), ("imagenet_p",), VAL * 10, 31, conditions=10
    ),
    "model_vs_human": Benchmark(
        "eval_model_vs_human.py", ("model-vs-human",), ("imagenet_model_vs_human",), 18_080,
        conditions=78, extras=("human-decisions",),
    ),
    "shape_bias": Benchmark(
        "eval_shape_bias.py", ("model-vs-human/cue-conflict",), ("imagenet_shape_bias",), 1_280
    ),
    "spectral": Benchmark(  # clean, and 11 cutoffs of a low and a high pass
        "eval_spectral.py", ("imagenet",), ("imagenet_spectral",), VAL, 1 + 2 * 11
    ),
    "criticalband": Benchmark(  # without noise, and 7 octaves of noise at 4 strengths
        "eval_criticalband.py", ("imagenet",), ("imagenet_criticalband",), VAL, 1 + 7 * 4
    ),
    "adv": Benchmark(  # clean and attacked; PGD's 40 steps with a gradient, and its two ends
        "eval_imagenet_adv.py", ("imagenet",), ("imagenet_adv_*",), VAL, 2 + 40 * 2 + 2
    ),
}  # fmt: skip
# Skipped by default if the other one runs: cue conflict is one of model-vs-human's data sets, and
# ImageNet-C need not be generated if its files are available.
INSTEAD = {"shape_bias": "model_vs_human", "imagenet_c_generated": "imagenet_c"}


def data_flags(kind: Benchmark, root: Path | None) -> list[str]:
    """Return the script's flags for the data sets that are below `root`."""
    known = [data_sets()[name] for name in (*kind.data, *kind.extras)] if root else []
    found = [(data_set.flag, (root or Path()) / data_set.path) for data_set in known]
    return [word for flag, path in found if path.exists() for word in (flag, str(path.resolve()))]


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

    def folders(self, model: str) -> list[Path]:
        """Return the existing result folders of a model."""
        found = [path for pattern in self.kind.results for path in self.results.glob(pattern)]
        return [folder for path in found if (folder := path / run_name(model)).is_dir()]


def finished(folder: Path) -> int:
    """Return when the result in a folder was finished, in ns; 0 if it is not."""
    summary = folder / "summary.json"
    is_complete = summary.exists() and not (folder / "partial").exists()
    return summary.stat().st_mtime_ns if is_complete else 0


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
    for one in done:
        if one.covers(cell) and model in one.models:
            mine = {k: when for k, when in one.results.items() if Path(k).name == run_name(model)}
            now = {k: finished(cell.results / k) for k in mine}
            if mine and mine == now and changed < min(mine.values()):
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


class Local:
    """Commands on this machine, one per place; `places` holds the environment of each."""

    def __init__(self, places: list[dict[str, str]]) -> None:
        self.free = list(places)
        self.running: dict[subprocess.Popen, tuple[dict[str, str], float]] = {}

    def has_room(self) -> bool:
        """Return whether another command can start."""
        return bool(self.free)

    def start(self, command: list[str], log: Path) -> subprocess.Popen:
        """Start a command whose output is appended to `log`; return its process."""
        place = self.free.pop(0)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **place}
        try:
            output = open(log, "ab")  # noqa: SIM115
        except OSError:  # for example a full disk: the command may still succeed
            output = open(os.devnull, "ab")  # noqa: SIM115
        with output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        self.running[process] = place, time.monotonic()
        return process

    def ended(self, process: subprocess.Popen) -> tuple[int, float] | None:
        """Return exit code and seconds of a command, or None while it runs."""
        if process.poll() is None:
            return None
        place, begun = self.running.pop(process)
        self.free.append(place)
        return process.returncode, time.monotonic() - begun

    def close(self) -> None:
        """Interrupt the commands that still run, and wait until they have saved their work."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()


class OnRay:
    """Commands as tasks of a Ray cluster, whose nodes share the code, the data and the results.

    address: of a running cluster; None starts one on this machine. gpus: per command; None: 1 if
    a node has one. Raises UserError when Ray is not installed, the cluster does not answer, or no
    node has the resources of a command, for which Ray would wait forever.
    """

    def __init__(self, address: str | None, gpus: float | None, cpus: float) -> None:
        try:
            import ray

            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except ImportError as error:
            raise UserError("--engine ray needs Ray: pip install 'ray>=2.40'") from error
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"the Ray cluster {address or 'on this machine'} does not answer "
                f"({reason_of(error)}): start one with ray start --head"
            ) from error
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = min(1, max(node.get("GPU", 0) for node in nodes)) if gpus is None else gpus
        if not any(node.get("GPU", 0) >= gpus and node.get("CPU", 0) >= cpus for node in nodes):
            ray.shutdown()
            raise UserError(
                f"no node of the Ray cluster has {gpus:g} GPU(s) and {cpus:g} CPU(s): request "
                "less with --gpus_per_cell and --cpus_per_cell"
            )

        @ray.remote(num_gpus=gpus, num_cpus=cpus, max_retries=3)
        def run(command: list[str], log: str) -> tuple[int, float]:
            begun = time.monotonic()
            with open(log, "ab") as output:
                process = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                while process.poll() is None:
                    time.sleep(0.2)
            finally:  # a task that is cancelled interrupts its command
                process.terminate()
                process.wait()
            return process.returncode, time.monotonic() - begun

        self.ray, self.run = ray, run
        self.running: dict[Any, Path] = {}

    def has_room(self) -> bool:
        """Return True: Ray has a queue of its own."""
        return True

    def start(self, command: list[str], log: Path) -> Any:
        """Submit a command whose output is appended to `log`; return its task."""
        task = self.run.remote(command, str(log))
        self.running[task] = log
        return task

    def ended(self, task: Any) -> tuple[int, float] | None:
        """Return exit code and seconds of a command, or None while it waits or runs."""
        if not self.ray.wait([task], timeout=0)[0]:
            return None
        log = self.running.pop(task)
        try:
            return self.ray.get(task)
        except Exception as error:  # whatever Ray reports for a task that it gave up
            write_line(log, f"error: {type(error).__name__}: {reason_of(error)}")
            return 1, 0.0

    def close(self) -> None:
        """Cancel the commands that still run, and leave the cluster."""
        for task in self.running:
            self.ray.cancel(task)
        if self.running:
            self.ray.wait(list(self.running), num_returns=len(self.running), timeout=60)
        self.ray.shutdown()


def places_of(workers: int | None) -> list[dict[str, str]]:
    """Return the environment of each place for a command: a GPU, or a share of the processors.

    There are `workers` places; by default one per GPU (of CUDA_VISIBLE_DEVICES, if set), else one.
    More workers than GPUs share them.
    """
    import torch  # here, because it takes seconds, and printing commands does without

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    number = workers or count or 1
    if count:
        gpus = [name.strip() for name in visible.split(",")]
        return [{"CUDA_VISIBLE_DEVICES": gpus[k % count]} for k in range(number)]
    if number == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{}] * number
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // number))}] * number


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
                before = any(cell.folders(model) for model in cell.models)
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
                fate = f"failed: {reason_in(cell.log, start, code)}" if code else "done"
                if code and split and len(cell.models) > 1:
                    queue.extendleft(replace(cell, models=(model,)) for model in cell.models[::-1])
                    say(f"{cell.title}: {fate}; running its models one by one")
                    continue
                if code:
                    failed[cell] = fate.removeprefix("failed: ")
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
        folders = {f"{f.parent.name}/{f.name}": finished(f) for f in cell.folders(model)}
        results |= {k: w for k, w in folders.items() if w >= begun} or folders
    one = Done(cell.kind.script, [*cell.flags], [*cell.models], results, cell.inputs, seconds)
    if not write_line(cell.log.with_name("done.jsonl"), json.dumps(asdict(one))):
        say(f"cannot write to {cell.log.parent}, so the next study re-checks this cell")
    return one


def reason_in(log: Path, start: int, code: int) -> str:
    """Return why a command failed: its own error message in the log from `start` on, if any."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    try:
        with open(log, "a+b", buffering=0) as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - 10_000))
            said = file.read().decode(errors="replace")
            file.write(f"exit code {code}\n".encode())
    except OSError as error:  # a full disk, which the command could not report either
        return str(storage_error(error, log))
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return [f"exit code {code}", *lines[-1:], *errors[-1:]][-1]


def write_line(path: Path, line: str) -> bool:
    """Append a line to a file; return whether that succeeded."""
    try:
        with open(path, "ab", buffering=0) as file:
            file.write(f"\n{line}\n".encode())  # the line before may have been cut off by a kill
    except OSError:
        return False
    return True


def say(line: str) -> None:
    """Print a line above the progress bar, and flush it."""
    tqdm.write(line)
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """Return a time as people read it: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, digits in (("days", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"


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
    table = pd.DataFrame(rows, columns=names).to_string(
        index=False, formatters=formats, na_rep="unknown"
    )
    speed = f"at {rate:,.0f} model inputs/s" if rate else "unknown (nothing has run; give --rate)"
    basis = f", as measured by {len(timed)} command(s)" if timed else ""
    return (
        f"{table}\n"
        f"time {speed}{basis}, {workers} command(s) at once\n"
        "model inputs are counted for the published data sets, with default flags except --limit"
    )


def report(results: Path, notes: list[str]) -> bool:
    """Collect the table and write the report; return whether both succeeded."""
    table, page = results / "table", results / "report.html"
    collect = ["collect.py", "--results", results, "--out", table, "--notes", *notes]
    show = ["report.py", "--table", table / "benchmark.csv", "--results", results, "--out", page]
    return not any(
        subprocess.run([sys.executable, str(CODE / words[0]), *words[1:]]).returncode
        for words in ([*map(str, collect)], [*map(str, show)])
    )


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
    add("--data", type=Path, metavar="DIR",
        help="folder of the data sets (default: environment variables and downloads)")  # fmt: skip
    output = "directory for all output (default: results)"
    add("--results", type=Path, default=Path("results"), metavar="DIR", help=output)
    shared = "models per command, which share decoding and start-up time (default: 1)"
    add("--together", type=_positive, default=1, metavar="N", help=shared)
    parallel = "commands at a time on this machine (default: the number of GPUs, or 1)"
    add("--workers", type=_positive, metavar="N", help=parallel)
    where = "run on this machine (local), or as tasks on a Ray cluster (ray) (default: local)"
    add("--engine", choices=("local", "ray"), default="local", help=where)
    cluster = "address of a running Ray cluster, or auto (default: start one on this machine)"
    add("--ray_address", metavar="HOST:PORT", help=cluster)
    add(
        "--gpus_per_cell",
        type=float,
        metavar="N",
        help="GPUs per Ray task (default: 1 if a node has a GPU, else 0)",
    )
    add(
        "--cpus_per_cell", type=float, default=1, metavar="N", help="CPUs per Ray task (default: 1)"
    )
    add("--again", action="store_true", help="also run cells that are already done")
    plan = "print the cells, model inputs and estimated time without running anything"
    add("--dry_run", action="store_true", help=plan)
    rate = "for --dry_run: model inputs per second (default: as measured in this results folder)"
    add("--rate", type=float, metavar="R", help=rate)
    commands = "print one command per cell, for SLURM arrays, GNU parallel or xargs, and exit"
    add("--print_commands", action="store_true", help=commands)
    no_report = "skip the figures of all models, the table and the report at the end"
    add("--no_report", action="store_true", help=no_report)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _underscored(word: str) -> str:
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value if word.startswith("--") else word


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    words = sys.argv[1:] if argv is None else argv
    split = words.index("--") if "--" in words else len(words)
    arguments = parser().parse_args([_underscored(word) for word in words[:split]])
    arguments.flags = words[split + 1 :]
    return guarded(lambda: study(arguments))


def study(arguments: argparse.Namespace) -> int:
    """Run what the command line asks for; return the exit code."""
    cells = cells_of(arguments)
    absent = absent_data(cells)
    if arguments.print_commands or arguments.dry_run:
        print("\n".join(absent), end="\n" if absent else "", file=sys.stderr)
    if arguments.print_commands:
        print("\n".join(shlex.join(cell.command) for cell in together(cells, arguments.together)))
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
