from dataclasses import replace

import pytest
import torch

from attack_helpers import batch_for, linear, network, victim
from bvg.stimuli import autoattack
from bvg.stimuli.attacks import NEVER, distances
from bvg.stimuli.imagenet_adv import adversarial, epsilon_of
from conftest import refusal
from oracles.attacks import linear_robust

pytest.importorskip("pyautoattack", reason="AutoAttack's package is not installed")


@pytest.fixture
def few_queries(monkeypatch):
    """Let Square ask 40 times instead of 5000."""
    attacks = autoattack._attacks

    def fewer(*arguments):
        made = attacks(*arguments)
        made[3].n_queries = 40
        return made

    monkeypatch.setattr(autoattack, "_attacks", fewer)


@pytest.mark.parametrize("text", ("0.01", "0.03"))
def test_of_a_linear_model_the_optimum_is_found(few_queries, text):
    model, epsilon = linear(5), epsilon_of(text)
    batch = batch_for(model, 24)
    method = autoattack.autoattack_method(8)
    with torch.no_grad():  # as the loop calls it
        _, (condition, x, columns) = adversarial(victim(model), (method,), (epsilon,))(batch)
    assert condition == f"AutoAttack/eps={text}"
    robust = [
        linear_robust(model.weights, model.bias, batch.pixels[k], batch.labels[k], epsilon.value)
        for k in range(24)
    ]
    assert (model(x).argmax(1) == batch.labels).tolist() == robust
    assert 0 < sum(robust) < 23
    assert distances(x, batch.pixels, "linf").max() <= epsilon.value + 1e-6
    assert (columns["first_success"] == NEVER).tolist() == robust
    assert columns["first_success"].max() <= 4


def test_equal_seeds_give_equal_images_and_the_programs_own_randomness_stays(few_queries):
    model = network().float()
    batch, epsilon = batch_for(model, 6), epsilon_of("0.02")
    before = torch.random.get_rng_state()
    made = [
        list(adversarial(victim(model), (autoattack.autoattack_method(3),), (epsilon,))(b))[1][1]
        for b in (batch, batch, replace(batch, seed=1))
    ]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_the_standard_version_as_published():
    model = network().float()
    attacks = autoattack._attacks(victim(model), torch.device("cpu"), epsilon_of("4/255"), 0)
    ce, targeted, fab, square = attacks
    assert (ce.loss, ce.n_iter, ce.n_restarts) == ("ce", 100, 1)
    assert (targeted.n_iter, targeted.n_restarts, targeted.n_target_classes) == (100, 1, 3)
    assert (fab.n_iter, fab.n_restarts, fab.targeted, fab.n_target_classes) == (100, 1, True, 3)
    assert (square.n_queries, square.p_init, square.n_restarts) == (5000, 0.8, 1)
    many = replace(victim(model), classes=1000)
    assert (
        autoattack._attacks(many, torch.device("cpu"), epsilon_of("4/255"), 0)[1].n_target_classes
        == 9
    )


def test_refusals(monkeypatch):
    model = linear(1, 2)
    batch = batch_for(model, 3)
    two = replace(victim(model), classes=2)
    sentence = refusal(autoattack.autoattack_method(2).perturb, two, batch, epsilon_of("0.1"))
    assert "at least 4 classes" in sentence
    assert autoattack.autoattack_version().startswith("pyautoattack 0.")
    monkeypatch.setattr(autoattack, "_PACKAGE", "no-such-package")
    assert "pip install 'no-such-package>=0.2'" in refusal(autoattack.autoattack_version)
