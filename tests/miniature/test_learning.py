"""Learning: decided by the seed; what is frozen stays; the contrastive loss is the papers'."""

from dataclasses import replace

import pytest
import torch

from miniature import learning, world
from miniature.measure import sample
from miniature.network import MiniatureNet
from miniature.recipes import RECIPES, Recipe, described

IMAGES = sample(0, "train", world.matched(2))
LABELS = torch.arange(16).repeat_interleave(2)
TINY = Recipe(per_class=2, epochs=2, batch_size=8, noise=0.1, epsilon=2 / 255)


def same(first: MiniatureNet, second: MiniatureNet) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "recipe",
    [TINY, replace(TINY, mix="cutmix", smoothing=0.1), replace(TINY, contrastive="image")],
    ids=["attacked", "cutmix", "contrastive"],
)
def test_the_seed_and_nothing_else_decides_the_weights(recipe):
    torch.manual_seed(99)
    first, curve = learning.fit(IMAGES, LABELS, recipe, seed=1)
    torch.manual_seed(100)
    second, _ = learning.fit(IMAGES, LABELS, replace(recipe, seed=1), seed=0)
    other, _ = learning.fit(IMAGES, LABELS, recipe, seed=2)
    assert len(curve) == recipe.epochs
    assert same(first, second)
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize("frozen", ["stem", "3x3"])
def test_frozen_weights_are_the_initial_ones_and_the_others_are_not(frozen):
    torch.manual_seed(5)
    initial = MiniatureNet().state_dict()
    model, _ = learning.fit(IMAGES, LABELS, replace(TINY, frozen=frozen), seed=5)
    convolutions = [f"blocks.{k}.0.weight" for k in range(3)]
    for name, parameter in model.named_parameters():
        kept = name.startswith("stem.") if frozen == "stem" else name in convolutions
        assert torch.equal(parameter, initial[name]) == kept, name


def test_the_contrastive_loss_is_that_of_the_papers():
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    groups = torch.tensor([0, 1, 1, 0, 0, 1])
    loss, hits = learning.contrastive_loss(z, groups)
    unit = z / z.norm(dim=1, keepdim=True)
    total, nearest = 0.0, 0
    for i in range(6):
        similar = {j: float(unit[i] @ unit[j]) for j in range(6) if j != i}
        everyone = sum(torch.exp(torch.tensor(s / learning.TEMPERATURE)) for s in similar.values())
        friends = [j for j in similar if groups[j] == groups[i]]
        terms = [similar[j] / learning.TEMPERATURE - torch.log(everyone) for j in friends]
        total -= sum(terms) / len(friends) / 6
        nearest += groups[max(similar, key=lambda j: similar[j])] == groups[i]
    assert loss == pytest.approx(float(total), rel=1e-5)
    assert hits == nearest


def test_a_recipes_record_has_the_fields_that_are_set():
    assert described(RECIPES["plain"]) == {
        "pictures": "matched",
        "label": "shape",
        "per_class": 208,
        "epochs": 7,
        "batch_size": 32,
        "noise": 0.0,
        "blur": 1,
        "epsilon": 0.0,
    }
    assert described(RECIPES["adversarial_l2_4"])["norm"] == "2"
    assert "norm" not in described(RECIPES["adversarial"])
