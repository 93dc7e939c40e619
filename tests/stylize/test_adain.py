"""AdaIN's networks against NumPy, and the published files."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from bvg.files import sha256_of
from bvg.stylize import adain
from bvg.stylize.adain import (
    AdaIN,
    check_reconstruction,
    decoder_network,
    encoder_network,
    load_adain,
    statistics,
)
from conftest import refusal
from oracles import stylize as oracle
from stylize_helpers import NARROW, identity, write_published

CPU = torch.device("cpu")
WIDTHS = (2, 3, 4, 5)


def _random(network: nn.Sequential, seed: int) -> nn.Sequential:
    """Return the network with random weights whose outputs neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    for module in network:
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=generator)
            module.weight.data *= (2 / fan_in) ** 0.5
            module.bias.data = torch.rand(module.bias.shape, generator=generator) * 0.2
    return network


@pytest.fixture(scope="module")
def narrow():
    """Return both networks in double precision, and their weights as arrays."""
    networks = [_random(encoder_network(WIDTHS), 1), _random(decoder_network(WIDTHS), 2)]
    states = [{k: v.double().numpy() for k, v in n.state_dict().items()} for n in networks]
    return [network.double().requires_grad_(False) for network in networks], states


@pytest.mark.parametrize(("height", "width"), [(24, 32), (17, 30)])
def test_the_networks_equal_the_oracle(narrow, height, width):
    (encoder, decoder), (of_encoder, of_decoder) = narrow
    picture = np.random.default_rng(0).random((3, height, width))
    features = encoder[:31](torch.from_numpy(picture)[None])
    expected = oracle.encoder(picture, of_encoder)
    assert expected.shape[1:] == (-(-height // 8), -(-width // 8)) and expected.std() > 0.01
    np.testing.assert_allclose(features[0].numpy(), expected, atol=1e-10)
    decoded = decoder(features)[0].numpy()
    np.testing.assert_allclose(decoded, oracle.decoder(expected, of_decoder), atol=1e-10)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_statistics_are_transferred_as_by_the_oracle(alpha):
    content, style = (
        torch.from_numpy(np.random.default_rng(seed).random((1, 4, 5, side)))
        for seed, side in ((1, 3), (2, 7))
    )
    found = adain.adain(content, statistics(style), alpha)[0].numpy()
    expected = oracle.adain(content[0].numpy(), style[0].numpy(), alpha)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    if alpha == 1:
        np.testing.assert_allclose(found.mean((1, 2)), style.mean((2, 3))[0], atol=1e-12)


def test_a_stylized_picture_equals_the_oracle_and_keeps_its_size(narrow):
    (encoder, decoder), (of_encoder, of_decoder) = narrow
    engine = AdaIN(deepcopy(encoder[:31]).float(), deepcopy(decoder).float(), {})
    draw = np.random.default_rng(3).integers
    picture = draw(0, 256, (1, 20, 27, 3), dtype=np.uint8)
    style = draw(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    found = engine.stylize(picture, engine.encode(style), 1.0)
    assert found.shape == picture.shape
    padded = np.pad(picture[0], ((0, 4), (0, 5), (0, 0)), mode="reflect").transpose(2, 0, 1) / 255
    features = [oracle.encoder(x, of_encoder) for x in (padded, style[0].transpose(2, 0, 1) / 255)]
    rgb = oracle.decoder(oracle.adain(*features, 1.0), of_decoder).clip(0, 1)[:, :20, :27]
    assert np.abs(found[0].transpose(2, 0, 1) - rgb * 255).max() < 0.51


def test_layers_and_parameters_are_the_published_ones():
    with torch.device("meta"):
        encoder, decoder = encoder_network(), decoder_network()
    assert len(encoder) == 53 and len(decoder) == 29
    counts = [sum(p.numel() for p in n.parameters()) for n in (encoder, encoder[:31], decoder)]
    assert counts == [20_024_396, 3_505_740, 3_505_219]
    layers = [{int(key.split(".")[0]) for key in n.state_dict()} for n in (encoder, decoder)]
    assert layers[0] == {0, 2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51}
    assert layers[1] == {1, 5, 8, 11, 14, 18, 21, 25, 28}
    assert tuple(encoder.state_dict()["29.weight"].shape) == (512, 256, 3, 3)
    assert tuple(decoder.state_dict()["1.weight"].shape) == (256, 512, 3, 3)


def test_the_published_files_load_and_reconstruct(tmp_path, monkeypatch):
    folder = write_published(tmp_path / "adain", monkeypatch)
    engine = load_adain(folder, CPU)
    hashes = {name: sha256_of(folder / name) for name in (adain.ENCODER, adain.DECODER)}
    assert engine.record == {"engine": "adain", "weights": hashes}
    grey = np.full((1, 32, 32, 3), 128, dtype=np.uint8)
    grey[:, :16] = 60
    red = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    red[..., 0] = 200
    mean = engine.stylize(grey, engine.encode(red), 1.0).mean((0, 1, 2))
    np.testing.assert_allclose(mean, [200, 0, 0], atol=2)


def test_other_files_are_refused(tmp_path, monkeypatch):
    folder = write_published(tmp_path / "adain", monkeypatch)
    torch.save({"0.weight": torch.zeros(1)}, folder / adain.ENCODER)
    assert "delete it to download it again" in refusal(load_adain, folder, CPU)  # by its hash
    cases = {
        "missing keys": lambda state: state.pop("51.bias"),
        "unexpected keys": lambda state: state.update({"53.bias": torch.zeros(3)}),
        "wrong shapes": lambda state: state.update({"29.weight": torch.zeros(4, 3, 3, 3)}),
    }
    for what, change in cases.items():
        state = identity(encoder_network(NARROW)).state_dict()
        change(state)
        torch.save(state, folder / adain.ENCODER)
        monkeypatch.setitem(adain.SHA256, adain.ENCODER, sha256_of(folder / adain.ENCODER))
        assert what in refusal(load_adain, folder, CPU)


def test_networks_that_do_not_belong_together_are_refused(tmp_path, monkeypatch):
    engine = AdaIN(identity(encoder_network(NARROW))[:31], identity(decoder_network(NARROW)), {})
    check_reconstruction(engine)
    bgr = identity(encoder_network(NARROW))[:31]
    bgr[0].weight.data = bgr[0].weight.data.flip(0)
    assert "correlation" in refusal(check_reconstruction, AdaIN(bgr, engine.decoder, {}))
    folder = write_published(tmp_path / "adain", monkeypatch, fill=lambda n: _random(n, 5))
    assert "correlation" in refusal(load_adain, folder, CPU)
