from contextlib import contextmanager

import pytest
import torch
from torch import nn

from attack_helpers import images, linear, network, victim
from bvg.stimuli.attacks import L2, LINF, NEVER, Attack, distances, run_attack
from conftest import refusal
from oracles import attacks as oracle

EPSILON, STEP = 0.05, 0.02


@pytest.fixture(scope="module")
def model():
    return network()


def _case(model, count=9):
    clean = images(count)
    noise = images(count, seed=1) * 2 - 1
    return clean, model(clean).argmax(1), (clean + EPSILON * noise).clamp(0, 1)


def _walk(model, attack, clean, classes, start, epsilon=EPSILON, batch_size=4):
    return run_attack(victim(model), clean, classes, start, epsilon, attack, batch_size)


@pytest.mark.parametrize("steps", (1, 2, 7))
def test_linf_iterates_are_the_definitions(model, steps):
    clean, labels, start = _case(model)
    outcome = _walk(model, Attack(steps=steps, step=STEP), clean, labels, start)
    for k, image in enumerate(clean):
        iterates = oracle.pgd_linf(model, image, labels[k], start[k], EPSILON, STEP, steps)
        torch.testing.assert_close(outcome.images[k], iterates[-1], rtol=0, atol=1e-12)
        wrong = [int(model(x[None]).argmax()) != labels[k] for x in iterates]
        assert outcome.first_success[k] == (wrong.index(True) if any(wrong) else NEVER)
        assert outcome.reached[k] == wrong[-1]


def test_l2_iterates_are_the_definitions(model):
    clean, labels, start = _case(model)
    epsilon = 0.6
    attack = Attack(steps=6, norm=L2, relative_step=0.4)
    outcome = _walk(model, attack, clean, labels, start, epsilon)
    for k, image in enumerate(clean):
        last = oracle.pgd_l2(model, image, labels[k], start[k], epsilon, 0.4 * epsilon, 6)[-1]
        torch.testing.assert_close(outcome.images[k], last, rtol=0, atol=1e-12)
    norms = distances(outcome.images, clean, L2)
    assert norms.max() <= epsilon + 1e-12 and norms.max() > 0.9 * epsilon


def test_decaying_steps_get_smaller_to_the_last():
    sizes = Attack(steps=4, relative_step=2.0, decay=True).sizes(0.1)
    torch.testing.assert_close(sizes, torch.tensor([0.2, 0.15, 0.1, 0.05], dtype=torch.float64))


def test_a_decaying_walk_is_that_of_its_steps_one_by_one(model):
    clean, labels, start = _case(model, 3)
    attack = Attack(steps=4, relative_step=2.0, decay=True)
    outcome = _walk(model, attack, clean, labels, start)
    x = start
    for size in attack.sizes(EPSILON):
        x = _walk(model, Attack(steps=1, step=float(size)), clean, labels, x).images
    torch.testing.assert_close(outcome.images, x, rtol=0, atol=1e-12)


def test_a_targeted_walk_goes_to_its_target(model):
    clean, labels, start = _case(model)
    targets = (labels + 1) % 4
    attack = Attack(steps=9, step=STEP, targeted=True)
    outcome = _walk(model, attack, clean, targets, start, epsilon=0.3)
    for k, image in enumerate(clean):
        last = oracle.towards(model, image, targets[k], start[k], 0.3, STEP, 9)
        torch.testing.assert_close(outcome.images[k], last, rtol=0, atol=1e-12)
    assert torch.equal(outcome.reached, model(outcome.images).argmax(1) == targets)
    assert 0 < outcome.reached.sum() <= 9


@pytest.mark.parametrize("batch_size", (1, 4, 30))
def test_first_stops_at_the_first_wrong_iterate_and_loses_no_image(model, batch_size):
    clean, labels, start = _case(model, 30)
    attack = Attack(steps=8, step=STEP, first=True)
    outcome = _walk(model, attack, clean, labels, start, batch_size=batch_size)
    fates = set()
    for k, image in enumerate(clean):
        iterates = oracle.pgd_linf(model, image, labels[k], start[k], EPSILON, STEP, 8)
        wrong = [int(model(x[None]).argmax()) != labels[k] for x in iterates]
        stop = wrong.index(True) if any(wrong) else 8
        torch.testing.assert_close(outcome.images[k], iterates[stop], rtol=0, atol=1e-12)
        assert outcome.first_success[k] == (stop if any(wrong) else NEVER)
        assert outcome.reached[k] == any(wrong)
        fates.add(int(outcome.first_success[k]))
    assert len(fates) > 3 and NEVER in fates  # the case has all of them


def test_the_working_set_changes_nothing(model):
    clean, labels, start = _case(model, 10)
    attack = Attack(steps=5, step=STEP)
    whole = _walk(model, attack, clean, labels, start, batch_size=10)
    for batch_size in (1, 3):
        part = _walk(model, attack, clean, labels, start, batch_size=batch_size)
        torch.testing.assert_close(part.images, whole.images, rtol=0, atol=1e-12)
        assert torch.equal(part.first_success, whole.first_success)


@pytest.mark.parametrize("classes", (2, 4))
def test_of_a_linear_model_the_optimum_is_found(classes):
    clean = images(60)
    model = linear(3, classes)
    labels = model(clean).argmax(1)
    share = []
    for epsilon in (0.002, 0.01, 0.03):
        outcome = _walk(
            model,
            Attack(steps=5, step=4 * epsilon, random_start=False),
            clean,
            labels,
            clean,
            epsilon,
        )
        exact = torch.tensor(
            [
                oracle.linear_robust(model.weights, model.bias, clean[k], labels[k], epsilon)
                for k in range(len(clean))
            ]
        )
        if classes == 2:
            assert torch.equal(~outcome.reached, exact)
            sign = (model.weights[labels] - model.weights[1 - labels]).sign().double()
            optimum = (clean - epsilon * sign).clamp(0, 1)
            torch.testing.assert_close(outcome.images, optimum, rtol=0, atol=1e-12)
        assert not (outcome.reached & exact).any()
        share.append(float(exact.float().mean()))
    assert 1 >= share[0] > share[1] > share[2]


class Broken(nn.Module):
    """Gives a gradient that is zero for dark images, and not finite for bright ones."""

    def forward(self, x):
        level = x.mean((1, 2, 3))
        margin = level * ((level > 0.4) & (level < 0.6))
        bright = level > 0.6
        margin[bright] = (level[bright] - level[bright].detach()).sqrt()
        return torch.stack([margin, level * 0], 1)


def test_gradients_that_are_zero_or_not_finite_are_counted():
    clean = torch.stack([torch.full((3, 12, 12), level) for level in (0.1, 0.5, 0.9)])
    labels = torch.zeros(3, dtype=torch.int64)
    for norm in (LINF, L2):
        attack = Attack(steps=3, step=0.001, norm=norm)
        outcome = _walk(Broken(), attack, clean, labels, clean)
        assert outcome.masked_gradients.tolist() == [3, 0, 3]
        moved = (outcome.images - clean).abs().amax((1, 2, 3))
        assert moved[0] == 0 and moved[1] > 0
        assert torch.isfinite(outcome.images).all()


class Careless(nn.Module):
    """Changes its input, as users' models do."""

    def forward(self, x):
        x -= 0.5
        return x.flatten(1)[:, :4] * 9


def test_a_model_that_changes_its_input_is_attacked_all_the_same():
    clean = images(3).float()
    kept = clean.clone()
    outcome = _walk(Careless(), Attack(steps=2, step=0.01), clean, torch.zeros(3).long(), clean)
    assert torch.equal(clean, kept)
    assert outcome.masked_gradients.tolist() == [0, 0, 0]


def test_a_model_without_gradient_is_refused():
    clean = images(1).float()

    class Rounded(nn.Module):
        def forward(self, x):
            return x.detach().flatten(1)[:, :4]

    sentence = refusal(victim(Rounded()).gradient, clean, torch.zeros(1).long())
    assert sentence.startswith("model it has no gradient with respect to its input (RuntimeError")


class TwoMinded(nn.Module):
    """Answers otherwise in the cheap arithmetic, whose context is `cheap`."""

    def __init__(self, shift: float):
        super().__init__()
        self.shift, self.is_cheap = shift, False

    def forward(self, x):
        level = x.mean((1, 2, 3)) + (self.shift if self.is_cheap else 0.0)
        return torch.stack([level, 0.5 - level], 1)

    @contextmanager
    def cheap(self):
        self.is_cheap = True
        yield
        self.is_cheap = False


def test_a_success_of_the_cheap_arithmetic_counts_only_where_the_exact_one_confirms_it():
    model = TwoMinded(-0.1)
    clean = torch.stack([torch.full((3, 4, 4), level) for level in (0.3, 0.29, 0.2)])
    labels = torch.tensor([0, 0, 0])
    attack = Attack(steps=3, step=0.01, first=True, random_start=False)
    outcome = run_attack(victim(model, cheap=model.cheap), clean, labels, clean, 0.045, attack, 2)
    # The cheap one is wrong of all from the beginning; the exact one of 0.2, and of 0.25 - ε.
    assert outcome.first_success.tolist() == [NEVER, NEVER, 0]
    exact = run_attack(victim(model), clean, labels, clean, 0.045, attack, 2)
    assert torch.equal(outcome.reached, exact.reached)
    assert outcome.reached.tolist() == [False, False, True]


@pytest.mark.parametrize("shift", [-0.02, 0.02])
def test_successes_that_the_cheap_arithmetic_misses_near_a_tie_are_found(shift):
    model = TwoMinded(shift)
    clean = torch.stack(
        [torch.full((3, 4, 4), level) for level in (0.5, 0.285, 0.275, 0.265, 0.255)]
    )
    labels = torch.zeros(5, dtype=torch.int64)
    attack = Attack(steps=4, step=0.01, random_start=False)
    exact = run_attack(victim(model), clean, labels, clean, 0.045, attack, 5)
    assert exact.first_success.tolist() == [NEVER, 4, 3, 2, 1]
    outcome = run_attack(victim(model, cheap=model.cheap), clean, labels, clean, 0.045, attack, 5)
    assert torch.equal(outcome.first_success, exact.first_success)
