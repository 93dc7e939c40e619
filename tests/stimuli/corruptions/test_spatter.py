import cv2
import numpy as np
import pytest
import torch

from bvg.stimuli.corruptions.spatter import CANNY, SPATTER, spatter, water
from bvg.stimuli.randomness import keyed_generator
from oracles import corruptions_weather_digital as oracle
from stimulus_helpers import batch_of, photo_like

SEVERITIES = (1, 2, 3, 4, 5)


def normal(severity: int) -> np.ndarray:
    generator = keyed_generator(3, f"spatter_{severity}", "a")
    return torch.randn((224, 224), generator=generator).double().numpy()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_images_are_the_definition(severity):
    image = photo_like(severity)
    expected = oracle.spatter(image, severity, normal(severity))
    ours = spatter(batch_of(image, names=("a",), seed=3), severity).clamp(0, 1)
    difference = np.abs(ours[0].permute(1, 2, 0).numpy() - expected)
    # The liquid's thresholds and 8 bits: a rounding error may take a pixel to the next step, and
    # an edge or a stain's rim by a pixel.
    assert (difference > 1e-5).mean() < 2e-3
    assert difference.mean() < 2e-4


@pytest.mark.parametrize("severity", (1, 2, 3))
def test_water_is_the_definition_for_the_same_liquid(severity):
    random = np.random.default_rng(severity)
    fields = np.stack([oracle.liquid(severity, random.normal(size=(120, 140))) for _ in range(2)])
    fields[fields < SPATTER[severity - 1][3]] = 0
    levels = (fields * 255).astype(np.uint8)
    for ours, liquid in zip(water(levels), levels, strict=True):
        expected = oracle.water(liquid)
        assert expected.max() == 1 and 0.01 < (expected > 0).mean() < 0.6
        assert np.abs(ours - expected).max() < 1e-6


def noisy_smooth_and_blocks() -> np.ndarray:
    """Return three images with edges of all kinds and a constant one, (4, 48, 60) uint8."""
    random = np.random.default_rng(0)
    noisy = random.integers(0, 256, (48, 60))
    smooth = random.normal(0, 12, (48, 60)).cumsum(0).cumsum(1) % 256
    blocks = np.kron(random.choice([0, 20, 200], (8, 10)), np.ones((6, 6)))
    return np.stack([noisy, smooth, blocks, np.full((48, 60), 7)]).astype(np.uint8)


def test_opencvs_edges_and_distances_are_those_of_pixel_by_pixel_loops():
    for image in noisy_smooth_and_blocks():
        edges = cv2.Canny(image, *CANNY)
        assert np.array_equal(edges > 0, oracle.canny(image, *CANNY))
        assert edges.any() == (image.std() > 0)
        far = cv2.distanceTransform(255 - edges, cv2.DIST_L2, 5)
        assert np.abs(np.minimum(far, 25) - oracle.chamfer(edges > 0)).max() < 1e-4


def test_water_of_any_image_is_the_definition():
    levels = noisy_smooth_and_blocks()
    for ours, level in zip(water(levels), levels, strict=True):
        assert np.abs(ours - oracle.water(level)).max() < 1e-6


def test_water_of_nothing_and_of_everything_has_no_edges():
    levels = np.stack([np.zeros((60, 60)), np.full((60, 60), 200)]).astype(np.uint8)
    dry, full = water(levels)
    assert (dry == 0).all()
    assert np.isfinite(full).all() and np.abs(full - oracle.water(levels[1])).max() < 1e-6


@pytest.mark.parametrize("severity", SEVERITIES)
def test_an_images_pixels_do_not_depend_on_its_batch(severity):
    images, names = [photo_like(seed) for seed in range(5)], tuple("abcde")
    batch = batch_of(*images, names=names, seed=1)
    before = batch.pixels.clone()
    whole = spatter(batch, severity)
    assert whole.shape == (5, 3, 224, 224) and whole.dtype == torch.float32
    assert torch.equal(batch.pixels, before)
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        part = batch_of(*images[start:stop], names=names[start:stop], seed=1)
        assert torch.equal(spatter(part, severity), whole[start:stop])


def test_seed_and_name_change_the_drops():
    image = photo_like(0)
    for severity in (3, 4):
        first = spatter(batch_of(image, names=("a",)), severity)
        for batch in (batch_of(image, names=("b",)), batch_of(image, names=("a",), seed=1)):
            assert (spatter(batch, severity) - first).abs().mean() > 0.01


def test_water_brightens_towards_turquoise_and_mud_covers():
    black = batch_of(np.zeros((224, 224, 3), np.uint8))
    for severity in (1, 2, 3):
        x = spatter(black, severity)
        assert x.max() == pytest.approx(SPATTER[severity - 1][4] * 238 / 255)
        assert torch.allclose(x[0, 0] * 238 / 175, x[0, 1], atol=1e-6)
    for grey in (0, 255):
        x = spatter(batch_of(np.full((224, 224, 3), grey, np.uint8)), 5)[0]
        covered = x.permute(1, 2, 0)[(x[0] - grey / 255).abs() > 0.2 * abs(63 - grey) / 255]
        mud = torch.tensor([63, 42, 20]) / 255
        assert 0.1 < len(covered) / 224**2 < 0.9
        assert (covered - mud).abs().max() < 0.2 + 1e-6 and (covered - mud).abs().min() < 1e-3


def test_more_of_the_image_is_spattered_at_higher_severities():
    batch = batch_of(*[np.zeros((224, 224, 3), np.uint8)] * 4)
    shares = [float((spatter(batch, severity) > 0).float().mean()) for severity in SEVERITIES]
    assert shares[0] < shares[1] < shares[2] and shares[3] < shares[4]
