"""Debiased training: the loss, the styles and the two batch normalizations against NumPy."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from bvg.stylize.adain import AdaIN, decoder_network, encoder_network
from bvg.training.debiased import (
    BothHalves,
    add_auxiliary,
    copy_side,
    mixed_loss,
    restyled,
    without_auxiliary,
)
from oracles import stylize, training

WIDTHS = (2, 3, 4, 5)


def test_styles_of_other_pictures_are_taken_by_their_statistics():
    torch.manual_seed(0)
    engine = AdaIN(encoder_network(WIDTHS)[:31], decoder_network(WIDTHS), {})
    x, paintings = torch.rand(2, 3, 24, 24), torch.rand(4, 3, 24, 24)
    styles = torch.from_numpy(engine.encode((255 * paintings).byte().permute(0, 2, 3, 1).numpy()))
    found = restyled(engine, x, torch.tensor([3, 1]), 1.0, styles)
    both = torch.cat([x, (255 * paintings).byte().float() / 255])
    expected = restyled(engine, both, torch.tensor([5, 3, 0, 0, 0, 0]), 1.0)
    torch.testing.assert_close(found, expected[:2])


@pytest.mark.parametrize("gamma", [0.0, 0.8, 1.0])
def test_label_mixing_equals_the_oracle(gamma):
    rng = np.random.default_rng(0)
    clean, stylized = rng.normal(size=(2, 6, 5))
    labels, order = rng.integers(0, 5, 6), rng.permutation(6)
    arrays = (clean, stylized, labels, labels[order])
    found = mixed_loss(*map(torch.from_numpy, arrays), gamma)
    assert float(found) == pytest.approx(training.mixed_loss(clean, stylized, labels, order, gamma))


def test_each_image_gets_the_style_of_another_in_its_batch():
    torch.manual_seed(0)
    networks = [encoder_network(WIDTHS).double(), decoder_network(WIDTHS).double()]
    states = [{k: v.detach().numpy() for k, v in n.state_dict().items()} for n in networks]
    engine = AdaIN(networks[0][:31], networks[1], {})
    x, order = torch.rand(3, 3, 24, 24, dtype=torch.float64), torch.tensor([2, 0, 1])
    found = restyled(engine, x, order, 0.5)
    assert not found.requires_grad and not found.is_inference()  # a network's input in training
    features = [stylize.encoder(picture, states[0]) for picture in x.numpy()]
    for picture, own, style in zip(found, features, order, strict=True):
        expected = stylize.decoder(stylize.adain(own, features[style], 0.5), states[1])
        np.testing.assert_allclose(picture.numpy(), expected, atol=1e-10)


def test_the_sides_of_the_copies():
    """224 / √2 in even steps, another √2 in the first half of a stage, but at least 112."""
    drops = (30, 60, 90)
    sides = {epoch: [copy_side(224, k, epoch, 100, drops) for k in (0, 1)] for epoch in range(100)}
    first = [*range(15), *range(30, 45), *range(60, 75), *range(90, 95)]
    for epoch, found in sides.items():
        assert found == ([112, 158] if epoch in first else [158, 224]), epoch
    assert copy_side(64, 0, 0, 100, drops) == 64


def _network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())


def test_clean_images_and_copies_have_batch_normalizations_of_their_own():
    plain = _network()
    network = deepcopy(plain)
    add_auxiliary(network)
    clean, copies = torch.rand(2, 8, 3, 6, 6) * torch.tensor([1.0, 5.0]).view(2, 1, 1, 1, 1)
    of_clean, of_copies = BothHalves(network)(clean, copies)
    for logits, x in ((of_clean, clean), (of_copies, copies)):
        expected = training.normalized(plain[0](x).detach().numpy())
        np.testing.assert_allclose(
            logits.detach().numpy(), np.maximum(expected, 0).reshape(8, -1), atol=1e-5
        )
    statistics = {
        key: value for key, value in network.state_dict().items() if "running_mean" in key
    }
    for key, x in (("1.running_mean", clean), ("1.aux_bn.running_mean", copies)):
        expected = 0.1 * plain[0](x).mean((0, 2, 3))
        torch.testing.assert_close(statistics[key], expected.detach())


def test_what_is_saved_is_the_plain_network():
    plain = _network()
    network = deepcopy(plain)
    add_auxiliary(network)
    BothHalves(network)(*torch.rand(2, 8, 3, 6, 6))
    assert network.state_dict().keys() > plain.state_dict().keys()
    plain.load_state_dict(without_auxiliary(network.state_dict()), strict=True)
    x = torch.rand(2, 3, 6, 6)
    assert torch.equal(plain.eval()(x), network.eval()(x))
    own = deepcopy(network)  # a copy routes its own, not the original's
    BothHalves(own)(x, x + 5)
    assert torch.equal(own.eval()(x), network.eval()(x))


def test_both_halves_teach_the_same_weights():
    network = _network()
    add_auxiliary(network)
    x = torch.rand(2, 4, 3, 6, 6)
    sum(logits.square().mean() for logits in BothHalves(network)(*x)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
