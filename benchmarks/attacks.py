"""How fast images are attacked, beside foolbox: the same images, model, start and steps.

foolbox is called as the study calls it (a model in PyTorch's default memory layout whose parameters
want gradients too), and on the model as it is prepared here (frozen, channels_last). The note
counts the images that both sides end with misclassified, those misclassified unattacked included.
"""

import copy
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.errors import UserError
from bvg.stimuli.attacks import LINF, Attack, AttackedModel
from bvg.stimuli.batch import Batch
from bvg.stimuli.imagenet_adv import Epsilon, adversarial, gradient_method, random_starts
from bvg.zoo.loading import load_model
from inputs import Inputs
from measuring import Cost, in_turns, timed
from table import Row, row

STEP, EPSILON = 2 / 255, Epsilon("0.5_255", 0.5 / 255)  # the study's
AS_IN_THE_STUDY, FROZEN = "foolbox as the study calls it", "foolbox, frozen, channels_last"
LAST, FIRST = "last iterate", "--stop first"

Broken = Callable[[Batch], torch.Tensor]  # which images are misclassified in the end, (B,) bool


def with_foolbox(
    model: torch.nn.Module, steps: int, layout: torch.memory_format, batch: Batch
) -> torch.Tensor:
    """Return which images foolbox's LinfPGD breaks, from our random start."""
    import eagerpy
    import foolbox

    class FromStart(foolbox.attacks.LinfPGD):
        def get_random_start(self, x0: eagerpy.Tensor, epsilon: float) -> eagerpy.Tensor:
            return eagerpy.astensor(start)

    pixels = batch.pixels.contiguous(memory_format=layout)
    start = random_starts(batch, EPSILON.value, LINF).contiguous(memory_format=layout)
    attack = FromStart(abs_stepsize=STEP, steps=steps)
    shown = foolbox.PyTorchModel(model, bounds=(0, 1), device=pixels.device)
    _, _, broken = attack(shown, pixels, batch.labels, epsilons=EPSILON.value)
    return broken | (shown(pixels).argmax(1) != batch.labels)


@torch.no_grad()
def with_ours(victim: AttackedModel, attack: Attack, batch_size: int, batch: Batch) -> torch.Tensor:
    """Return which images end broken here, the answers to clean and attacked images included."""
    method = gradient_method("PGD", attack, batch_size)
    *_, (_, images, *_) = adversarial(victim, (method,), (EPSILON,))(batch)
    return victim.answers(images) != batch.labels


def sides(model: torch.nn.Module, inputs: Inputs, steps: int) -> dict[str, Broken]:
    """Return the ways that are compared."""
    trained = copy.deepcopy(model).to(memory_format=torch.contiguous_format).requires_grad_(True)
    own = model.to(memory_format=torch.channels_last)
    victim = AttackedModel("it", own, len(inputs.classes))
    last, first = (Attack(steps=steps, step=STEP, first=first) for first in (False, True))
    default, frozen = torch.contiguous_format, torch.channels_last
    return {
        AS_IN_THE_STUDY: partial(with_foolbox, trained, steps, default),
        FROZEN: partial(with_foolbox, own, steps, frozen),
        LAST: partial(with_ours, victim, last, inputs.batch_size),
        FIRST: partial(with_ours, victim, first, inputs.batch_size),
    }


def attacks(inputs: Inputs, steps: int = 10) -> Iterator[Row]:
    """Yield the costs of attacking an image by the study's PGD with so many steps."""
    try:
        import foolbox  # noqa: F401
    except ImportError as error:
        raise UserError(
            "the part `attacks` needs foolbox: start it with `make bench`, which installs it, or "
            "leave the part out with --parts"
        ) from error
    compared = sides(load_model(inputs.model).to(inputs.device), inputs, steps)
    batches = inputs.batches()
    count = sum(len(batch.names) for batch in batches)
    broken: dict[str, torch.Tensor] = {}

    def measured(name: str, some: list[Batch]) -> Cost:
        def work() -> None:
            broken[name] = torch.cat([compared[name](batch).cpu() for batch in some])

        return timed(work).per(count)

    for name in compared:
        measured(name, batches[:1])  # the first call allocates
    costs = in_turns({name: partial(measured, name, batches) for name in compared}, inputs.turns)
    pairs = ((LAST, AS_IN_THE_STUDY), (LAST, FROZEN), (FIRST, AS_IN_THE_STUDY))
    for ours, theirs in pairs:
        differing = int((broken[ours] != broken[theirs]).sum())
        note = f"{int(broken[ours].sum())} of {count} misclassified, {differing} differ"
        what = f"PGD-{steps}, {ours}"
        yield row("attacks", what, inputs.name, theirs, costs[ours], costs[theirs], note)
