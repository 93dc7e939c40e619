"""What a cell of each benchmark costs: start-up, decoding, stimuli, model, the rest, and disk.

    python code/miniature/draw.py --out MINIATURE
    python benchmarks/cells.py --imagenet DIR --miniature MINIATURE --model path/to/file.py:factory

Each benchmark's script is run on one image in a process of its own, as a study runs it: that is
start-up, with what is done once at the end (scores, figures). Then in this process, on few and on
more images: what the two runs differ in is the cost of images. Times are CPU time of one thread,
because other programs change that less than time by the clock (threads that wait for each other
would count as busy). They are shared out as the sections are that summary.json records: "model"
includes the decision and, of adv, nothing of the attack, which is "stimuli"; "rest" is the answers'
way to the disk and what nobody timed. Benchmarks of ImageNet's photographs are run on --imagenet
with --model; the others on the miniature world with miniature_plain, so the model's part means
little there. "resnet50" is the plain network with random weights in fp32: forward, and forward with
the gradient of the input, as attacks take it.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from basics.memory import keep_freed_memory
from evaluation.session import main as script_main
from images.image_set import ImageSet
from images.imagenet import imagenet_classes, imagenet_val
from images.loading import decoded_batches
from images.preprocessing import READY_224, STUDY, Preprocessing
from study.benchmarks import IMAGENET, KINDS
from study.cells import Cell, cells_of

# Few and more images (of each condition where files show conditions), by benchmark.
SIZES = {
    "imagenet_c": (1, 8), "imagenet_c_generated": (2, 10), "imagenet_cbar": (1, 6),
    "imagenet_p": (1, 6), "model_vs_human": (2, 16), "shape_bias": (16, 800),
    "spectral": (8, 48), "criticalband": (8, 48), "adv": (4, 16),
}  # fmt: skip
USUAL = (16, 400)


@dataclass(frozen=True)
class Run:
    """One run: CPU time, time by the clock (also by section), images, answers and their bytes."""

    cpu: float
    wall: float
    seconds: dict[str, float]
    images: int
    stimuli: int
    answers: int
    size: int


def start(cell: Cell) -> float:
    """Return the CPU time of the cell's command; ends the process when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(cell.command, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            sys.exit(f"{cell.shell}\n{said.read()[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def run(cell: Cell) -> Run:
    """Return what a run of the cell takes in this process, which has imported everything."""
    script = import_module(Path(cell.kind.script).stem)
    begin, cpu = time.perf_counter(), time.process_time()
    with redirect_stdout(io.StringIO()):
        code = script_main(getattr(script, cell.kind.declared), None, cell.words)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - begin
    if code:
        sys.exit(code)
    seconds: Counter[str] = Counter()
    images = stimuli = answers = size = 0
    for folder in cell.folders:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        table = folder / "predictions.parquet"
        seconds.update(summary["seconds"])
        images += summary["settings"]["images_decoded"]
        stimuli += summary["settings"]["stimuli_made"]
        answers += pq.read_metadata(table).num_rows
        size += table.stat().st_size
    return Run(cpu, wall, dict(seconds), images, stimuli, answers, size)


@contextmanager
def cell_of(name: str, arguments: argparse.Namespace, limit: int) -> Iterator[Cell]:
    """Give a benchmark's cell of `limit` images, with results that are soon forgotten."""
    photographs = IMAGENET in KINDS[name].data and name != "imagenet_real"  # needs their numbers
    own = f" --imagenet {arguments.imagenet} --partial" if photographs else ""
    model = arguments.model if photographs else "miniature_plain"
    flags = ["--limit", str(limit), "--wandb", "disabled"]
    with tempfile.TemporaryDirectory() as results:
        (cell,) = cells_of([name + own], [model], Path(results), arguments.miniature, flags)
        yield cell


def line(name: str, begin: float, few: Run, more: Run) -> str:
    """Return the costs that follow from the start and two runs, as a line of the table."""
    images, stimuli = more.images - few.images, more.stimuli - few.stimuli
    answers = more.answers - few.answers
    own = {s: more.seconds.get(s, 0) - few.seconds.get(s, 0)
           for s in ("decode", "stimuli", "model", "wait")}  # fmt: skip
    own["rest"] = more.wall - few.wall - own["stimuli"] - own["model"] - own.pop("wait")
    own["rest"] = max(0.0, own["rest"])
    core = (more.cpu - few.cpu) / sum(own.values())  # CPU time in a second of a thread
    each = (own["decode"] / images, own["stimuli"] / stimuli, own["model"] / stimuli,
            own["rest"] / answers)  # fmt: skip
    cells = [f"{begin:6.1f} s", *(f"{1000 * core * seconds:8.2f}" for seconds in each)]
    return (
        f"{name:22}" + " ".join(cells) + f" {(more.size - few.size) / answers:7.1f} {more.images:6}"
    )


def cells(arguments: argparse.Namespace) -> None:
    """Print the table of the benchmarks."""
    print(f"{'':22}start-up decode   stimuli  model    rest     bytes   images")
    print(f"{'':22}         ms/image ms/input ms/input ms/answer /answer; core-milliseconds")
    for name in arguments.benchmark:
        few, more = SIZES.get(name, USUAL)
        with cell_of(name, arguments, 1) as cell:
            begin = start(cell)
        with cell_of(name, arguments, few) as cell:
            run(cell)
        runs = []
        for limit in (few, more):
            with cell_of(name, arguments, limit) as cell:
                runs.append(run(cell))
        print(line(name, begin, *runs), flush=True)


def cost(work: Callable[[], int], repeats: int) -> float:
    """Return core-seconds per image, the median of the repeats after one to warm up."""
    work()
    costs = []
    for _ in range(repeats):
        begin = time.process_time()
        count = work()
        costs.append((time.process_time() - begin) / count)
    return statistics.median(costs)


def decode(images: ImageSet, view: Preprocessing) -> int:
    """Return how many images were decoded."""
    batches = decoded_batches(images, (view,), 0, 16, 0, False)
    return sum(len(batch.indices) for batch in batches)


def cropped(images: ImageSet, folder: Path) -> ImageSet:
    """Return the images as crops of 224 pixels, JPEG of quality 85 as those of ImageNet-C."""
    for batch in decoded_batches(images, (STUDY,), 0, 16, 0, False):
        for index, pixels in zip(batch.indices.tolist(), batch.views[0].numpy(), strict=True):
            path = folder / images.files[index]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, "JPEG", quality=85)
    return replace(images, root=folder)


def plain(arguments: argparse.Namespace) -> None:
    """Print what a plain ResNet-50 takes, and decoding."""
    from timm import create_model

    model = create_model("resnet50").eval().requires_grad_(False)
    model = model.to(memory_format=torch.channels_last)
    x = torch.rand(8, 3, 224, 224).to(memory_format=torch.channels_last)
    images = imagenet_val(arguments.imagenet, imagenet_classes(), partial=True)

    def forward() -> int:
        with torch.no_grad():
            model(x)
        return len(x)

    def gradient() -> int:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(model(leaf).logsumexp(1).sum(), leaf)
        return len(x)

    works: dict[str, Callable[[], int]] = {
        "resnet50 forward": forward,
        "resnet50 forward and gradient": gradient,
        "decoding photographs": lambda: decode(images, STUDY),
    }
    with tempfile.TemporaryDirectory() as folder:
        crops = cropped(images, Path(folder))
        works["decoding crops of 224 pixels"] = lambda: decode(crops, READY_224)
        report(works, arguments.repeats)


def report(works: dict[str, Callable[[], int]], repeats: int) -> None:
    """Print what each of the works takes."""
    for what, work in works.items():
        each = cost(work, repeats)
        print(f"{what}: {1000 * each:.1f} core-ms per image, {1 / each:.1f} images/s", flush=True)


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imagenet", required=True, help="some hundred photographs")
    parser.add_argument("--miniature", type=Path, required=True, help="the drawn world's folder")
    parser.add_argument("--model", required=True)
    parser.add_argument("--benchmark", nargs="*", choices=KINDS, default=[*KINDS])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--parts", nargs="+", choices=("plain", "cells"), default=["plain", "cells"]
    )
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    if "plain" in arguments.parts:
        plain(arguments)
    if "cells" in arguments.parts:
        cells(arguments)


if __name__ == "__main__":
    main()
