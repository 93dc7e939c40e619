"""The models that draw noise: what they compute, and that an image always meets the same noise."""

import numpy as np
import pytest
import torch
from torch import nn

from bvg.zoo import noisy
from bvg.zoo.noisy import DiffusionNoise, VOneBlock, VOneNet
from oracles import noisy as oracle


def images(count: int = 3, side: int = 16) -> torch.Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(0)) - 0.3


@pytest.fixture
def block(monkeypatch) -> VOneBlock:
    """Return a block of four simple and four complex cells."""
    monkeypatch.setattr(noisy, "SIMPLE", 4)
    monkeypatch.setattr(noisy, "COMPLEX", 4)
    block = VOneBlock()
    for number, filters in enumerate((block.simple_conv_q0, block.simple_conv_q1)):
        generator = torch.Generator().manual_seed(number)
        filters.weight.data = torch.randn(filters.weight.shape, generator=generator) / 20
    return block.requires_grad_(False)


def test_the_block_computes_the_papers_cells_and_noise(block, monkeypatch):
    drawn = []
    normal = noisy._normal

    def recorded(*arguments):
        drawn.append(normal(*arguments))
        return drawn[-1]

    monkeypatch.setattr(noisy, "_normal", recorded)
    x = images(2)
    found = block(x)
    for image, noise, answer in zip(x, drawn[0], found, strict=True):
        even, odd = (
            oracle.gabor_answers(image.numpy(), filters.weight.numpy())
            for filters in (block.simple_conv_q0, block.simple_conv_q1)
        )
        expected = oracle.vone_answers(even, odd, noise.double().numpy(), 4)
        np.testing.assert_allclose(answer.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert found.shape == (2, 8, 4, 4)
    assert (found == 0).any()
    assert (found > 1).any()


def test_diffusion_noise_is_the_published_one(monkeypatch):
    drawn = []
    generators = noisy._generators

    def recorded(x):
        drawn.extend(float(torch.rand((1, 1, 1), generator=g)) for g in generators(x))
        return generators(x)

    monkeypatch.setattr(noisy, "_generators", recorded)
    x = images()
    found = DiffusionNoise(nn.Identity())(x)
    for number, (image, u) in enumerate(zip(x, drawn, strict=True)):
        generator = generators(image[None])[0]
        torch.rand((1, 1, 1), generator=generator)
        noise = torch.randn(image.shape, generator=generator)
        expected = oracle.diffused(image.double().numpy(), u, noise.double().numpy())
        np.testing.assert_allclose(found[number].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", ["block", "diffusion"])
def test_an_image_meets_the_same_noise_whatever_the_batch(make, block):
    model = block if make == "block" else DiffusionNoise(nn.Identity())
    x = images()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    whole = model(x)
    assert torch.equal(torch.get_rng_state(), before)
    one_by_one = torch.cat([model(image[None]) for image in x.flip(0)]).flip(0)
    other_layout = model(x.to(memory_format=torch.channels_last))
    for other in (one_by_one, other_layout):  # other noise would differ by about 1
        torch.testing.assert_close(other, whole, rtol=1e-4, atol=1e-4)


def test_images_that_differ_meet_independent_noise():
    model = DiffusionNoise(nn.Identity())
    grey = torch.full((2, 3, 64, 64), 0.0)
    grey[1, 0, 0, 0] = 1e-6
    first, second = model(grey)
    assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.05
    assert first.std() > 0.01


def test_gradients_pass_and_are_finite(block):
    x = images(1)
    x[:, :, :8] = 0.0  # where all filters answer 0, and a square root has no slope
    x.requires_grad_()
    block(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_vonenet_has_the_published_keys():
    with torch.device("meta"):
        keys = list(VOneNet().state_dict())
    assert len(keys) == 317
    assert keys[:3] == [
        "vone_block.simple_conv_q0.weight",
        "vone_block.simple_conv_q1.weight",
        "bottleneck.weight",
    ]
    assert sum(key.startswith("model.") for key in keys) == 314
