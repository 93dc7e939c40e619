"""What recipes do to pictures: mixing, frequencies, attacks, views; sizes and ranges kept."""

import pytest
import torch

from miniature import augmentation, world
from miniature.measure import normalised, sample
from miniature.network import MiniatureNet
from miniature.recipes import RECIPES, Recipe

IMAGES = sample(0, "augmentation", [world.Picture(k, k, 1) for k in range(0, 16, 4)])
PIXELS = IMAGES / 255
LABELS = torch.tensor([0, 4, 8, 12])


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def power(x: torch.Tensor) -> torch.Tensor:
    """Return the power by ring of whole cycles/image, (112,), of one channel of one image."""
    f = torch.fft.fftfreq(224) * 224
    rings = torch.hypot(f[:, None], f[None]).round().long().flatten()
    return torch.bincount(rings, torch.fft.fft2(x[0, 0]).abs().square().flatten())[:112]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_augmented_images_keep_their_size_and_range(recipe):
    out = augmentation.augmented(IMAGES, recipe, rng())
    assert out.shape == IMAGES.shape
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(out, augmentation.augmented(IMAGES, recipe, rng()))


def test_an_octave_of_noise_has_most_of_its_power_about_its_centre():
    noise = torch.randn(2, 1, 224, 224, generator=rng())
    for band in (2, 4):
        kept = augmentation.octave(noise, band)
        assert kept.shape == noise.shape
        assert kept.std() == pytest.approx(0.94, abs=0.05)
        rings, centre = power(kept), round(1.75 * 2**band)
        assert centre / 3 <= int(rings.argmax()) <= centre  # a pyramid's level reaches far down
        assert rings[3 * centre :].sum() < 0.1 * rings.sum()


def test_high_passed_images_lose_what_is_below_their_own_frequency():
    lowest = torch.tensor([30.0, 0, 60, 0]).view(-1, 1, 1, 1)
    out = augmentation.high_passed(PIXELS, lowest)
    assert torch.allclose(out[1], PIXELS[1], atol=1e-5)
    assert power(out[:1])[:29].sum() < 1e-6 * power(PIXELS[:1])[:29].sum()
    assert torch.allclose(power(out[:1])[32:], power(PIXELS[:1])[32:], rtol=1e-3)
    assert power(out[2:])[:59].sum() < 1e-6 * power(PIXELS[2:])[:59].sum()


def test_grey_batches_have_three_equal_channels_of_less_contrast():
    out = augmentation.augmented(IMAGES, Recipe(grey=1.0), rng())
    assert torch.allclose(out[:, 0], out[:, 1]) and torch.allclose(out[:, 0], out[:, 2])
    assert (out.std(dim=(1, 2, 3)) < PIXELS.std(dim=(1, 2, 3))).all()


def test_mixup_blends_in_the_share_that_it_returns():
    mixed, other, share = augmentation.mixed(PIXELS, LABELS, "mixup", rng())
    assert 0 < share < 1
    second = PIXELS[other // 4]  # label 4k is image k
    assert torch.allclose(mixed, share * PIXELS + (1 - share) * second)


def test_cutmix_pastes_a_patch_of_the_share_that_it_returns():
    found = [augmentation.mixed(PIXELS, LABELS, "cutmix", rng(seed)) for seed in range(8)]
    for mixed, other, share in found:
        second = PIXELS[other // 4]
        own = (mixed == PIXELS).all(dim=1)
        assert ((mixed == second).all(dim=1) | own).all()
        moved = other != LABELS
        assert torch.allclose(
            own[moved].double().mean(dim=(1, 2)), torch.tensor(share).double(), atol=0.01
        )
    assert any((other != LABELS).any() for _, other, _ in found)


@pytest.mark.parametrize(("norm", "epsilon"), [("inf", 8 / 255), ("2", 3.0)])
def test_an_attack_stays_in_its_ball_and_hurts(norm, epsilon):
    torch.manual_seed(0)
    model = MiniatureNet().eval()
    adversarial = augmentation.attacked(model, PIXELS, LABELS, epsilon, rng(), norm)
    delta = (adversarial - PIXELS).flatten(1)
    length = delta.abs().amax(1) if norm == "inf" else torch.linalg.vector_norm(delta, dim=1)
    assert (length <= epsilon * (1 + 1e-5)).all()
    assert (length > 0.5 * epsilon).all()
    before, after = (
        torch.nn.functional.cross_entropy(model(normalised(x)), LABELS)
        for x in (PIXELS, adversarial)
    )
    assert after > before


def test_views_of_an_image_differ_in_colour_and_place():
    first, second = (augmentation.views(IMAGES, Recipe(), rng(seed)) for seed in (1, 2))
    assert first.shape == IMAGES.shape
    assert first.min() >= 0 and first.max() <= 1
    assert (first - second).abs().mean() > 0.05
    assert torch.equal(first, augmentation.views(IMAGES, Recipe(), rng(1)))
