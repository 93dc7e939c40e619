"""The watermark equals Pillow's to the last bit; which font it is written in."""

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from PIL import Image

import eval_imagenet_w as script
from bvg.stimuli import imagenet_w
from bvg.stimuli.imagenet_w import fingerprint, font_file, font_size, text_layer, under_white
from conftest import refusal
from oracles import imagenet_w as oracle
from stimulus_helpers import batch_of, photo_like


@pytest.fixture(scope="module")
def font():
    return font_file(None)


def layer_of(side: int, font) -> torch.Tensor:
    size = font_size(side, script.FONT_SIZES, script.SIDE_PER_FONT_SIZE)
    return text_layer(side, script.TEXT, font, size, script.POSITION, script.ALPHA)


@pytest.mark.parametrize("side", [224, 384, 518, 299])
def test_images_of_all_sizes_are_as_the_package_draws_them(side, font):
    noise = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    images = [photo_like(side, side, side), noise]
    found = under_white(batch_of(*images).pixels, layer_of(side, font))
    assert found.dtype == torch.float32
    for image, ours in zip(images, found, strict=True):
        expected = oracle.watermarked(image, font)
        assert np.array_equal((ours * 255).round().permute(1, 2, 0).numpy(), expected)
        assert (ours.permute(1, 2, 0).numpy() == expected.astype(np.float32) / 255).all()
        assert 0.02 < np.mean(expected != image) < 0.2  # of all channels


def test_every_level_under_every_opacity_is_pillows():
    levels, opacities = (torch.arange(256) for _ in range(2))
    below = np.zeros((256, 256, 4), np.uint8)
    below[..., :3], below[..., 3] = levels[:, None, None].numpy(), 255
    above = np.full((256, 256, 4), 255, np.uint8)
    above[..., 3] = opacities[None].numpy()
    expected = Image.alpha_composite(Image.fromarray(below), Image.fromarray(above))
    pixels = (levels[:, None] / 255).expand(256, 256)[None, None]
    ours = under_white(pixels, opacities[None].expand(256, 256))
    assert np.array_equal((ours[0, 0] * 255).round().numpy(), np.asarray(expected)[..., 0])


def test_the_text_is_half_transparent_and_in_the_middle_of_the_left(font):
    layer = layer_of(224, font)
    rows, columns = torch.nonzero(layer, as_tuple=True)
    assert layer.max() == script.ALPHA == round(0.5 * 255)
    assert rows.min() >= 0.4 * 224 and rows.max() < 0.7 * 224
    assert 2 <= columns.min() < 8 and columns.max() > 200


def test_the_font_is_the_published_one(font):
    assert fingerprint(font).startswith(script.PUBLISHED_FONT)


def test_without_the_package_the_remedy_is_its_installation(monkeypatch, tmp_path, font):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(imagenet_w, "distribution", absent)
    sentence = refusal(font_file, None)
    assert "pip install" in sentence and "imagenet-w" in sentence and "--font" in sentence
    assert font_file(font) == font
    other = tmp_path / "font.otf"
    assert "--font" in refusal(font_file, other)
    other.write_text("no font")
    assert "--font" in refusal(font_file, other)
