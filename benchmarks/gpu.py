"""Where a second goes: a ResNet-50 in whole passes over images, by --precision.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --imagenet DIR --imagenet_cbar DIR --limit 2000

One command for whoever has a GPU; it also runs on the CPU. The weights are random, which changes no
speed, and the images are those of the miniature world unless others are given. A pass begins when
the models are loaded, and ends when the last predictions are on disk: loading, probing, scores and
figures do not count. Precisions take turns.

Columns: model inputs per second (a gradient counts as one more), and its ratio to the first
precision; shares of the pass in which the model and the stimuli (of an attack, its gradients too)
are computed, in which the loop waits for decoded images, and the rest. A GPU computes while the
loop waits, so that the rest can be below 0 there, and `busy` is the share of a further pass in
which kernels or copies run (torch.profiler; the profiler itself slows the pass, so the share is a
lower bound). Writes gpu.md and gpu.csv.
"""

import json
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.autograd import DeviceType
from torchvision.models import resnet50

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

import bvg.run.evaluate
import eval_criticalband
import eval_imagenet_adv
import eval_imagenet_c
import eval_imagenet_cbar
import eval_spectral
import eval_suppression
from bvg.errors import UserError
from bvg.run.command_line import (
    PRECISIONS,
    device_flag,
    guarded,
    parse_words,
    plain_parser,
    positive,
)
from bvg.run.settings import best_device
from inputs import draw_miniature
from miniature import world
from table import environment, write_table

STEPS = 40  # of the attack
# By name: the script and its words. With --source, an attack is not spared the images that random
# weights misclassify.
WORKLOADS: dict[str, tuple[Any, list[str]]] = {
    "cbar": (eval_imagenet_cbar, []),
    "spectral": (eval_spectral, []),
    "criticalband": (eval_criticalband, []),
    "generated_c": (eval_imagenet_c, ["--generate", "--frost", "procedural"]),
    "pgd": (eval_imagenet_adv, ["--steps", str(STEPS)]),
    "suppression": (eval_suppression, ["--curves"]),
}
NETWORK, MINIATURE_NETWORK = f"{__file__}:network", f"{__file__}:miniature_network"
DEFAULT = ("cbar", "spectral", "criticalband", "generated_c", "pgd")
ON_A_CPU, ON_A_GPU = 2, 512  # images


def network() -> nn.Module:
    """Return a ResNet-50 of ImageNet's classes with random weights."""
    torch.manual_seed(0)
    return resnet50().eval()


def miniature_network() -> nn.Module:
    """Return a ResNet-50 of the miniature world's classes with random weights."""
    torch.manual_seed(0)
    model = resnet50(num_classes=len(world.CATEGORIES)).eval()
    model.classes = tuple(world.CATEGORIES)
    return model


@dataclass(frozen=True)
class Pass:
    """A pass over images: model inputs, seconds by the clock, and by section."""

    inputs: int
    clock: float
    seconds: dict[str, float]


@dataclass(frozen=True)
class Row:
    """A line of the table; shares are parts of 1."""

    workload: str
    precision: str
    images: int
    inputs: int
    inputs_per_second: float
    ratio: float
    model: float
    stimuli: float
    waiting: float
    rest: float
    busy: float


def run(script: Any, words: list[str], extra_inputs: int = 0) -> Pass:
    """Return what a script's pass over the images took; extra_inputs: of each image's attack."""
    with TemporaryDirectory() as results, redirect_stdout(StringIO()), timed_passes() as spent:
        if script.main([*words, "--results", results]):
            raise UserError(
                f"a run to be measured failed (its words: {' '.join(words)}): see above"
            )
        (summary,) = Path(results).glob("*/*/summary.json")
        seconds = json.loads(summary.read_text(encoding="utf-8"))["seconds"]
    ((clock, counters),) = spent
    inputs = counters["model_inputs"] + extra_inputs * counters["images_decoded"]
    return Pass(inputs, clock, seconds)


@contextmanager
def timed_passes() -> Iterator[list[tuple[float, dict[str, int]]]]:
    """Collect the seconds and the counters of every pass over images."""
    original, spent = bvg.run.evaluate.run_pass, list[tuple[float, dict[str, int]]]()

    def timed_pass(*words: Any) -> dict[str, int]:
        begin = time.perf_counter()
        counters = original(*words)
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        spent.append((time.perf_counter() - begin, counters))
        return counters

    bvg.run.evaluate.run_pass = timed_pass  # type: ignore[assignment]
    try:
        yield spent
    finally:
        bvg.run.evaluate.run_pass = original


def busy_share(work: Callable[[], Pass]) -> float:
    """Return the share of a pass in which the GPU runs kernels or copies."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        clock = work().clock
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profile.events() or []
        if event.device_type == DeviceType.CUDA
    )
    return covered(spans) / 1e6 / clock  # the profiler's times are in microseconds


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of intervals, which are sorted by their beginnings."""
    total, reached = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def rows(args: Namespace, device: torch.device) -> Iterator[Row]:
    """Yield a line for each workload and precision."""
    limit = args.limit or (ON_A_GPU if device.type == "cuda" else ON_A_CPU)
    for workload in args.workloads:
        script, own = WORKLOADS[workload]
        words = [*data(workload, args, limit), *own, "--limit", str(limit), "--wandb", "disabled"]
        words += ["--device", str(device)]
        words += ["--batch_size", str(args.batch_size)] if args.batch_size else []
        if workload == "pgd":
            words += ["--source", f"source={words[words.index('--model') + 1]}"]
        # As in docs/scale.md: the clean answer, a forward and a backward pass per step, the last
        # answer. With --source, the images that a pass counts are those of --model.
        extra = 2 + 2 * STEPS if workload == "pgd" else 0
        turns: dict[str, list[Pass]] = {precision: [] for precision in args.precision}
        for _ in range(args.turns):
            for precision, passes in turns.items():
                passes.append(run(script, [*words, "--precision", precision], extra))
        first = [each.inputs / each.clock for each in turns[args.precision[0]]]
        for precision, passes in turns.items():
            busy = float("nan")
            if device.type == "cuda":
                busy = busy_share(partial(run, script, [*words, "--precision", precision]))
            yield row(workload, precision, limit, passes, first, busy)


def row(
    workload: str, precision: str, limit: int, passes: list[Pass], first: list[float], busy: float
) -> Row:
    """Return the line of some passes, their medians; first: inputs/s of the first precision."""
    rates = [each.inputs / each.clock for each in passes]
    model, stimuli, waiting = (
        statistics.median(each.seconds.get(name, 0.0) / each.clock for each in passes)
        for name in ("model", "stimuli", "wait")
    )
    return Row(
        workload,
        precision,
        limit,
        passes[0].inputs,
        statistics.median(rates),
        statistics.median(a / b for a, b in zip(rates, first, strict=True)),
        model,
        stimuli,
        waiting,
        1 - model - stimuli - waiting,
        busy,
    )


def data(workload: str, args: Namespace, limit: int) -> list[str]:
    """Return the words that name the images and the network of their classes."""
    flag = "imagenet_cbar" if workload == "cbar" else "imagenet"
    name = "imagenet-c-bar" if workload == "cbar" else "imagenet"
    model, folder = NETWORK, getattr(args, flag)
    if not folder:
        model, folder = MINIATURE_NETWORK, draw_miniature(args.results, limit, name) / name
    return [f"--{flag}", str(folder), "--partial", "--model", model]


def parser() -> ArgumentParser:
    """Return the parser of the command line."""
    whole = plain_parser(__doc__)
    add = whole.add_argument
    add(
        "--workloads",
        nargs="+",
        choices=WORKLOADS,
        default=list(DEFAULT),
        metavar="NAME",
        help=f"of {', '.join(WORKLOADS)} (default: all but suppression)",
    )
    add(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        metavar="P",
        help=f"of {', '.join(PRECISIONS)} (default: all on a GPU, else fp32)",
    )
    add("--imagenet", metavar="DIR", help="photographs (default: the miniature world)")
    add("--imagenet_cbar", metavar="DIR", help="ImageNet-C-bar (default: the miniature world's)")
    add(
        "--limit",
        type=positive,
        metavar="N",
        help=f"images (default: {ON_A_GPU} on a GPU, else {ON_A_CPU}); of C-bar, per condition",
    )
    add(
        "--batch_size",
        type=positive,
        metavar="B",
        help="images per batch (default: that of the scripts)",
    )
    add("--turns", type=positive, default=1, metavar="N", help="of each precision (default: 1)")
    device_flag(whole)
    add(
        "--results",
        type=Path,
        default=Path("results") / "bench",
        metavar="DIR",
        help="folder for the table and the miniature world (default: results/bench)",
    )
    return whole


def measure(args: Namespace) -> None:
    """Measure, print each line when it is known, and write the table."""
    device = best_device(args.device)
    args.precision = args.precision or (PRECISIONS if device.type == "cuda" else ("fp32",))
    about = environment(device)
    found: list[Row] = []
    for each in rows(args, device):
        found.append(each)
        shares = ("model", "stimuli", "waiting", "rest", *["busy"] * (device.type == "cuda"))
        print(
            f"{each.workload}, {each.precision}: {each.inputs_per_second:.1f} inputs/s, ratio "
            f"{each.ratio:.2f};",
            ", ".join(f"{name} {getattr(each, name):.0%}" for name in shares),
            flush=True,
        )
        table = pd.DataFrame(map(asdict, found))
        write_table(table, args.results / "gpu", "Where a second goes, ResNet-50", about)
    print(f"wrote {args.results / 'gpu.md'} and {args.results / 'gpu.csv'}")


def main(argv: list[str] | None = None) -> int:
    """Measure; return the exit code."""
    args = parse_words(parser(), argv)
    return guarded(lambda: measure(args))


if __name__ == "__main__":
    sys.exit(main())
