"""What all 69 conditions of eval_suppression.py cost besides the model: whole run / pure forward.

    python benchmarks/suppression.py --imagenet DIR

"Whole run" is the script's main() with --curves, from reading the folder to the figures; "pure
forward" calls the same model as often, on the same images, which are decoded and in memory. Both
take turns in one process. The model is a ResNet-50 with random weights, whose speed is that of any
other. Ratios hold between machines better than seconds do.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from torchvision.models import resnet50

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

import eval_suppression
from bvg.data.image_set import class_balanced
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import SQUASHED_224
from bvg.run.settings import best_device, keep_freed_memory
from conditions import spent_in
from overhead import pure_forward, whole_run

CONDITIONS = 69


def network() -> torch.nn.Module:
    """Return a ResNet-50 with random weights."""
    torch.manual_seed(0)
    return resnet50().eval()


def decoded(arguments: argparse.Namespace, device: torch.device) -> list[torch.Tensor]:
    """Return the images as model inputs, by batch."""
    images = imagenet_val(arguments.imagenet, imagenet_classes(), partial=True)
    images = class_balanced(images, arguments.limit, 0)
    view = SQUASHED_224["opencv"]
    batches = decoded_batches(images, (view,), 0, arguments.batch_size, 0, False)
    return [batch.views[0].to(device).permute(0, 3, 1, 2).float() / 255 for batch in batches]


def main() -> None:
    """Print the seconds of both sides, their ratio, and what else a run's time goes to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--limit", type=int, default=16, help="images (default 16)")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device")
    arguments = parser.parse_args()
    keep_freed_memory()
    device = best_device(arguments.device)
    model = network().to(device).to(memory_format=torch.channels_last)
    batches = decoded(arguments, device)
    words = ["--model", f"{__file__}:network", "--imagenet", arguments.imagenet, "--partial"]
    words += ["--limit", str(arguments.limit), "--batch_size", str(arguments.batch_size)]
    words += ["--device", str(device), "--wandb", "disabled", "--curves"]
    pure_forward(model, batches[:1])  # the first call allocates
    runs = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as results:
            whole = whole_run(eval_suppression.main, [*words, "--results", results])
            spent = spent_in(Path(results))
        runs.append((whole, pure_forward(model, batches * CONDITIONS), spent["stimuli"]))
        print(
            "whole run {:.1f} s, pure forward {:.1f} s, stimuli {:.1f} s".format(*runs[-1]),
            flush=True,
        )
    whole, pure, stimuli = (statistics.median(column) for column in zip(*runs, strict=True))
    print(
        f"{arguments.limit} images, {CONDITIONS} conditions, medians of {len(runs)}: whole run / "
        f"pure forward {whole / pure:.2f}, stimuli / pure forward {stimuli / pure:.2f}"
    )


if __name__ == "__main__":
    main()
