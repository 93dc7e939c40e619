"""How fast images are attacked, beside foolbox: the same images, model, start and steps, in turns.

    pip install foolbox==3.3.4
    python benchmarks/attacks.py --model path/to/file.py:factory --imagenet DIR --limit 64

foolbox is called as the study calls it (a model in PyTorch's default memory layout whose parameters
want gradients too), and on the model as it is prepared here (frozen, channels_last). "broken" are
the images that each side counts as not robust, misclassified ones included. Ratios hold between
machines better than seconds do.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import eagerpy
import foolbox
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.data.image_set import class_balanced
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.run.batches import as_batch
from bvg.run.settings import best_device, keep_freed_memory
from bvg.stimuli.attacks import LINF, Attack, AttackedModel
from bvg.stimuli.batch import Batch
from bvg.stimuli.imagenet_adv import Epsilon, adversarial, gradient_method, random_starts
from bvg.zoo.loading import load_model

STEPS, STEP, EPSILON = 40, 2 / 255, Epsilon("0.5_255", 0.5 / 255)  # the study's


@dataclass
class Side:
    """One way of attacking a batch: it returns which images are broken, (B,) bool."""

    name: str
    broken: Callable[[Batch], torch.Tensor]


class FromStart(foolbox.attacks.LinfPGD):
    """foolbox's attack, from a start that is given."""

    def __init__(self, start: torch.Tensor, steps: int) -> None:
        super().__init__(abs_stepsize=STEP, steps=steps)
        self.start = start

    def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
        """Return the start, whatever the images are."""
        return eagerpy.astensor(self.start)


def with_foolbox(model: torch.nn.Module, steps: int, layout: torch.memory_format, batch: Batch):
    """Return which images foolbox's LinfPGD breaks, from our random start."""
    pixels = batch.pixels.contiguous(memory_format=layout)
    start = random_starts(batch, EPSILON.value, LINF).contiguous(memory_format=layout)
    attack = FromStart(start, steps)
    shown = foolbox.PyTorchModel(model, bounds=(0, 1), device=pixels.device)
    _, _, broken = attack(shown, pixels, batch.labels, epsilons=EPSILON.value)
    return broken | (shown(pixels).argmax(1) != batch.labels)


@torch.no_grad()
def with_ours(victim: AttackedModel, attack: Attack, batch_size: int, batch: Batch) -> torch.Tensor:
    """Return which images end broken here, the answers to clean and attacked images included."""
    method = gradient_method("PGD", attack, batch_size)
    *_, (_, images, *_) = adversarial(victim, (method,), (EPSILON,))(batch)
    return victim.answers(images) != batch.labels


def sides(model: torch.nn.Module, steps: int, batch_size: int) -> list[Side]:
    """Return the ways that are compared, the study's first."""
    trained = copy.deepcopy(model).to(memory_format=torch.contiguous_format).requires_grad_(True)
    own = model.to(memory_format=torch.channels_last)
    victim = AttackedModel("it", own, 1000)
    attack = Attack(steps=steps, step=STEP)
    first = Attack(steps=steps, step=STEP, first=True)
    last = torch.channels_last
    return [
        Side(
            "foolbox, as the study calls it",
            partial(with_foolbox, trained, steps, torch.contiguous_format),
        ),
        Side("foolbox, frozen, channels_last", partial(with_foolbox, own, steps, last)),
        Side("here, last iterate", partial(with_ours, victim, attack, batch_size)),
        Side("here, --stop first", partial(with_ours, victim, first, batch_size)),
    ]


def batches_of(folder: str, limit: int, batch_size: int, device: torch.device) -> list[Batch]:
    """Return decoded images as the loop hands them to stimuli."""
    images = imagenet_val(folder, imagenet_classes(), partial=True)
    images = class_balanced(images, limit, 0)
    return [
        as_batch(images, part.views[0], part.indices, device, 0)
        for part in decoded_batches(images, (STUDY,), 0, batch_size, 0, False)
    ]


def timed(side: Side, batches: list[Batch]) -> tuple[float, torch.Tensor]:
    """Return the seconds for all batches, and which images are broken."""
    begin = time.perf_counter()
    broken = torch.cat([side.broken(batch).cpu() for batch in batches])
    return time.perf_counter() - begin, broken


def compare() -> None:
    """Print images/s of each side, its ratio to the study's, and what it breaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--limit", type=int, default=64, help="images (default 64)")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device")
    arguments = parser.parse_args()
    keep_freed_memory()
    device = best_device(arguments.device)
    model = load_model(arguments.model).to(device)
    batches = batches_of(arguments.imagenet, arguments.limit, arguments.batch_size, device)
    count = sum(len(batch.labels) for batch in batches)
    compared = sides(model, arguments.steps, arguments.batch_size)
    for side in compared:
        side.broken(batches[0])  # the first call allocates
    seconds: dict[str, list[float]] = {side.name: [] for side in compared}
    broken = {}
    for _ in range(arguments.repeats):
        for side in compared:
            taken, broken[side.name] = timed(side, batches)
            seconds[side.name].append(taken)
            print(f"{side.name}: {taken:.2f} s", flush=True)
    reference = compared[0].name
    for name, values in seconds.items():
        ratio = statistics.median(
            a / b for a, b in zip(seconds[reference], values, strict=True)
        )  # of turns beside each other
        differing = int((broken[name] != broken[reference]).sum())
        print(
            f"{name:32} {count / statistics.median(values):7.2f} images/s, {ratio:5.2f} times; "
            f"{int(broken[name].sum())} of {count} broken, {differing} differ"
        )


if __name__ == "__main__":
    compare()
