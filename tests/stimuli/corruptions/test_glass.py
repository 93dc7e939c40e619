import numpy as np
import pytest
import torch

from bvg.stimuli.corruptions import glass
from bvg.stimuli.corruptions.glass import drawn_offsets, glass_blur, scattered, scattered_on_gpu
from bvg.stimuli.randomness import keyed_generator
from oracles import corruptions_noise_blur as oracle
from stimulus_helpers import batch_of, photo_like

SEVERITIES = (1, 2, 3, 4, 5)


def down_and_right(offsets: np.ndarray, reach: int) -> np.ndarray:
    down, right = np.divmod(offsets.astype(int), 2 * reach)
    return np.stack([down - reach, right - reach], axis=-1)


def offsets_of(severity: int, name: str, seed: int, size=(224, 224)) -> np.ndarray:
    _, reach, iterations = glass.GLASS_BLUR[severity - 1]
    generator = keyed_generator(seed, f"glass_blur_{severity}", name)
    return drawn_offsets(generator, size, reach, iterations)


def test_parameters_are_the_papers():
    assert list(glass.GLASS_BLUR) == oracle.GLASS_BLUR


@pytest.mark.parametrize("size", [(224, 224), (40, 61), (61, 40), (9, 10), (8, 8), (5, 30)])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_waves_are_the_scan_exactly(severity, size):
    _, reach, _ = glass.GLASS_BLUR[severity - 1]
    offsets = np.stack([offsets_of(severity, name, 3, size) for name in ("a", "b")])
    ours = scattered(size, reach, offsets)
    places = np.arange(size[0] * size[1]).reshape(size)
    for number, each in enumerate(offsets[:1] if size == (224, 224) else offsets):
        expected = oracle.replaced(places, reach, down_and_right(each, reach))
        assert np.array_equal(ours[number].reshape(size), expected)
    there = scattered_on_gpu(size, reach, torch.from_numpy(offsets))
    assert np.array_equal(there.numpy(), ours)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_glass_blur_is_the_definition(severity):
    image, name, seed = photo_like(severity, 80, 72), "a", 5
    image[:20] = 255  # flat: whole levels are at stake
    ours = glass_blur(batch_of(image, names=(name,), seed=seed), severity)
    _, reach, _ = glass.GLASS_BLUR[severity - 1]
    offsets = down_and_right(offsets_of(severity, name, seed, (80, 72)), reach)
    expected = oracle.glass_blur(image / 255, severity, offsets)
    difference = np.abs(ours[0].permute(1, 2, 0).numpy() - expected)
    assert ours.dtype == torch.float32 and difference[:10].max() < 1e-6
    # A value just below a whole level may be that level in single precision, and one step higher.
    assert difference.max() < 1.01 / 255 and difference.mean() < 1e-5
    assert (difference > 1e-5).mean() < 0.05


def test_offsets_are_uniform_from_minus_reach_to_reach_less_one():
    for severity in SEVERITIES:
        _, reach, iterations = glass.GLASS_BLUR[severity - 1]
        drawn = offsets_of(severity, "a", 0)
        side = 224 - 2 * reach
        assert drawn.shape == (iterations, side, side)
        counts = np.bincount(drawn.ravel(), minlength=4 * reach**2)
        expected = drawn.size / len(counts)
        degrees = len(counts) - 1
        chi2 = ((counts - expected) ** 2 / expected).sum()
        assert len(counts) == 4 * reach**2 and chi2 < degrees + 5 * np.sqrt(2 * degrees)


def test_an_images_glass_does_not_depend_on_its_batch():
    images = [photo_like(seed, 50, 46) for seed in range(19)]
    names = tuple(f"image {number}" for number in range(19))
    whole = glass_blur(batch_of(*images, names=names), 5)
    for size in (1, 7):
        for start in range(0, 19, size):
            part = slice(start, start + size)
            alone = glass_blur(batch_of(*images[part], names=names[part]), 5)
            assert torch.equal(alone, whole[part])


def test_another_seed_and_name_give_other_glass():
    image = photo_like(0, 64, 64)
    versions = [
        glass_blur(batch_of(image, names=(name,), seed=seed), 5)
        for name, seed in (("a", 0), ("b", 0), ("a", 1))
    ]
    assert (versions[0] - versions[1]).abs().max() > 0.01
    assert (versions[0] - versions[2]).abs().max() > 0.01


def test_flat_images_stay_flat_and_inputs_as_they_are():
    batch = batch_of(np.full((64, 64, 3), 201, np.uint8), photo_like(1, 64, 64))
    before = batch.pixels.clone()
    for severity in SEVERITIES:
        assert (glass_blur(batch, severity)[0] - 201 / 255).abs().max() < 1e-6
    assert torch.equal(batch.pixels, before)


def test_glass_loses_pixels_as_published():
    """An exchange would keep all, and carry them further along with the scan (4.5 rows)."""
    sources = scattered((224, 224), 4, offsets_of(5, "a", 0)[None])[0]
    places = np.arange(224 * 224)
    assert len(np.unique(sources)) < len(places)
    assert (sources // 224 - places // 224).std() == pytest.approx(3.5, abs=0.2)
