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
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from bvg.data.downloads import data_sets
from bvg.data.finding import look_for
from bvg.errors import UserError
from bvg.files import make_folder, write_text
from bvg.progress import duration
from bvg.run.command_line import (
    BUSY,
    guarded,
    parse_words,
    plain_parser,
    positive,
    positive_number,
    underscored,
)
from bvg.run.engines import Engine, devices_for, on_ray, reason_in, run_here
from bvg.zoo.names import expanded, run_name, split_alias

CODE = Path(__file__).resolve().parent
RETRY_SECONDS = 30.0  # until a result that another process was writing is tried again


@dataclass(frozen=True)
class Benchmark:
    """A script, and what a study needs to know about it. A string may hold several words.

    results: its result folders. data: data sets, one of which it needs. images: published files, of
    all `conditions` (--limit takes some of each). inputs: model inputs per file, a gradient
    counting as one more. flags: what makes it this benchmark. extras: data sets it can do without.
    package: what it needs beyond requirements.txt.
    """

    script: str
    results: str
    data: str = "imagenet"
    images: int = 50_000
    inputs: int = 1
    conditions: int = 1
    flags: str = ""
    extras: str = ""
    package: str = ""


LOWPASS = "--blur 1 2.5 4 --downsample 64"
BENCHMARKS = {
    "imagenet": Benchmark("eval_imagenet.py", "imagenet", extras="imagenet-x"),
    "imagenet_real": Benchmark(
        "eval_imagenet_real.py", "imagenet_real", images=46_837, extras="imagenet-real"
    ),
    "imagenet_ood": Benchmark(
        "eval_imagenet_ood.py",
        "imagenet_v2 imagenet_a imagenet_r imagenet_sketch",
        "imagenet-v2 imagenet-a imagenet-r imagenet-sketch",
        images=10_000 + 7_500 + 30_000 + 50_889,
        conditions=4,
    ),
    "imagenet_c": Benchmark(
        "eval_imagenet_c.py", "imagenet_c", "imagenet-c", 50_000 * 95, conditions=95
    ),
    "imagenet_c_generated": Benchmark(  # clean, and 19 corruptions at 5 severities
        "eval_imagenet_c.py", "imagenet_c_generated", inputs=1 + 19 * 5, flags="--generate"
    ),
    "imagenet_cbar": Benchmark(
        "eval_imagenet_cbar.py", "imagenet_cbar", "imagenet-c-bar", 50_000 * 50, conditions=50
    ),
    "imagenet_p": Benchmark(  # a file is a sequence of 31 frames
        "eval_imagenet_p.py", "imagenet_p", "imagenet-p", 50_000 * 10, inputs=31, conditions=10
    ),
    "model_vs_human": Benchmark(
        "eval_model_vs_human.py",
        "imagenet_model_vs_human",
        "model-vs-human",
        images=18_080,
        conditions=78,
        extras="human-decisions",
    ),
    "shape_bias": Benchmark(
        "eval_shape_bias.py",
        "imagenet_shape_bias imagenet_shape_bias_names",  # the latter of zero-shot models
        "model-vs-human/cue-conflict",
        1_280,
    ),
    "model_vs_human_lowpass": Benchmark(  # through four filters, and unfiltered
        "eval_model_vs_human.py",
        "imagenet_model_vs_human_lowpass",
        "model-vs-human",
        images=18_080,
        inputs=1 + 4,
        conditions=78,
        flags=LOWPASS,
        extras="human-decisions",
    ),
    "shape_bias_lowpass": Benchmark(
        "eval_shape_bias.py",
        "imagenet_shape_bias_lowpass",
        "model-vs-human/cue-conflict",
        images=1_280,
        inputs=1 + 4,
        flags=LOWPASS,
    ),
    "refined_bias": Benchmark(  # 10 classes of shape and 10 of texture
        "eval_refined_bias.py", "refined_bias", "refined-bias", images=6_000, conditions=2
    ),
    "css": Benchmark("eval_css.py", "css_*", "visual-anagrams", images=144),
    "frequency_cue_conflict": Benchmark(  # how many images there are is not stated
        "eval_frequency_cue_conflict.py", "frequency_cue_conflict", "frequency-cue-conflict", 1_280
    ),
    "imagenet9": Benchmark(  # eight variants
        "eval_imagenet9.py", "imagenet9", "imagenet9", images=8 * 4_050, conditions=8
    ),
    "stylized_imagenet": Benchmark(
        "eval_stylized_imagenet.py", "stylized_imagenet", "stylized-imagenet"
    ),
    "laion_c": Benchmark(  # a few more images: their exact number is not published
        "eval_laion_c.py", "laion_c", "laion-c", images=130_000, conditions=6 * 5
    ),
    "laion_c_generated": Benchmark(  # clean, and 4 corruptions at 5 levels; 300 of 16 superclasses
        "eval_laion_c.py",
        "laion_c_generated",
        images=16 * 300,
        inputs=1 + 4 * 5,
        flags="--generate",
    ),
    "spectral": Benchmark(  # clean, and 11 cutoffs of a low and a high pass
        "eval_spectral.py", "imagenet_spectral", inputs=1 + 2 * 11
    ),
    "criticalband": Benchmark(  # without noise, and 7 octaves of noise at 4 strengths
        "eval_criticalband.py", "imagenet_criticalband", inputs=1 + 7 * 4
    ),
    "critical_band_masking": Benchmark(  # without noise, and 7 octaves of noise at 4 strengths
        "eval_critical_band_masking.py",
        "critical_band_masking",
        "critical-band-masking",
        images=1_050,
        conditions=1 + 7 * 4,
    ),
    "suppression": Benchmark(  # originals, and one suppression of each of 4 cues
        "eval_suppression.py", "imagenet_suppression", inputs=1 + 4
    ),
    "imagenet_w": Benchmark(  # without and with the watermark
        "eval_imagenet_w.py", "imagenet_w", inputs=2, package="imagenet-w"
    ),
    "adv": Benchmark(  # clean and attacked; PGD's 40 steps with a gradient, and its two ends
        "eval_imagenet_adv.py", "imagenet_adv_*", inputs=2 + 40 * 2 + 2
    ),
}
# Skipped by default if the other one runs: cue conflict is one of model-vs-human's data sets, and
# ImageNet-C and LAION-C need not be generated if their files are available.
INSTEAD = {
    "shape_bias": "model_vs_human",
    "shape_bias_lowpass": "model_vs_human_lowpass",
    "imagenet_c_generated": "imagenet_c",
    "laion_c_generated": "laion_c",
}
# Evaluated on the same crops of ImageNet's images, which the first one keeps for the others.
SAME_CROPS = (
    "imagenet",
    "imagenet_real",
    "imagenet_c_generated",
    "spectral",
    "criticalband",
    "imagenet_w",
    "adv",
)


def data_flags(kind: Benchmark, root: Path | None) -> list[str]:
    """Return the script's flags for the data sets that are below `root`."""
    words = []
    for data_set in (data_sets()[name] for name in f"{kind.data} {kind.extras}".split()):
        if root and (root / data_set.path).exists():
            words += [data_set.flag, str((root / data_set.path).resolve())]
    return words


def has_data(kind: Benchmark, flags: Sequence[str]) -> bool:
    """Return whether the script will find its data: by `flags`, by a variable, or as fetched."""
    given = {underscored(word).partition("=")[0] for word in flags}
    return any(data_sets()[name].flag in given or look_for(name) for name in kind.data.split())


def can_run(kind: Benchmark, flags: Sequence[str]) -> bool:
    """Return whether the script will find its data, and its package."""
    installed = not kind.package or any(metadata.distributions(name=kind.package))
    return installed and has_data(kind, flags)


@dataclass(frozen=True)
class Cell:
    """A command of the study: models on a benchmark.

    benchmark: as given, a name and possibly flags. flags: all of the script's flags but --model and
    `cache`, where decoded crops are kept.
    """

    benchmark: str
    kind: Benchmark
    models: tuple[str, ...]
    flags: tuple[str, ...]
    results: Path
    cache: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return the name used in messages."""
        more = f" and {len(self.models) - 1} more" if len(self.models) > 1 else ""
        return f"{self.benchmark} of {run_name(self.models[0])}{more}"

    @property
    def command(self) -> list[str]:
        """Return the command, with absolute paths."""
        script = str(CODE / self.kind.script)
        return [sys.executable, script, "--model", *self.models, *self.cache, *self.flags]

    @property
    def inputs(self) -> int:
        """Return the model inputs with the published data set and the script's default flags."""
        limits = re.findall(r"--limit[ =](\d+)", " ".join(self.flags))
        images = min([self.kind.images, *(int(n) * self.kind.conditions for n in limits[-1:])])
        return images * self.kind.inputs * len(self.models)

    def split(self) -> list["Cell"]:
        """Return a cell for each of the models."""
        return [replace(self, models=(model,)) for model in self.models]

    def file(self, ending: str) -> Path:
        """Return the study's own file about the cell: ".log" or ".json" (see `record`)."""
        return self.results / ".study" / (re.sub(r"[^\w.=-]+", "_", self.title)[-200:] + ending)

    def folders(self) -> list[Path]:
        """Return the models' result folders that exist, complete or not."""
        globs = [f"{name}/{run_name(m)}" for name in self.kind.results.split() for m in self.models]
        return [folder for glob in globs for folder in self.results.glob(glob)]

    def times(self) -> dict[str, int]:
        """Return when the finished summaries, the script and the files given to it were written."""
        done = [folder for folder in self.folders() if not (folder / "partial").exists()]
        words = [*(split_alias(model)[1] for model in self.models), *self.flags]
        named = [re.sub(r"^file://|(?<=\.py):\w+$", "", word) for word in words]
        named.append(str(CODE / self.kind.script))
        files = [*(folder / "summary.json" for folder in done), *map(Path, named)]
        return {str(file): file.stat().st_mtime_ns for file in files if file.is_file()}

    def is_done(self) -> bool:
        """Return whether the cell, of one model, was completed and nothing has changed since.

        Its flags, its summaries, the script and the files that it names, such as a checkpoint, must
        be the same. Otherwise the script decides: it resumes, is complete, or refuses.
        """
        known = read(self.file(".json"))
        same = known.get("flags") == [*self.flags] and bool(self.folders())
        return same and known["times"].items() <= self.times().items()


def crops_of(results: Path) -> Path:
    """Return the folder of the crops that a study's benchmarks share."""
    return results / ".study" / "crops"


def read(file: Path) -> dict[str, Any]:
    """Return the record of a completed cell; {} if there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def record(cell: Cell, seconds: float | None) -> None:
    """Record that a cell was completed, in so many seconds; None if part of it was done before."""
    for one in cell.split():
        known = read(one.file(".json")) | {"flags": one.flags, "times": one.times()}
        if seconds is not None:
            known |= {"inputs": one.inputs, "seconds": seconds / len(cell.models)}
        write_text(one.file(".json"), json.dumps(known))


def together(cells: Sequence[Cell], most: int) -> list[Cell]:
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
    models, data, results = expanded(arguments.model), arguments.data, arguments.results.resolve()
    names = [run_name(model) for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two models are named {twice[0]!r}: rename one with RUNNAME=MODEL")
    here = [name for name, kind in BENCHMARKS.items() if can_run(kind, data_flags(kind, data))]
    default = [[name] for name in here if INSTEAD.get(name) not in here]
    chosen = [text or [""] for text in arguments.benchmark or default]
    shared = [name for name, *_ in chosen if name in SAME_CROPS]
    cells = []
    for name, *own in chosen:
        if name not in BENCHMARKS:
            raise UserError(f"unknown benchmark {name!r}: choose from {', '.join(BENCHMARKS)}")
        kind = BENCHMARKS[name]
        words = (*kind.flags.split(), *data_flags(kind, data), *own)
        flags = (*words, "--results", str(results), *arguments.flags)
        keep = arguments.crop_cache and name in SAME_CROPS and len(shared) > 1
        cache = ("--cache_crops", str(crops_of(results))) if keep else ()
        cells += [
            Cell(shlex.join([name, *own]), kind, (model,), flags, results, cache)
            for model in models
        ]
    if not cells:
        raise UserError(
            "no data set is available: give a folder that contains data sets with --data, or "
            "download them with python code/download.py"
        )
    return list(dict.fromkeys(cells))


def run(cells: Sequence[Cell], engine: Engine) -> dict[Cell, str]:
    """Run the cells, and return the reason for each failure.

    A cell whose result another process is writing, such as a command that outlived a killed
    run_study.py, is tried again until that process has ended.
    """
    failed: dict[Cell, str] = {}
    bar = tqdm(total=sum(c.inputs for c in cells), unit=" inputs", unit_scale=True, disable=None)
    while cells:
        new = {cell for cell in cells if not cell.folders()}
        for cell in cells:
            write_text(cell.file(".log"), f"$ {shlex.join(cell.command)}\n")
        busy = []
        with closing(engine([(cell.command, cell.file(".log")) for cell in cells])) as ended:
            for number, code, seconds in ended:
                cell, fate = cells[number], f"done in {duration(seconds)}"
                if code == BUSY:
                    busy.append(cell)
                    fate = "another process is writing its result; retrying later"
                elif code:
                    failed[cell] = reason_in(cell.file(".log"), code)
                    fate = f"failed: {failed[cell]}"
                else:
                    record(cell, seconds if cell in new else None)
                tqdm.write(f"{cell.title}: {fate}")
                bar.update(cell.inputs if code != BUSY else 0)
        if cells := busy:
            time.sleep(RETRY_SECONDS)
    bar.close()
    return failed


def plan(cells: Sequence[Cell], rate: float | None, workers: int) -> str:
    """Return the plan as text: the cells of each benchmark, and the remaining work.

    rate: model inputs per second; None: as measured in the results folder.
    """
    records = [read(file) for file in (cells[0].results / ".study").glob("*.json")]
    timed = [known for known in records if "seconds" in known]
    if timed and not rate:
        rate = sum(known["inputs"] for known in timed) / sum(known["seconds"] for known in timed)
    rows = []
    for name in [*dict.fromkeys(cell.benchmark for cell in cells), "all"]:
        mine = [cell for cell in cells if name in (cell.benchmark, "all")]
        left = [cell for cell in mine if not cell.is_done()]
        inputs = sum(cell.inputs for cell in left)
        seconds = inputs / (rate or math.nan) / (workers if name == "all" else 1)
        rows.append((name, len(mine), len(mine) - len(left), inputs, seconds))
    table = pd.DataFrame(rows, columns=["benchmark", "cells", "done", "model inputs", "time"])
    formats = {"model inputs": "{:,}".format, "time": duration}
    return (
        f"{table.to_string(index=False, formatters=formats, na_rep='unknown')}\n"
        f"time: of all with {workers} command(s) at once (unknown until one has run; see --rate)\n"
        "model inputs: of the published data sets, with default flags except --limit"
    )


def report(results: Path, notes: Sequence[str]) -> bool:
    """Collect the table and write the report; return whether both succeeded."""
    table, page = results / "table", results / "report.html"
    commands: list[list[str | Path]] = [
        ["collect.py", "--results", results, "--out", table, "--notes", *notes],
        ["report.py", "--results", results, "--table", table / "benchmark.csv", "--out", page],
    ]
    calls = ([sys.executable, CODE / script, *words] for script, *words in commands)
    return all(subprocess.run(call).returncode == 0 for call in calls)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = plain_parser(
        __doc__,
        "exit codes: 0 all done; 1 some cells failed (listed at the end); 2 a problem you can fix "
        "(one sentence says how); 130 interrupted (the same command resumes)",
    )
    add = parser.add_argument
    text = "model names; also category:NAME of the zoo, glob patterns, or @FILE with one per line"
    add("--model", nargs="+", action="extend", required=True, metavar="NAME", help=text)
    text = (
        f"benchmarks, of {', '.join(BENCHMARKS)}; quote a name with additional flags (default: all "
        "whose data and packages are there, without shape_bias[_lowpass] if "
        "model_vs_human[_lowpass] runs, and without imagenet_c_generated or laion_c_generated if "
        "the published files are there)"
    )
    add("--benchmark", nargs="+", action="extend", type=shlex.split, metavar="NAME", help=text)
    text = "folder of the data sets (default: environment variables and downloads)"
    add("--data", type=Path, metavar="DIR", help=text)
    text = "directory for all output (default: results)"
    add("--results", type=Path, default=Path("results"), metavar="DIR", help=text)
    text = "models per command, which share decoding and start-up (default: 1)"
    add("--together", type=positive, default=1, metavar="N", help=text)
    text = "commands at a time on this machine (default: the number of GPUs, or 1)"
    add("--workers", type=positive, metavar="N", help=text)
    text = "run on this machine (default), or as tasks of a Ray cluster (that of RAY_ADDRESS)"
    add("--engine", choices=("local", "ray"), default="local", help=text)
    text = "GPUs per Ray task (default: 1 if there are any)"
    add("--gpus_per_cell", type=float, metavar="N", help=text)
    text = "CPUs per Ray task (default: 1)"
    add("--cpus_per_cell", type=positive_number, default=1, metavar="N", help=text)
    text = (
        "decode ImageNet's images for each benchmark (default: where several benchmarks use the "
        "same crops and there is room, keep them in <results>/.study/crops, 7.5 GB for 50,000)"
    )
    add("--no_crop_cache", dest="crop_cache", action="store_false", help=text)
    text = "print cells, model inputs and time, and write nothing"
    add("--dry_run", action="store_true", help=text)
    text = "for --dry_run: model inputs per second (default: as measured in this results folder)"
    add("--rate", type=positive_number, metavar="R", help=text)
    text = "print one command per cell, for SLURM arrays, GNU parallel or xargs, and exit"
    add("--print_commands", action="store_true", help=text)
    text = "skip the figures of all models, the table and the report at the end"
    add("--no_report", action="store_true", help=text)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    words = sys.argv[1:] if argv is None else argv
    split = words.index("--") if "--" in words else len(words)
    arguments = parse_words(parser(), words[:split])
    arguments.flags = words[split + 1 :]
    return guarded(lambda: study(arguments))


def study(arguments: argparse.Namespace) -> int:
    """Run what the command line asks for; return the exit code."""
    cells = cells_of(arguments)
    if arguments.print_commands:
        for cell in together(cells, arguments.together):
            print(shlex.join(cell.command))
        return 0
    if arguments.dry_run:
        print(plan(cells, arguments.rate, len(devices_for(arguments.workers))))
        return 0
    for cell in cells:
        if not has_data(cell.kind, cell.flags):
            need = cell.kind.data.replace(" ", " or ")
            raise UserError(f"{cell.benchmark}: give --data a folder that contains {need}")
    results = arguments.results.resolve()
    logs = make_folder(results / ".study")
    todo = [cell for cell in cells if not cell.is_done()]
    print(f"{len(cells)} cells, {len(cells) - len(todo)} already done; logs: {logs}")
    if any(cell.cache for cell in todo):
        print(
            f"decoded crops are kept in {crops_of(results)}: 7.5 GB for the 50,000 images of "
            "ImageNet (delete them when the study is complete; --no_crop_cache: keep none)"
        )
    if arguments.engine == "ray":
        engine = on_ray(arguments.gpus_per_cell, arguments.cpus_per_cell)
    else:
        engine = partial(run_here, devices_for(arguments.workers))
    commands = together(todo, arguments.together)
    failed = run(commands, engine)
    # One of the models that share a command may be to blame for its failure.
    shared = [cell for cell in failed if len(cell.models) > 1]
    failed |= run([one for cell in shared for one in cell.split()], engine)
    failed = {cell: reason for cell, reason in failed.items() if cell not in shared}
    print(f"{len(todo) - len(failed)} cells completed, {len(failed)} failed")
    for cell, reason in failed.items():
        print(f"\n{cell.title}: {reason}\n    {shlex.join(cell.command)}")
    if arguments.no_report:
        return 1 if failed else 0
    # A script draws the figures of its command's models: once more, with all of a benchmark.
    ran = {cell.benchmark for cell in todo}
    groups = together([cell for cell in cells if cell.is_done()], len(cells))
    run([cell for cell in groups if cell.benchmark in ran and cell not in commands], engine)
    notes = [f"{cell.title} failed: {reason}" for cell, reason in failed.items()]
    return 0 if report(results, notes) and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
