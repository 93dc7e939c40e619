from dataclasses import replace
from math import inf

import pytest
import torch

from attack_helpers import CLASSES, batch_for, linear, network, victim
from bvg.stimuli.attacks import L2, LINF, NEVER, Attack, Outcome, distances
from bvg.stimuli.imagenet_adv import (
    NOT_ATTACKED,
    Epsilon,
    Method,
    adversarial,
    amplified,
    epsilon_of,
    gradient_method,
    random_starts,
    random_targets,
)
from conftest import refusal

SMALL, LARGE = epsilon_of("2/255"), epsilon_of("0.2")
WALK = gradient_method("PGD-5", Attack(steps=5, step=0.02), 4)


@pytest.fixture(scope="module")
def model():
    return network().float()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("0.5/255", "0.5_255", 0.5 / 255),
        ("1.0/255", "1_255", 1 / 255),
        ("0.06", "0.06", 0.06),
        ("8/255.0", "8_255", 8 / 255),
        ("1e-3", "0.001", 0.001),
        ("0.5_255", "0.5_255", 0.5 / 255),
    ],
)
def test_epsilons_are_numbers_or_fractions(text, name, value):
    assert epsilon_of(text) == Epsilon(name, value)


@pytest.mark.parametrize(
    "text", ["0", "-1", "x", "1/0", "1/2/3", "nan", "inf", "", "/255", "-1/-2"]
)
def test_what_is_no_epsilon_is_refused(text):
    with pytest.raises(ValueError):
        epsilon_of(text)


@pytest.mark.parametrize("norm", (LINF, L2))
def test_starts_are_within_epsilon_and_the_images_own(model, norm):
    batch = batch_for(model, 6)
    start = random_starts(batch, 0.3, norm)
    assert distances(start, batch.pixels, norm).max() <= 0.3 + 1e-6
    assert start.min() >= 0 and start.max() <= 1
    part = replace(
        batch, pixels=batch.pixels[2:4], names=batch.names[2:4], labels=batch.labels[2:4]
    )
    assert torch.equal(random_starts(part, 0.3, norm), start[2:4])
    assert not torch.equal(random_starts(replace(batch, seed=1), 0.3, norm), start)


def test_linf_starts_fill_the_cube(model):
    batch = batch_for(model, 1)
    middle = replace(batch, pixels=torch.full((1, 3, 120, 120), 0.5))
    unit = (random_starts(middle, 0.1, LINF) - 0.5) / 0.1
    assert unit.mean().abs() < 0.02
    assert unit.var() == pytest.approx(1 / 3, rel=0.02)
    assert unit.min() < -0.999 and unit.max() > 0.999


def test_l2_starts_fill_the_ball(model):
    batch = batch_for(model, 1)
    few = replace(
        batch, pixels=torch.full((4000, 3, 1, 1), 0.5), names=tuple(map(str, range(4000)))
    )
    radii = distances(random_starts(few, 0.4, L2), few.pixels, L2) / 0.4
    assert radii.max() <= 1 + 1e-6
    assert (radii**3).mean() == pytest.approx(0.5, abs=0.02)  # uniform for a point of the ball


def test_targets_are_the_other_classes_alike(model):
    batch = batch_for(model, 1)
    many = replace(batch, names=tuple(map(str, range(6000))), labels=torch.arange(6000) % 10)
    ahead = (random_targets(many, 10) - many.labels) % 10
    counts = torch.bincount(ahead, minlength=10)
    assert counts[0] == 0 and (counts[1:] > 580).all() and (counts[1:] < 760).all()
    assert torch.equal(random_targets(many, 10), random_targets(many, 10))
    assert refusal(random_targets, many, 1).startswith("a targeted attack needs")


def test_conditions_columns_and_images_that_are_wrong_already(model):
    batch = batch_for(model, 9)
    made = {
        condition: (x, columns)
        for condition, x, columns in adversarial(victim(model), (WALK,), (SMALL, LARGE))(batch)
    }
    assert list(made) == ["clean", "PGD-5/eps=2_255", "PGD-5/eps=0.2"]
    assert torch.equal(made["clean"][0], batch.pixels)
    assert (made["clean"][1]["first_success"] == NOT_ATTACKED).all()
    for epsilon in (SMALL, LARGE):
        x, columns = made[WALK.condition(epsilon)]
        assert torch.equal(x[-1], batch.pixels[-1])  # whose label the model does not give
        assert columns["first_success"][-1] == NOT_ATTACKED and columns["perturbation"][-1] == 0
        assert (columns["first_success"][:-1] >= NEVER).all()
        norms = distances(x, batch.pixels, LINF)
        torch.testing.assert_close(columns["perturbation"], norms)
        assert norms.max() <= epsilon.value + 1e-6 and (norms[:-1] > 0).all()
        wrong = model(x).argmax(1) != batch.labels
        assert wrong[-1] and (columns["first_success"][wrong][:-1] >= 0).all()
    assert (model(made["PGD-5/eps=0.2"][0]).argmax(1) != batch.labels).sum() > 1


def test_images_for_other_models_are_all_attacked(model):
    batch = batch_for(model, 5)
    stimuli = adversarial(victim(model), (WALK,), (SMALL,), source="it")
    _, (condition, x, columns) = stimuli(batch)
    assert condition == "PGD-5/eps=2_255/from=it"
    assert (columns["first_success"] >= NEVER).all()
    assert (distances(x, batch.pixels, LINF) > 0).all()


def test_an_image_that_does_not_reach_its_target_is_shown_as_it_was(model):
    batch = batch_for(model, 9)
    method = gradient_method("PGD-5-targeted", Attack(steps=5, step=0.02, targeted=True), 4)
    for epsilon, some in ((epsilon_of("0.15"), True), (epsilon_of("1e-6"), False)):
        _, (_, x, columns) = adversarial(victim(model), (method,), (epsilon,))(batch)
        changed = distances(x, batch.pixels, LINF) > 0
        aims = random_targets(batch, CLASSES)
        assert torch.equal(changed, (model(x).argmax(1) == aims) & changed)
        assert changed.any() == some
        assert torch.equal(columns["perturbation"] > 0, changed)


def test_no_image_left_to_attack(model):
    batch = batch_for(model, 4)
    wrong = replace(batch, labels=(model(batch.pixels).argmax(1) + 1) % CLASSES)
    _, (_, x, columns) = adversarial(victim(model), (WALK,), (SMALL,))(wrong)
    assert torch.equal(x, wrong.pixels)
    assert (columns["first_success"] == NOT_ATTACKED).all()


@pytest.mark.parametrize("excess", (0.01, inf))
def test_an_attack_that_leaves_its_bounds_is_a_defect(model, excess):
    batch = batch_for(model, 3)

    def perturb(victim, part, epsilon):
        nothing = torch.zeros(len(part.labels), dtype=torch.int16)
        images = part.pixels + epsilon.value + excess
        return Outcome(images, nothing > 0, nothing, nothing)

    with pytest.raises(RuntimeError, match="left its bounds"):
        list(adversarial(victim(model), (Method("bad", LINF, perturb),), (SMALL,))(batch))


def test_the_callback_gets_the_adversarial_images(model):
    seen = {}
    stimuli = adversarial(
        victim(model), (WALK,), (SMALL,), callback=lambda c, b, x, columns: seen.update({c: x})
    )
    _, (condition, x, _) = stimuli(batch_for(model, 3))
    assert torch.equal(seen[condition], x)


def test_perturbations_as_pictures():
    added = torch.tensor([-0.02, 0, 0.01])
    torch.testing.assert_close(amplified(added), torch.tensor([0, 0.5, 0.75]))
    assert amplified(added * 0).tolist() == [0.5] * 3
    assert amplified(added.numpy()).tolist() == pytest.approx([0, 0.5, 0.75])


def test_robust_accuracy_of_a_linear_model_falls_with_epsilon():
    model = linear(1)
    batch = batch_for(model, 40)
    accuracy = [
        (model(x).argmax(1) == batch.labels).float().mean()
        for _, x, _ in adversarial(victim(model), (WALK,), (SMALL, LARGE))(batch)
    ]
    assert accuracy[0] == 39 / 40 and accuracy[0] > accuracy[1] > accuracy[2]
