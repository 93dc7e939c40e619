"""Gradient attacks: iterates from an image to a nearby one that a model misclassifies.

PGD (Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018) and
FGSM (Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015). Given the
same start, iterates are those of foolbox 3.3.4's LinfPGD and L2PGD; tests/oracles/attacks.py has
the definition. Only work that cannot change an iterate is saved here: gradients are computed for
the input only, and an image that is done makes room in the batch for the next one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bvg.errors import model_errors
from bvg.stimuli.batch import on_device

LINF, L2 = "linf", "l2"
NEVER = -1  # first_success of an image on which the attack never succeeded
_TINY = 1e-12  # smallest norm that gradients are divided by
_SAFETY = 2.0  # the largest error of cheap logits that is reckoned with / the largest one measured


@dataclass(frozen=True)
class Attack:
    """The parameters of an attack.

    steps: number of steps. step: their size; None: `relative_step` times ε.
    norm: of the perturbation, over all pixels and channels, in units of the pixel range [0, 1].
    decay: the step size decreases linearly from its full size to 1 / steps of it.
    random_start: start at a random point within ε instead of the image itself.
    targeted: towards a given class instead of away from the label.
    first: stop attacking an image at the first success instead of after the last step.
    """

    steps: int = 40
    norm: str = LINF
    step: float | None = None
    relative_step: float = 1.0
    decay: bool = False
    random_start: bool = True
    targeted: bool = False
    first: bool = False

    def sizes(self, epsilon: float) -> torch.Tensor:
        """Return the size of each step, (steps,) float64."""
        full = self.relative_step * epsilon if self.step is None else self.step
        if not self.decay:
            return torch.full((self.steps,), full, dtype=torch.float64)
        return full * (self.steps - torch.arange(self.steps, dtype=torch.float64)) / self.steps


@dataclass(frozen=True)
class AttackedModel:
    """The model that is attacked, and the precision of its answers and gradients.

    classes: their number.
    answering: returns the context (autocast) for answers.
    cheap: returns the context for gradients; None: the same as for answers.
    """

    name: str
    model: nn.Module
    classes: int
    answering: Callable[[], AbstractContextManager] = nullcontext
    cheap: Callable[[], AbstractContextManager] | None = None

    @torch.no_grad()
    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of each image in the precision of the answers, (B, classes)."""
        with self.answering():
            return self.model(x.clone())  # the model may change its input in place

    def answers(self, x: torch.Tensor) -> torch.Tensor:
        """Return the best class of each image, (B,) int64."""
        return self.logits(x).argmax(dim=1)

    def gradient(self, x: torch.Tensor, classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the gradient of the cross-entropy with `classes` at x, and the logits there.

        Both in the precision of gradients.

        Raises UserError when the model has no gradient with respect to its input.
        """
        context = self.cheap or self.answering
        leaf = x.detach().requires_grad_()
        with model_errors(
            f"model {self.name} has no gradient with respect to its input",
            "drop it from --model, or attack another model and evaluate this one on its images "
            "(--source)",
        ):
            with torch.enable_grad(), context():
                logits = self.model(leaf.clone())
                logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
                loss = cross_entropy(logits, classes, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, leaf)
        return gradient, logits.detach()


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attack on B images.

    images: (B, 3, H, W) in [0, 1], the last iterates.
    reached: (B,) bool, whether the attack succeeded at the last iterate.
    first_success: (B,) int16, the number of steps until the first success (0: at the start), or
        NEVER.
    masked_gradients: (B,) int16, the number of steps at which the gradient was zero or not finite.
    """

    images: torch.Tensor
    reached: torch.Tensor
    first_success: torch.Tensor
    masked_gradients: torch.Tensor


def run_attack(
    victim: AttackedModel,
    clean: torch.Tensor,
    classes: torch.Tensor,
    start: torch.Tensor,
    epsilon: float,
    attack: Attack,
    batch_size: int,
) -> Outcome:
    """Return the outcome of an attack on (B, 3, H, W) images in [0, 1], batch_size at a time.

    classes: (B,) the labels, or the targets of a targeted attack. start: (B, 3, H, W).
    In a lower precision of the gradients, successes, and failures by less than the error of the
    logits, are verified in that of the answers. The error is measured on the first images.
    """
    x = start.clone()
    error: torch.Tensor | None = None
    first = torch.full((len(x),), NEVER, dtype=torch.int16, device=x.device)
    masked = torch.zeros_like(first)
    sizes = on_device(attack.sizes(epsilon).to(x.dtype), x.device)
    taken = [0] * len(x)
    waiting, active = list(range(len(x))), list[int]()
    while waiting or active:
        room = batch_size - len(active)
        active, waiting = active + waiting[:room], waiting[room:]
        where = on_device(torch.tensor(active), x.device)
        here, wanted = x[where], classes[where]
        gradient, logits = victim.gradient(here, wanted)
        success = _reached(logits.argmax(dim=1), wanted, attack)
        if victim.cheap is not None:
            if error is None:
                error = _SAFETY * _largest_error(victim.logits(here), logits)
            uncertain = success | ~(_distance_to_tie(logits, wanted) > error)
            success = _verified(victim, here, uncertain, wanted, attack)
        count = on_device(torch.tensor([taken[i] for i in active]), x.device)
        first[where] = torch.where(success & (first[where] == NEVER), count.short(), first[where])
        if attack.first and bool(success.any()):
            stay = ~success
            active = [i for i, going in zip(active, stay.tolist(), strict=True) if going]
            where, here, gradient, count = where[stay], here[stay], gradient[stay], count[stay]
        masked[where] += _without_direction(gradient)
        step = sizes[count].view(-1, 1, 1, 1)
        x[where] = next_iterates(here, clean[where], gradient, step, epsilon, attack)
        for i in active:
            taken[i] += 1
        active = [i for i in active if taken[i] < attack.steps]
    return _with_last_answers(
        victim, Outcome(x, first >= 0, first, masked), classes, attack, batch_size
    )


def next_iterates(
    x: torch.Tensor,
    clean: torch.Tensor,
    gradient: torch.Tensor,
    step: torch.Tensor,
    epsilon: float,
    attack: Attack,
) -> torch.Tensor:
    """Return the next iterates, within ε of the clean images and within [0, 1].

    step: (B, 1, 1, 1). May overwrite x and the gradient. The operations and their order are
    foolbox's, because later iterates depend on the last bit of earlier ones.
    """
    if attack.norm == LINF:
        direction = gradient.sign_()  # 0 where the gradient is not a number
    else:
        direction = gradient.nan_to_num_(0, 0, 0).mul_(1 / _lengths(gradient).clamp_(min=_TINY))
    x.add_(direction.mul_(step), alpha=-1 if attack.targeted else 1)
    return projected(x.sub_(clean), epsilon, attack.norm).add_(clean).clamp_(0, 1)


def projected(perturbation: torch.Tensor, epsilon: float, norm: str) -> torch.Tensor:
    """Return the perturbations (B, 3, H, W) projected into the ball of radius ε, in place."""
    if norm == LINF:
        return perturbation.clamp_(-epsilon, epsilon)
    factor = (epsilon / _lengths(perturbation).clamp_(min=_TINY)).clamp_(max=1)
    return perturbation.mul_(factor)


def distances(x: torch.Tensor, clean: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the norm of each image's perturbation, (B,) float32."""
    order = float("inf") if norm == LINF else 2
    return torch.linalg.vector_norm(x - clean, order, dim=(1, 2, 3))


def _lengths(x: torch.Tensor) -> torch.Tensor:
    # Flattened, because the order of summation decides the last bit.
    return x.flatten(1).square().sum(1).sqrt_().view(-1, 1, 1, 1)


def _reached(answers: torch.Tensor, classes: torch.Tensor, attack: Attack) -> torch.Tensor:
    return answers == classes if attack.targeted else answers != classes


def _verified(
    victim: AttackedModel,
    x: torch.Tensor,
    uncertain: torch.Tensor,
    classes: torch.Tensor,
    attack: Attack,
) -> torch.Tensor:
    """Return which of the uncertain images are successes in the precision of the answers."""
    success = uncertain.clone()
    if bool(uncertain.any()):
        success[uncertain] = _reached(victim.answers(x[uncertain]), classes[uncertain], attack)
    return success


def _largest_error(exact: torch.Tensor, cheap: torch.Tensor) -> torch.Tensor:
    """Return the largest error of a difference of two logits; infinity if one is not finite."""
    difference = cheap - exact.to(cheap.dtype)  # cheap has 32 bits at least
    ranges = difference.amax(dim=1) - difference.amin(dim=1)
    return ranges.nan_to_num(nan=torch.inf).amax()


def _distance_to_tie(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the difference between the class's logit and the best of the others, (B,)."""
    own = classes[:, None]
    others = logits.scatter(1, own, -torch.inf).amax(dim=1)
    return (logits.gather(1, own)[:, 0] - others).abs()


def _without_direction(gradient: torch.Tensor) -> torch.Tensor:
    """Return which images have a gradient that is zero everywhere, or somewhere not finite."""
    largest = torch.linalg.vector_norm(gradient, float("inf"), dim=(1, 2, 3))
    return (~torch.isfinite(largest) | (largest == 0)).short()


def _with_last_answers(
    victim: AttackedModel, outcome: Outcome, classes: torch.Tensor, attack: Attack, batch_size: int
) -> Outcome:
    """Return the outcome with the answers to the last iterates.

    Those of images that were done at their first success are known already.
    """
    reached, first = outcome.reached.clone(), outcome.first_success
    left = (~reached).nonzero().flatten() if attack.first else torch.arange(len(first))
    for where in on_device(left, first.device).split(batch_size):
        reached[where] = _reached(victim.answers(outcome.images[where]), classes[where], attack)
    first = torch.where(reached & (first == NEVER), attack.steps, first.int()).short()
    return Outcome(outcome.images, reached, first, outcome.masked_gradients)
