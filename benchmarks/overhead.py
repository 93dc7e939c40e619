"""How much time an evaluation takes besides the model: whole run / pure forward, one process.

    python benchmarks/overhead.py --model path/to/file.py:factory --imagenet DIR

All sides see the same images, batch size, precision and memory layout, and take turns. "Whole run"
is the script's main(): reading the folder, loading and hashing the model, decoding, the forward
pass, the predictions, the summary. "On cached crops" is the same with --cache_crops, after a run
that filled the cache. "Pure forward" calls the model on batches that are already decoded and in
memory. Ratios hold between machines better than seconds do.
"""

import argparse
import statistics
import sys
import tempfile
import time
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
from measuring import whole_run


@torch.inference_mode()
def pure_forward(model: torch.nn.Module, batches: list[torch.Tensor]) -> float:
    """Return the seconds of the model on decoded batches."""
    begin = time.perf_counter()
    for batch in batches:
        model(batch)
    if batches[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def decoded(folder: str, batch_size: int, device: torch.device) -> list[torch.Tensor]:
    """Return all images as model inputs, by batch."""
    images = imagenet_val(folder, imagenet_classes(), partial=True)
    batches = decoded_batches(images, (STUDY,), 0, batch_size, 2, False)
    return [batch.views[0].to(device).permute(0, 3, 1, 2).float() / 255 for batch in batches]


def compare() -> None:
    """Print the seconds of all sides, and the ratios."""
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
    pure_forward(model, batches[:1])  # the first call allocates
    runs = []
    with tempfile.TemporaryDirectory() as cache:
        on_crops = [*words, "--cache_crops", cache]
        whole_run(eval_imagenet.main, on_crops)
        for _ in range(arguments.repeats):
            seconds = (
                whole_run(eval_imagenet.main, words).clock,
                whole_run(eval_imagenet.main, on_crops).clock,
                pure_forward(model, batches),
            )
            runs.append(seconds)
            print(
                "whole run {:.2f} s, on cached crops {:.2f} s, pure forward {:.2f} s".format(
                    *seconds
                )
            )
    whole, cached, pure = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"{count} images, medians of {len(runs)}: pure forward {count / pure:.1f} images/s")
    print(f"whole run {whole / pure:.2f} times, on cached crops {cached / pure:.2f} times as long")


if __name__ == "__main__":
    sys.exit(guarded(compare))
