"""AutoAttack, through the package pyautoattack: its authors' code, as published on PyPI.

Croce & Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
Parameter-free Attacks", ICML 2020: the standard version, i.e. APGD-CE, APGD-T and FAB-T (100 steps
each; 9 targets) and Square (5000 queries), each on the images that are still classified correctly.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from bvg.errors import UserError
from bvg.stimuli.attacks import LINF, NEVER, AttackedModel, Outcome
from bvg.stimuli.batch import Batch
from bvg.stimuli.imagenet_adv import Epsilon, Method

_PACKAGE = "pyautoattack"
_TARGETS = 9
_FEWEST_CLASSES = 4  # APGD-T's loss compares four logits


def autoattack_version() -> str:
    """Return the package and its version; raises UserError when it is not installed."""
    try:
        return f"{_PACKAGE} {version(_PACKAGE)}"
    except PackageNotFoundError as error:
        raise UserError(
            f"AutoAttack needs the package {_PACKAGE}: pip install '{_PACKAGE}>=0.2'"
        ) from error


def autoattack_method(batch_size: int, name: str = "AutoAttack") -> Method:
    """Return AutoAttack (L∞, standard), with at most batch_size images at once.

    Its `first_success` is not a number of steps but the attack that succeeded: 1 APGD-CE, 2 APGD-T,
    3 FAB-T, 4 Square. Random numbers are keyed by (seed, first image of the batch), because the
    package draws for all images of a batch together.
    """

    def perturb(victim: AttackedModel, batch: Batch, epsilon: Epsilon) -> Outcome:
        if victim.classes < _FEWEST_CLASSES:
            raise UserError(
                f"AutoAttack needs a model of at least {_FEWEST_CLASSES} classes: use --attack pgd"
            )
        parts = [
            _broken(victim, batch, where, epsilon)
            for where in torch.arange(len(batch.pixels), device=batch.labels.device).split(
                batch_size
            )
        ]
        images, first = (torch.cat(column) for column in zip(*parts, strict=True))
        return Outcome(images, first >= 0, first, torch.zeros_like(first))

    return Method(name, LINF, perturb)


def _broken(
    victim: AttackedModel, batch: Batch, where: torch.Tensor, epsilon: Epsilon
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images at `where`, attacked, and the attack that succeeded on each, or NEVER."""
    clean, labels = batch.pixels[where], batch.labels[where]
    images = clean.clone()
    first = torch.full_like(labels, NEVER, dtype=torch.int16)
    key = f"{batch.seed}\0{batch.names[int(where[0])]}".encode()
    seed = int.from_bytes(hashlib.blake2b(key, digest_size=4).digest(), "little")
    cuda = [clean.device] if clean.device.type == "cuda" else []
    for number, attack in enumerate(_attacks(victim, clean.device, epsilon, seed), start=1):
        left = ((victim.answers(images) == labels) & (first == NEVER)).nonzero().flatten()
        if not len(left):
            break
        with torch.random.fork_rng(devices=cuda), torch.enable_grad():
            made = attack.perturb(clean[left].contiguous(), labels[left]).detach()
        made = made.to(memory_format=torch.channels_last)
        success = victim.answers(made) != labels[left]
        images[left[success]] = made[success]
        first[left[success]] = number
    return images, first


def _attacks(
    victim: AttackedModel, device: torch.device, epsilon: Epsilon, seed: int
) -> tuple[Any, Any, Any, Any]:
    """Return the four attacks of the standard version, in its order."""
    from pyautoattack import AutoAttack

    def logits(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:  # the package accepts gradients in contiguous memory only
            x.register_hook(torch.Tensor.contiguous)
        with victim.answering():
            return victim.model(x.to(memory_format=torch.channels_last)).float()

    whole = AutoAttack(logits, device=device, eps=epsilon.value, norm="Linf", seed=seed)
    for attack in (whole.apgd_targeted, whole.fab):
        attack.n_target_classes = min(_TARGETS, victim.classes - 1)
    whole.apgd.loss = "ce"
    whole.fab.targeted = True
    for attack in (whole.apgd, whole.apgd_targeted, whole.fab, whole.square):
        attack.seed = seed
    return whole.apgd, whole.apgd_targeted, whole.fab, whole.square
