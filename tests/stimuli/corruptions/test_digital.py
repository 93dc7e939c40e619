import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from bvg.stimuli.corruptions import digital
from bvg.stimuli.corruptions.digital import compressed
from oracles import corruptions_weather_digital as oracle
from stimulus_helpers import batch_of, photo_like

SEVERITIES = (1, 2, 3, 4, 5)
NAMES = ("brightness", "contrast", "saturate", "pixelate", "jpeg_compression")


def colours() -> np.ndarray:
    """Return an image with every kind of colour: greys, pure and mixed ones, black and white."""
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    image[:32] = np.arange(224)[:, None]
    image[32:64] = np.random.default_rng(1).choice([0, 1, 127, 254, 255], (32, 224, 3))
    image[64:72] = 0
    image[72:80] = 255
    return image


def stored(x: torch.Tensor) -> np.ndarray:
    return x[0].clamp(0, 1).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", NAMES)
def test_images_are_the_definition(name, severity):
    exact = name in ("pixelate", "jpeg_compression")
    for image in (photo_like(severity), colours()):
        ours = stored(getattr(digital, name)(batch_of(image), severity))
        expected = getattr(oracle, name)(image, severity)
        if exact:
            assert np.array_equal(ours, expected.astype(np.float32))
        else:
            assert np.abs(ours - expected).max() < 2e-6


@pytest.mark.parametrize("name", NAMES)
def test_an_images_pixels_do_not_depend_on_its_batch(name):
    corruption = getattr(digital, name)
    images = [photo_like(seed) for seed in range(4)] + [colours()]
    batch = batch_of(*images)
    channels_last = batch.pixels.to(memory_format=torch.channels_last)
    before = channels_last.clone()
    for severity in (1, 5):
        whole = corruption(dataclasses.replace(batch, pixels=channels_last), severity)
        assert whole.shape == (5, 3, 224, 224) and whole.dtype == torch.float32
        for start, stop in ((0, 1), (1, 3), (3, 5)):
            part = corruption(batch_of(*images[start:stop]), severity)
            assert torch.equal(part, whole[start:stop])
    assert torch.equal(channels_last, before)


def test_higher_severities_are_farther_from_the_image():
    batch = batch_of(*[photo_like(seed) for seed in range(4)])
    for name in ("brightness", "contrast", "pixelate", "jpeg_compression"):
        corrupted = [getattr(digital, name)(batch, severity) for severity in SEVERITIES]
        far = [float((x - batch.pixels).square().mean()) for x in corrupted]
        assert far == sorted(far) and far[0] > 0, name


@pytest.mark.parametrize("grey", (0, 128, 255))
def test_a_grey_image_is_brightened_kept_or_reddened(grey):
    batch = batch_of(np.full((224, 224, 3), grey, np.uint8))
    x, value = batch.pixels, grey / 255
    for severity in SEVERITIES:
        brighter = digital.brightness(batch, severity)
        raised = min(1, value + severity / 10)
        assert torch.allclose(brighter, torch.tensor(float(raised)), atol=1e-6)
        assert torch.allclose(digital.contrast(batch, severity), x, atol=1e-6)
        assert torch.equal(digital.pixelate(batch, severity), x)
        added = (0, 0, 0, 0.1, 0.2)[severity - 1]  # to S, and a grey pixel's hue counts as red
        expected = torch.tensor([value, value * (1 - added), value * (1 - added)])
        saturated = digital.saturate(batch, severity)
        assert torch.allclose(saturated, expected.view(1, 3, 1, 1).expand_as(x), atol=1e-6)


def test_every_level_survives_the_way_through_8_bits():
    levels = np.arange(256, dtype=np.uint8)[:224]
    for first in (levels, levels + 32):
        image = np.repeat(np.tile(first, (224, 1))[:, :, None], 3, axis=2)
        exact = np.repeat(np.repeat(image[::4, ::4], 4, axis=0), 4, axis=1)  # blocks of one level
        ours = digital.pixelate(batch_of(exact), 5)
        assert torch.equal(ours, batch_of(exact).pixels)


@pytest.mark.parametrize("optimize", (False, True))
def test_jpeg_is_pillows_at_4_2_0_bit_for_bit(optimize):
    """Optimised Huffman tables change the file's size, but no pixel."""
    for image in (photo_like(0), colours(), photo_like(1, 60, 90)):
        ours = stored(compressed(image[None], 85, torch.device("cpu")))
        expected = oracle.jpeg(image, 85, subsampling=2, optimize=optimize)
        assert np.array_equal(ours, expected.astype(np.float32))


def test_jpeg_is_the_same_in_threads(monkeypatch):
    batch = batch_of(*(photo_like(seed, 64, 64) for seed in range(5)))
    alone = compressed(batch.levels, 20, batch.pixels.device)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert torch.equal(compressed(batch.levels, 20, batch.pixels.device), alone)


def test_pixelate_is_pillows_at_other_sizes_too():
    for height, width in ((150, 201), (240, 200), (256, 288)):
        image = photo_like(2, height, width)
        for severity in SEVERITIES:
            ours = stored(digital.pixelate(batch_of(image), severity))
            assert np.array_equal(ours, oracle.pixelate(image, severity).astype(np.float32))


def test_pixelate_is_pillows_at_many_sizes_of_noise_by_either_way():
    draws = np.random.default_rng(3)
    for _ in range(40):
        height, width = draws.integers(20, 150, 2)
        height = min(height, 2 * width)  # Pillow 13 would start with the columns
        image = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for severity, kept in enumerate(digital.PIXELATE, start=1):
            batch = batch_of(image)
            low, narrow = int(height * kept), int(width * kept)
            expected = oracle.pixelate(image, severity).astype(np.float32)
            assert np.array_equal(stored(digital.pixelate(batch, severity)), expected)
            products = digital.pixelated_by_products(batch.pixels, low, narrow)
            assert np.array_equal(stored(products), expected)


def test_chroma_is_halved():
    stripes = np.zeros((224, 224, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    stripes[:, 1::2] = (0, 130, 0)  # as bright: only the chroma differs
    x = compressed(stripes[None], 95, torch.device("cpu"))
    assert (x[0, 0, :, ::2] - x[0, 0, :, 1::2]).abs().mean() < 0.1
    grey = np.asarray(Image.fromarray(stripes).convert("L"))
    assert abs(int(grey[0, 0]) - int(grey[0, 1])) < 2
