import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import gaussian_blur

from bvg.stimuli.batch import CLEAN
from bvg.stimuli.lowpass import blurred, downsampled, lowpass
from oracles import lowpass as oracle
from stimulus_helpers import batch_of, photo_like

SIGMAS = (0.5, 1, 1.1, 2.5, 4)
SIZES = [(224, 224), (31, 64)]


def noise(seed: int, *size: int) -> np.ndarray:
    """Return colours that are independent from pixel to pixel: bicubic weights overshoot."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def rows_and_columns(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_blur_is_the_definition(sigma, size):
    for image in (photo_like(1, *size), noise(1, *size)):
        ours = rows_and_columns(blurred(batch_of(image).pixels, sigma))
        assert ours.dtype == np.float32
        assert np.abs(ours - oracle.blurred(image / 255, sigma)).max() < 2e-6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [1, 7, 29])
def test_downsampling_is_the_definition(side, size):
    for image in (photo_like(2, *size), noise(2, *size)):
        ours = rows_and_columns(downsampled(batch_of(image).pixels, side))
        assert ours.dtype == np.float32
        assert np.abs(ours - oracle.downsampled(image / 255, side)).max() < 5e-6


@pytest.mark.parametrize("sigma", SIGMAS)
def test_blur_is_torchvisions(sigma):
    pixels = batch_of(photo_like(3)).pixels
    size = 2 * int(np.ceil(4 * sigma)) + 1
    assert (
        blurred(pixels, sigma) - gaussian_blur(pixels, [size] * 2, [sigma] * 2)
    ).abs().max() < 2e-6


@pytest.mark.parametrize("side", [32, 64, 100])
def test_downsampling_is_pillows_up_to_its_8_bits(side):
    image = photo_like(4)
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    theirs = np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC))
    ours = rows_and_columns(downsampled(batch_of(image).pixels, side)) * 255
    assert np.abs(ours - theirs).max() < 2


def test_conditions_are_named_by_their_filter_and_the_images_are_among_them():
    batch = batch_of(photo_like(5, 64, 64), noise(5, 64, 64))
    made = dict(lowpass(batch, [1, 2.5], [16]))
    assert [*made] == [CLEAN, "blur=1", "blur=2.5", "downsample=16"]
    assert torch.equal(made[CLEAN], batch.pixels)
    assert torch.equal(made["blur=2.5"], blurred(batch.pixels, 2.5))
    assert torch.equal(made["downsample=16"], downsampled(batch.pixels, 16))


def test_an_images_filtering_does_not_depend_on_its_batch():
    images = [photo_like(seed, 64, 48) for seed in range(19)]
    whole = dict(lowpass(batch_of(*images), [1.5], [12]))
    for size in (1, 7):
        for start in range(0, 19, size):
            part = slice(start, start + size)
            for condition, x in lowpass(batch_of(*images[part]), [1.5], [12]):
                assert torch.equal(x, whole[condition][part])


def test_filters_keep_flat_images_their_input_and_the_range():
    batch = batch_of(np.full((224, 224, 3), 200, np.uint8), noise(6, 224, 224))
    before = batch.pixels.clone()
    for _, x in lowpass(batch, SIGMAS, [1, 64]):
        assert (x[0] - 200 / 255).abs().max() < 1e-6
        assert x.min() >= 0 and x.max() <= 1
    assert torch.equal(batch.pixels, before)


def test_stronger_filters_leave_less_of_the_high_frequencies():
    batch = batch_of(noise(7, 224, 224))
    left = {name: float(x.std()) for name, x in lowpass(batch, SIGMAS, [128, 64, 16])}
    for kind in ("blur", "downsample"):
        stds = [left[name] for name in left if name == CLEAN or name.startswith(kind)]
        assert len(stds) > 3 and stds == sorted(stds, reverse=True)
