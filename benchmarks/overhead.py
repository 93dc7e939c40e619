"""How much time an evaluation takes besides the model: whole run / pure forward, one process.

    python benchmarks/overhead.py --model path/to/file.py:factory --imagenet DIR

All sides see the same images, batch size, precision and memory layout, and take turns. "Whole run"
is the script's main(): reading the folder, loading and hashing the model, decoding, the forward
pass, the predictions, the summary. "On cached crops" is the same with --cache_crops, after a run
that filled the cache. "Pure forward" calls the model on batches that are already decoded and in
memory. Ratios hold between machines better than seconds do; on a machine that other programs use,
those of CPU time with OMP_NUM_THREADS=1. On several cores those by the clock are larger, since
only the model uses them all.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

import eval_imagenet
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.run.command_line import guarded
from bvg.run.settings import best_device, keep_freed_memory
from bvg.zoo.loading import load_model
from measuring import Cost, in_turns, timed, whole_run

KINDS = ("clock", "cpu")


@torch.inference_mode()
def forward(model: torch.nn.Module, batches: list[torch.Tensor]) -> None:
    """Compute the model on decoded batches."""
    for batch in batches:
        model(batch)


def decoded(folder: str, batch_size: int, device: torch.device) -> list[torch.Tensor]:
    """Return all images as model inputs, by batch."""
    images = imagenet_val(folder, imagenet_classes(), partial=True)
    batches = decoded_batches(images, (STUDY,), 0, batch_size, 2, False)
    return [batch.views[0].to(device).permute(0, 3, 1, 2).float() / 255 for batch in batches]


def compare() -> None:
    """Print the seconds of all sides by the clock and of CPU time, and the ratios of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--imagenet", required=True, help="at most some hundred images")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--num_workers", help="decoding processes (default: the script's own)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device")
    arguments = parser.parse_args()
    keep_freed_memory()
    device = best_device(arguments.device)
    model = load_model(arguments.model).to(device).to(memory_format=torch.channels_last)
    batches = decoded(arguments.imagenet, arguments.batch_size, device)
    count = sum(len(batch) for batch in batches)
    words = ["--model", arguments.model, "--imagenet", arguments.imagenet, "--partial"]
    words += ["--batch_size", str(arguments.batch_size), "--device", str(device)]
    words += ["--wandb", "disabled"]
    words += ["--num_workers", arguments.num_workers] if arguments.num_workers else []
    forward(model, batches[:1])  # the first call allocates
    with tempfile.TemporaryDirectory() as cache:
        on_crops = [*words, "--cache_crops", cache]
        whole_run(eval_imagenet.main, on_crops)
        sides = {
            "whole run": lambda: whole_run(eval_imagenet.main, words),
            "on cached crops": lambda: whole_run(eval_imagenet.main, on_crops),
            "pure forward": lambda: timed(lambda: forward(model, batches)),
        }
        costs = in_turns(sides, arguments.repeats)
    bare = costs["pure forward"]
    for name, own in costs.items():
        print(f"{name}: {_median(own)}; {_ratios(own, bare)} times pure forward")
    speed = count / statistics.median(cost.clock for cost in bare)
    print(f"{count} images, {len(bare)} turns; pure forward: {speed:.1f} images/s")


def _median(costs: list[Cost]) -> str:
    clock, cpu = (statistics.median(getattr(cost, of) for cost in costs) for of in KINDS)
    return f"{clock:.2f} s, {cpu:.2f} s of CPU time"


def _ratios(costs: list[Cost], bare: list[Cost]) -> str:
    pairs = [*zip(costs, bare, strict=True)]
    clock, cpu = (
        statistics.median(getattr(own, of) / getattr(other, of) for own, other in pairs)
        for of in KINDS
    )
    return f"{clock:.2f} and {cpu:.2f}"


if __name__ == "__main__":
    sys.exit(guarded(compare))
