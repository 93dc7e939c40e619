"""Adversarial images as stimuli, crafted against a model: one condition for each attack and ε.

The attack of the study (Gavrikov & Keuper, CVPR 2024) is PGD-40: L∞, ε = 0.5/255, 40 steps of
2/255 from a random start, of which the last iterate counts. That of ood-benchmarks (Orhan) is
targeted: ε = 0.06, 10 steps of 2/255 towards a random class; an image whose target is not reached
is shown unchanged.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch

from bvg.errors import UserError
from bvg.stimuli.attacks import L2, LINF, Attack, AttackedModel, Outcome, distances, run_attack
from bvg.stimuli.batch import CLEAN, Batch, Columns, Stimuli, Stimulus, on_device
from bvg.stimuli.randomness import keyed_draws, keyed_generator

NOT_ATTACKED = -2  # first_success of an image that is misclassified without an attack
_ROUNDING = 2**-23  # of values up to 1 in single precision


@dataclass(frozen=True)
class Epsilon:
    """A bound of the perturbation, and its name in conditions: 0.5_255, 0.06."""

    name: str
    value: float


@dataclass(frozen=True)
class Method:
    """An attack with its name in conditions (PGD-40) and the norm of its ε.

    perturb: victim, batch, ε → the outcome.
    """

    name: str
    norm: str
    perturb: Callable[[AttackedModel, Batch, Epsilon], Outcome]
    targeted: bool = False

    def condition(self, epsilon: Epsilon, source: str = "") -> str:
        """Return the condition's name; source: the model that the images were crafted against."""
        return f"{self.name}/eps={epsilon.name}" + (f"/from={source}" if source else "")


# Called with the condition, the batch, the adversarial images and the columns, to save images.
AttackCallback = Callable[[str, Batch, torch.Tensor, Columns], None]


def epsilon_of(text: str) -> Epsilon:
    """Return the ε in `text`, a number or a fraction such as 0.5/255, or 0.5_255 as in our keys.

    Raises ValueError if it is neither, or not above 0.
    """
    numerator, slash, denominator = text.replace("_", "/").partition("/")
    parts = [float(part) for part in ((numerator, denominator) if slash else (numerator,))]
    value = parts[0] / parts[1] if slash and parts[1] else parts[0]
    if not 0 < value < float("inf") or (slash and parts[1] <= 0):
        raise ValueError(text)
    return Epsilon("_".join(f"{part:.12g}" for part in parts), value)


def sorted_epsilons(epsilons: Iterable[Epsilon], norm: str) -> tuple[Epsilon, ...]:
    """Return the ε in rising order; raises UserError for duplicates or too large values."""
    ordered = sorted(epsilons, key=lambda epsilon: epsilon.value)
    for one, other in pairwise(ordered):
        if math.isclose(one.value, other.value, rel_tol=1e-9):
            written = one.name.replace("_", "/")
            raise UserError(f"--eps lists {written} twice: drop one of them")
    if norm == LINF and ordered[-1].value > 1:
        raise UserError(
            f"an ε of {ordered[-1].value:g} allows any change of pixels in [0, 1]: give it in "
            f"units of the pixel range, such as --eps {ordered[-1].value:g}/255"
        )
    return tuple(ordered)


def gradient_method(name: str, attack: Attack, batch_size: int) -> Method:
    """Return the gradient attack of these parameters, with at most batch_size images at once."""

    def perturb(victim: AttackedModel, batch: Batch, epsilon: Epsilon) -> Outcome:
        start = (
            random_starts(batch, epsilon.value, attack.norm)
            if attack.random_start
            else batch.pixels
        )
        classes = random_targets(batch, victim.classes) if attack.targeted else batch.labels
        return run_attack(victim, batch.pixels, classes, start, epsilon.value, attack, batch_size)

    return Method(name, attack.norm, perturb, attack.targeted)


def adversarial(
    victim: AttackedModel,
    methods: tuple[Method, ...],
    epsilons: tuple[Epsilon, ...],
    *,
    source: str = "",
    callback: AttackCallback = lambda *_: None,
) -> Stimuli:
    """Return stimuli: the unchanged images, then those attacked by each method within each ε.

    They have (B,) columns: `first_success` and `masked_gradients` (see Outcome; NOT_ATTACKED for
    images that are misclassified without an attack) and `perturbation`, its norm. source: the
    victim's name if the images are for other models; then all images are attacked.
    """

    def stimuli(batch: Batch) -> Iterator[Stimulus]:
        yield CLEAN, batch.pixels, _untouched(batch)
        right = victim.answers(batch.pixels) == batch.labels
        where = (right | bool(source)).nonzero().flatten()
        for method in methods:
            for epsilon in epsilons:
                condition = method.condition(epsilon, source)
                images, columns = _perturbed(victim, batch, where, method, epsilon)
                callback(condition, batch, images, columns)
                yield condition, images, columns

    return stimuli


def _perturbed(
    victim: AttackedModel, batch: Batch, where: torch.Tensor, method: Method, epsilon: Epsilon
) -> tuple[torch.Tensor, Columns]:
    """Return the batch with the images at `where` attacked, and its columns."""
    images, columns = batch.pixels.clone(), _untouched(batch)
    if not len(where):
        return images, columns
    names = tuple(batch.names[i] for i in where.tolist())
    part = replace(batch, pixels=images[where], names=names, labels=batch.labels[where])
    outcome = method.perturb(victim, part, epsilon)
    made = outcome.images
    if method.targeted:
        made = torch.where(outcome.reached.view(-1, 1, 1, 1), made, part.pixels)
    columns["perturbation"][where] = _within(made, part.pixels, epsilon, method)
    columns["first_success"][where] = outcome.first_success
    columns["masked_gradients"][where] = outcome.masked_gradients
    images[where] = made
    return images, columns


def _untouched(batch: Batch) -> Columns:
    whole = torch.zeros(len(batch.pixels), dtype=torch.int16, device=batch.pixels.device)
    return {
        "first_success": whole + NOT_ATTACKED,
        "masked_gradients": whole,
        "perturbation": torch.zeros_like(whole, dtype=torch.float32),
    }


def _within(
    images: torch.Tensor, clean: torch.Tensor, epsilon: Epsilon, method: Method
) -> torch.Tensor:
    """Return the norms of the perturbations; raises RuntimeError if one exceeds its bounds.

    All attacks respect the bounds by construction, so that would be a bug.
    """
    norms = distances(images, clean, method.norm)
    slack = _ROUNDING if method.norm == LINF else _ROUNDING * images[0].numel() ** 0.5
    low, high, most = torch.stack([*images.aminmax(), norms.max()]).tolist()  # one copy for all
    if most > epsilon.value + slack or low < 0 or high > 1:
        raise RuntimeError(
            f"{method.name} left its bounds: perturbations up to {most} with ε = {epsilon.value}, "
            f"pixels from {low} to {high}"
        )
    return norms


def random_starts(batch: Batch, epsilon: float, norm: str) -> torch.Tensor:
    """Return a random point within ε of each image and within [0, 1], (B, 3, H, W).

    L∞: uniform in the cube; L2: uniform in the ball (Voelker et al. 2017: the first n of n + 2
    normal numbers divided by their norm). Keyed by (seed, image), with the same direction for all
    ε.
    """
    if norm == LINF:
        unit = keyed_draws(batch, "adversarial start linf", torch.rand).mul_(2).sub_(1)
    else:
        unit = torch.stack([_in_ball(batch, name) for name in batch.names])
    unit = on_device(unit, batch.pixels.device).to(memory_format=torch.channels_last)
    return unit.mul_(epsilon).add_(batch.pixels).clamp_(0, 1)


def _in_ball(batch: Batch, name: str) -> torch.Tensor:
    generator = keyed_generator(batch.seed, f"adversarial start {L2}", name)
    shape = batch.pixels.shape[1:]
    draws = torch.randn(shape.numel() + 2, generator=generator)
    return (draws / draws.norm())[:-2].view(shape)


def random_targets(batch: Batch, count: int) -> torch.Tensor:
    """Return a class for each image, uniform among those other than its label; (B,) int64.

    count: the number of classes. Keyed by (seed, image).
    """
    if count < 2:
        raise UserError("a targeted attack needs a model of at least two classes: use --attack pgd")
    ahead = [
        int(torch.randint(1, count, (), generator=keyed_generator(batch.seed, "target", name)))
        for name in batch.names
    ]
    return (batch.labels + on_device(torch.tensor(ahead), batch.labels.device)) % count


Array = TypeVar("Array", np.ndarray, torch.Tensor)


def amplified(perturbation: Array) -> Array:
    """Return a perturbation as a picture in [0, 1]: 0.5 is no change, 0 or 1 the largest."""
    largest = float(abs(perturbation).max())
    return perturbation / (2 * largest or 1.0) + 0.5
