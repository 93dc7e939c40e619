"""Recipes against their papers, the learning rate at every update, and the optimizer."""

import argparse
from dataclasses import replace

import pytest
import torch

from bvg.errors import UserError
from bvg.training.recipe import overridden, recipe_flags, remarks, schedule
from oracles.training import SCHEDULES, learning_rates
from train import RECIPES


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 7])
def test_the_learning_rate_of_every_update(name, steps):
    recipe = RECIPES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe.lr)
    rates = schedule(recipe, optimizer, steps)
    found = []
    for update in range(1, recipe.epochs * steps + 1):
        rates.step(update)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx(learning_rates(name, steps), rel=1e-12)


def test_the_data_and_starts_of_the_papers():
    sin, both, own = ("stylized-imagenet",), ("stylized-imagenet", "imagenet"), ("imagenet",)
    expected = {"A": sin, "B": both, "C": own, "alexnet": sin, "vgg16": sin, "debiased": own}
    assert {name: RECIPES[name].data for name in expected} == expected
    for name in "AB":
        assert RECIPES[name].model == "torchvision:resnet50/IMAGENET1K_V1"
    assert RECIPES["C"].model == "resnet50_trained_on_SIN_and_IN"
    for name, recipe in RECIPES.items():
        assert (recipe.momentum, recipe.weight_decay, recipe.decay) == (0.9, 1e-4, 0.1)
        assert recipe.batch_size == (512 if name == "debiased" else 256)
        assert recipe.debiased == (name == "debiased") == recipe.auxiliary_bn
    assert (RECIPES["debiased"].alpha, RECIPES["debiased"].gamma) == (0.5, 0.8)


def test_flags_replace_values(capsys):
    def of(*words, recipe="B"):
        parser = argparse.ArgumentParser()
        recipe_flags(parser.add_argument_group())
        return overridden(RECIPES[recipe], parser.parse_args([*words]))

    assert of() == RECIPES["B"]
    assert of("--model", "scratch").arch == "torchvision:resnet50"
    own = of("--model", "file://own.pth", "--arch", "resnet18")
    assert own.arch == "resnet18" and RECIPES["alexnet"].arch == ""
    with pytest.raises(UserError, match="--model"):
        of("--arch", "resnet18")
    with pytest.raises(UserError, match="--recipe debiased"):
        of("--auxiliary_bn", "yes")
    found = of("--milestones", "40", "20", "--lr", "0.5", "--data", "imagenet", "imagenet")
    assert found == replace(RECIPES["B"], milestones=(20, 40), lr=0.5, data=("imagenet",))
    assert of("--milestones").milestones == ()
    assert not of("--multi_grid", "no", recipe="debiased").multi_grid
    for words in (("--lr", "0"), ("--gamma", "1.5"), ("--multi_grid", "maybe"), ("--lr", "nan")):
        with pytest.raises(SystemExit):
            of(*words)


def test_linear_scaling_is_suggested_unless_the_rate_was_chosen():
    recipe = RECIPES["A"]
    assert remarks(recipe, recipe) == []
    (remark,) = remarks(replace(recipe, batch_size=1024), recipe)
    assert "--lr 0.4" in remark
    assert remarks(replace(recipe, batch_size=1024, lr=0.2), recipe) == []
    (remark,) = remarks(replace(recipe, epochs=30), recipe)
    assert "40" in remark and "20" not in remark
