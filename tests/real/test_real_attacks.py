"""Attacks on real models and photographs, against foolbox with the same start.

BVG_EVERY=1 takes 64 photographs for each of the three models (about half an hour on two cores)
instead of some for each.
"""

import os

import numpy as np
import pytest
import torch

from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.run.batches import as_batch
from bvg.stimuli.attacks import L2, LINF, Attack, AttackedModel, run_attack
from bvg.stimuli.imagenet_adv import random_starts
from bvg.zoo.normalized import NormalizedModel

foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
eagerpy = pytest.importorskip("eagerpy")

PHOTOS = {"mobilenet_v1_025": 8, "mobilenet_v1_075": 2, "mobilenet_v2": 2}
EVERY = bool(os.environ.get("BVG_EVERY"))


@pytest.fixture(scope="module")
def photographs(fixtures):
    images = imagenet_val(fixtures / "imagenet", imagenet_classes(), partial=True)
    images = images.select(np.arange(0, 384, 6))
    decoded = next(decoded_batches(images, (STUDY,), 0, 64, 0, False))
    return as_batch(images, decoded.views[0], decoded.indices, torch.device("cpu"), 0)


def _parts(photographs, count):
    """Yield pixels, names' starts and labels, eight at a time."""
    for where in torch.arange(64 if EVERY else count).split(8):
        yield photographs.pixels[where], photographs.labels[where], where


def _victim(networks, name) -> AttackedModel:
    network = networks[name].to(memory_format=torch.channels_last).requires_grad_(False)
    return AttackedModel(name, network, 1000)


def _foolbox(victim, attack, start, pixels, labels, epsilon):
    """Return foolbox's last iterates from our start, and which images it counts as broken."""
    attack.get_random_start = lambda x0, epsilon: eagerpy.astensor(start)
    model = foolbox.PyTorchModel(victim.model, bounds=(0, 1), device="cpu")
    raw, _, broken = attack(model, pixels, labels, epsilons=epsilon)
    return raw, broken


@pytest.mark.parametrize("name", PHOTOS)
def test_the_studys_pgd_is_foolboxes(networks, photographs, name):
    victim, epsilon, counted = _victim(networks, name), 0.5 / 255, 0
    for pixels, labels, where in _parts(photographs, PHOTOS[name]):
        start = random_starts(photographs, epsilon, LINF)[where]
        attack = foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, steps=40)
        theirs, broken = _foolbox(victim, attack, start, pixels, labels, epsilon)
        ours = run_attack(victim, pixels, labels, start, epsilon, Attack(step=2 / 255), 8)
        assert (ours.images - theirs).abs().max() <= 1e-6
        assert torch.equal(ours.reached, broken)
        counted += int(torch.equal(ours.images, theirs)) * len(pixels)
    print(f"{name}: {counted} images equal to foolbox's bit for bit")


def test_small_steps_fgsm_and_l2_are_foolboxes(networks, photographs):
    victim = _victim(networks, "mobilenet_v1_025")
    cases = (
        (
            Attack(steps=10, step=0.25 / 255),
            foolbox.attacks.LinfPGD(abs_stepsize=0.25 / 255, steps=10),
            1 / 255,
        ),
        (Attack(steps=1, random_start=False), foolbox.attacks.FGSM(), 0.5 / 255),
        (
            Attack(steps=8, norm=L2, relative_step=0.25),
            foolbox.attacks.L2PGD(rel_stepsize=0.25, steps=8),
            0.5,
        ),
    )
    for attack, theirs, epsilon in cases:
        for pixels, labels, where in _parts(photographs, 8):
            start = random_starts(photographs, epsilon, attack.norm)[where]
            start = start if attack.random_start else pixels
            images, broken = _foolbox(victim, theirs, start, pixels, labels, epsilon)
            ours = run_attack(victim, pixels, labels, start, epsilon, attack, 8)
            assert (ours.images - images).abs().max() <= 1e-6
            assert torch.equal(ours.reached, broken)


def test_the_same_images_are_broken_in_either_memory_layout(networks, photographs):
    """The published script's tensors are contiguous: last bits differ, and so do some pixels."""
    victim, epsilon = _victim(networks, "mobilenet_v1_025"), 0.5 / 255
    for pixels, labels, where in _parts(photographs, 8):
        start = random_starts(photographs, epsilon, LINF)[where]
        ours = run_attack(victim, pixels, labels, start, epsilon, Attack(step=2 / 255), 8)
        plain = networks["mobilenet_v1_025"].to(memory_format=torch.contiguous_format)
        model = foolbox.PyTorchModel(plain, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, steps=40)
        attack.get_random_start = lambda *_, start=start: eagerpy.astensor(start.contiguous())
        _, _, broken = attack(model, pixels.contiguous(), labels, epsilons=epsilon)
        networks["mobilenet_v1_025"].to(memory_format=torch.channels_last)
        assert torch.equal(ours.reached, broken)


def test_normalised_models_are_attacked_in_pixels(networks, photographs):
    """The bound is one of pixels, whatever the model's own normalisation is."""
    inner = networks["mobilenet_v1_025"]
    model = NormalizedModel(inner, (0.1, 0.2, 0.3), (0.9, 0.8, 0.7)).eval()
    pixels, labels, start = photographs.pixels[:2], photographs.labels[:2], photographs.pixels[:2]
    attack = Attack(steps=1, random_start=False)
    made = run_attack(
        AttackedModel("m", model, 1000), pixels, labels, start, 4 / 255, attack, 2
    ).images
    assert (made - pixels).abs().max() == pytest.approx(4 / 255, abs=1e-6)
