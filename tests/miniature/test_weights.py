"""The committed weights: they load, they are small, and their planted biases hold."""

import json
import math
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from miniature import measure, world
from miniature.augmentation import attacked
from miniature.network import MiniatureNet
from miniature.recipes import RECIPES, described

WEIGHTS = Path(measure.__file__).parent / "weights"
UNSEEN = 7  # a world seed that no recipe has trained on


@cache
def model(name: str) -> MiniatureNet:
    return measure.load(WEIGHTS / f"{name}.safetensors")


@cache
def conflicts() -> tuple[list[world.Picture], torch.Tensor]:
    pictures = [p for p in world.cue_conflict(1) if p.shape != p.texture][::2]
    return pictures, measure.sample(UNSEEN, "cue-conflict", pictures)


@cache
def matched() -> tuple[torch.Tensor, torch.Tensor]:
    pictures = list(world.matched(6))
    labels = torch.tensor([picture.shape for picture in pictures])
    return measure.sample(UNSEEN, "val", pictures), labels


def fractions(name: str) -> dict[str, float]:
    pictures, images = conflicts()
    return measure.cue_fractions(measure.decisions(model(name), images), pictures)


def accuracy(name: str, images: torch.Tensor) -> float:
    """Return the accuracy on altered versions, in [0, 1], of the matched pictures."""
    with torch.inference_mode():
        answers = model(name)(measure.normalised(images)).argmax(dim=1)
    return (answers == matched()[1]).double().mean().item()


def test_there_are_weights_of_every_recipe_and_no_others():
    assert {path.stem for path in WEIGHTS.glob("*.safetensors")} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_weights_file_is_small_and_loads_strictly(name):
    path = WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size <= 1_000_000
    logits = model(name)(torch.zeros(2, 3, 224, 224))
    assert logits.shape == (2, 16)
    assert logits.isfinite().all()


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path):

    state = MiniatureNet().state_dict()
    del state["head.bias"]
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(RuntimeError, match=r"head\.bias"):
        measure.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", RECIPES)
def test_the_metadata_and_the_log_agree_with_the_recipe(name):

    logged = json.loads((WEIGHTS / "training_log.json").read_text())[name]
    with safe_open(WEIGHTS / f"{name}.safetensors", "pt") as file:
        metadata = json.loads(file.metadata()["training"])
    assert metadata.pop("name") == name
    assert metadata["recipe"] == described(RECIPES[name])
    assert metadata["world_version"] == world.VERSION
    assert metadata.items() <= logged.items()
    assert len(logged["curve"]) == RECIPES[name].epochs


@pytest.mark.parametrize("name", RECIPES)
def test_every_model_knows_the_categories_when_the_cues_agree(name):
    bounds = {"plain": 0.93, "supcon": 0.5}  # supcon: a linear classifier on a short training
    assert accuracy(name, matched()[0] / 255) > bounds.get(name, 0.85)


def test_the_planted_biases_hold_on_cue_conflict():
    stylised, randomised = fractions("stylised"), fractions("shape_randomised")
    assert len(conflicts()[0]) == 120
    assert stylised["shape_bias"] > 0.95
    assert stylised["shape"] > 0.9
    assert randomised["shape_bias"] < 0.05
    assert randomised["texture"] > 0.9


def test_plain_is_between_the_planted_biases():
    assert 0.15 < fractions("plain")["shape_bias"] < 0.85


def test_training_on_noise_blur_and_attacks_makes_robust_to_them():
    images, labels = matched()
    clean = images / 255
    rng = torch.Generator().manual_seed(0)
    noisy = (clean + 0.3 * torch.randn(clean.shape, generator=rng)).clamp(0, 1)
    small = torch.nn.functional.avg_pool2d(clean, 8)
    blurred = torch.nn.functional.interpolate(small, scale_factor=8, mode="bilinear")
    assert accuracy("gaussian_noise", noisy) > accuracy("plain", noisy) + 0.2
    assert accuracy("blur", blurred) > accuracy("plain", blurred) + 0.2
    worst = {
        name: attacked(model(name), clean, labels, 4 / 255, rng)
        for name in ("plain", "adversarial")
    }
    robust = {name: accuracy(name, attack) for name, attack in worst.items()}
    assert robust["adversarial"] > robust["plain"] + 0.2


def test_shape_bias_counts_only_conflicts_and_leaves_out_other_answers():
    pictures = [world.Picture(s, t, 1) for s, t in ((0, 1), (0, 1), (0, 2), (3, 4), (5, 5))]
    found = measure.cue_fractions(torch.tensor([0, 0, 2, 9, 5]), pictures)
    expected = {"shape_bias": 2 / 3, "shape": 0.5, "texture": 0.25, "neither": 0.25}
    assert found == pytest.approx(expected)


def test_shape_bias_of_no_cue_answers_is_not_a_number():
    found = measure.cue_fractions(torch.tensor([9]), [world.Picture(0, 1, 1)])
    assert math.isnan(found["shape_bias"])
    assert found["neither"] == 1
