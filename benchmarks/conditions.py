"""What sharing the work of many conditions gains: our stimuli and runs beside straightforward ones.

    python benchmarks/conditions.py --model path/to/file.py:factory --imagenet DIR

Both sides see the same images, model, batch size and cores, and take turns. "stimuli" are made from
crops that are in memory already. "runs" go from files to answers: ours is the script's main() with
everything that it does, the other one a bare loop over conditions, images and batches in a process
of its own (benchmarks/straightforward.py), so that it has nothing of ours, not even the settings of
the memory allocator. "share" is the part of our run that is neither model nor stimuli. "memory" is
the peak of a process of its own. Ratios hold between machines better than seconds do.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

import eval_criticalband
import eval_spectral
from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.run.batches import as_batch
from bvg.run.settings import keep_freed_memory
from overhead import whole_run
from straightforward import critical_band_conditions, crop_of, spectral_conditions

HERE = Path(__file__).resolve().parent
PAIRS: dict[str, tuple[Any, Any]] = {
    "spectral": (eval_spectral, spectral_conditions),
    "criticalband": (eval_criticalband, critical_band_conditions),
}


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compare_stimuli(images: ImageSet, batch_size: int, turns: int) -> None:
    """Print how long all conditions of an image take to make, ours and one by one."""
    batches = [
        as_batch(images, decoded.views[0], decoded.indices, torch.device("cpu"), 0)
        for decoded in decoded_batches(images, (STUDY,), 0, batch_size, 0, False)
    ]
    crops = [crop_of(images.path(index)) for index in range(min(len(images), 16))]
    for what, (script, conditions) in PAIRS.items():
        slow = list(conditions().values())[1:]  # without the condition that changes nothing

        def ours(script: Any = script) -> None:
            for batch in batches:
                for _ in script.stimuli(batch):
                    pass

        def theirs(slow=slow) -> None:
            for crop in crops:
                for stimulus in slow:
                    stimulus(crop)

        ours()
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(turns)]
        fast = statistics.median(a for a, _ in pairs) / len(images) * 1000
        one_by_one = statistics.median(b for _, b in pairs) / len(crops) * 1000
        print(
            f"{what} stimuli, ms per image for {len(slow)} conditions: ours {fast:.2f}, one by "
            f"one {one_by_one:.1f}, ratio {one_by_one / fast:.1f}",
            flush=True,
        )


def compare_runs(images: ImageSet, arguments: argparse.Namespace, words: list[str]) -> None:
    """Print how long whole runs take, ours and the straightforward ones, and where ours goes."""
    plain = ["--model", arguments.model, "--batch_size", str(arguments.batch_size), "--images"]
    plain += [str(images.path(index)) for index in range(len(images))]
    for what, (script, _) in PAIRS.items():
        pairs = []
        for _ in range(arguments.repeats):
            with tempfile.TemporaryDirectory() as results:
                fast = whole_run(script.main, [*words, "--results", results])
                spent = spent_in(Path(results))
            command = [sys.executable, str(HERE / "straightforward.py"), "--what", what, *plain]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
            pairs.append((fast, float(done.stdout)))
        fast, slow = (statistics.median(column) for column in zip(*pairs, strict=True))
        rest = 1 - (spent["model"] + spent["stimuli"]) / pairs[-1][0]
        print(
            f"{what} runs of {len(images)} images: ours {fast:.1f} s, straightforward "
            f"{slow:.1f} s, ratio {slow / fast:.1f}; ours: model {spent['model']:.1f} s, stimuli "
            f"{spent['stimuli']:.1f} s, share of the rest {rest:.0%}",
            flush=True,
        )


def share(words: list[str]) -> None:
    """Print which part of our runs is neither model nor stimuli."""
    for what, (script, _) in PAIRS.items():
        with tempfile.TemporaryDirectory() as results:
            whole = whole_run(script.main, [*words, "--results", results])
            spent = spent_in(Path(results))
        rest = 1 - (spent["model"] + spent["stimuli"]) / whole
        print(
            f"{what}: {whole:.1f} s, model {spent['model']:.1f} s, stimuli "
            f"{spent['stimuli']:.1f} s, share of the rest {rest:.0%}",
            flush=True,
        )


def spent_in(results: Path) -> dict[str, float]:
    """Return the seconds by section that the one summary under `results` tells."""
    (summary,) = results.glob("*/*/summary.json")
    return json.loads(summary.read_text(encoding="utf-8"))["seconds"]


def memory(words: list[str], limits: tuple[int, ...]) -> None:
    """Print the peak memory of runs of one and of many conditions, on few and on many images."""
    scripts = ("eval_imagenet", "eval_spectral", "eval_criticalband", "eval_imagenet_adv")
    for script in (f"{name}.py" for name in scripts):
        for limit in limits:
            with tempfile.TemporaryDirectory() as results:
                command = [sys.executable, str(HERE.parent / "code" / script), *words]
                command += ["--limit", str(limit), "--results", results]
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
            if status:
                sys.exit(f"{script} failed")
            print(f"{script}, {limit} images: peak {usage.ru_maxrss / 1024:.0f} MB", flush=True)


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--limit", type=int, default=128, help="images (default 128)")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parts = ("stimuli", "runs", "share", "memory")
    parser.add_argument("--parts", nargs="+", choices=parts, default=["stimuli", "runs"])
    arguments = parser.parse_args()
    keep_freed_memory()
    images = imagenet_val(arguments.imagenet, imagenet_classes(), partial=True)
    images = class_balanced(images, arguments.limit, 0)
    words = ["--model", arguments.model, "--imagenet", arguments.imagenet, "--partial"]
    words += ["--batch_size", str(arguments.batch_size), "--device", "cpu", "--wandb", "disabled"]
    limited = [*words, "--limit", str(arguments.limit)]
    if "stimuli" in arguments.parts:
        compare_stimuli(images, arguments.batch_size, arguments.repeats)
    if "runs" in arguments.parts:
        compare_runs(images, arguments, limited)
    if "share" in arguments.parts:
        share(limited)
    if "memory" in arguments.parts:
        memory(words, (arguments.limit, 3 * arguments.limit))


if __name__ == "__main__":
    main()
