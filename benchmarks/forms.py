"""How fast the forms of a model are: contiguous, eager (channels_last), folded, compiled.

    python benchmarks/forms.py --model path/to/file.py:factory

The forms take turns on one batch of random pixels, and the best time of each counts. Prints images
per second, the ratio to eager, and the seconds that making the form took. Set OMP_NUM_THREADS=1 on
a CPU that other programs use: times are then those of one core, whatever the others do.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.run.forms import compiled, folded
from bvg.run.settings import best_device, keep_freed_memory
from bvg.zoo.loading import load_model


@torch.no_grad()
def seconds(model: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> float:
    """Return the seconds of one call; on the CPU, those of CPU time, which other programs share."""
    clock = time.perf_counter if x.is_cuda else time.process_time
    begin = clock()
    model(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return clock() - begin


def compare() -> None:
    """Print a line for each form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device")
    arguments = parser.parse_args()
    keep_freed_memory()
    device = best_device(arguments.device)
    x = torch.rand(arguments.batch_size, 3, 224, 224, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    contiguous = load_model(arguments.model).to(device)
    eager = load_model(arguments.model).to(device).to(memory_format=torch.channels_last)
    makers: dict[str, Callable[[], torch.nn.Module | None]] = {
        "contiguous": lambda: contiguous,
        "eager": lambda: eager,
        "folded": lambda: folded(eager),
        "compiled": lambda: compiled(eager, x.shape),
        "folded and compiled": lambda: compiled(folded(eager) or eager, x.shape),
    }
    forms, making = {}, {}
    for name, make in makers.items():
        begin = time.perf_counter()
        form = make()
        if form is not None:
            seconds(form, x)  # the first call compiles
            forms[name], making[name] = form, time.perf_counter() - begin
    best = dict.fromkeys(forms, float("inf"))
    for _ in range(arguments.repeats):
        for name, form in forms.items():
            best[name] = min(best[name], seconds(form, x))
    for name, least in best.items():
        speed = f"{arguments.batch_size / least:7.1f} images/s"
        print(
            f"{name:20} {speed}, {best['eager'] / least:.2f} x eager, made in {making[name]:.0f} s"
        )


if __name__ == "__main__":
    compare()
