"""Gatys' optimisation against NumPy, and against PyTorch's own loop."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bvg.stylize import gatys
from bvg.stylize.gatys import DivergedError, Encoder, Gatys, check_layers, load_encoder
from conftest import refusal
from oracles import gatys as oracle

CPU = torch.device("cpu")
WIDTHS = (2, 3, 3, 4, 4)


def randomised(network: nn.Module, seed: int = 1) -> nn.Module:
    """Return the network with random weights whose outputs neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=generator)
            module.weight.data *= (2 / fan_in) ** 0.5
            module.bias.data = torch.rand(module.bias.shape, generator=generator) * 0.3
    return network.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def narrow():
    """Return a narrow VGG-19 in double precision, and its weights as arrays."""
    network = randomised(gatys.vgg19_network(WIDTHS)).double()
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    zero, one = torch.zeros(3, 1, 1).double(), torch.ones(3, 1, 1).double()
    return Encoder(network, zero, one), state


def inputs(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    draws = [np.random.default_rng(k).random((1, 3, *size)) for k, size in enumerate(sizes)]
    return [torch.from_numpy(draw) for draw in draws]


def test_features_and_gram_matrices_equal_the_oracle(narrow):
    encoder, state = narrow
    (x,) = inputs((35, 48))
    names = [*gatys.STYLE_LAYERS, gatys.CONTENT_LAYER]
    found = encoder.features(x, names)
    expected = oracle.features(x[0].numpy(), state)
    assert [value.shape[1] for value in found.values()] == [2, 3, 3, 4, 4, 4]
    for name in names:
        assert expected[name].std() > 1e-3
        np.testing.assert_allclose(found[name][0].numpy(), expected[name], atol=1e-12)
        grams = gatys.gram(found[name])[0].numpy()
        np.testing.assert_allclose(grams, oracle.gram(expected[name]), atol=1e-12)


def test_the_loss_and_its_gradient_equal_the_oracle(narrow):
    encoder, state = narrow
    content, texture, x = inputs((32, 32), (35, 48), (32, 32))
    engine = Gatys(encoder)
    x.requires_grad_()
    loss = engine.loss(x, engine.target(content, texture))
    loss.backward()
    arrays = [value.detach()[0].numpy() for value in (x, content, texture)]
    expected = oracle.loss(*arrays, state)
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-12)
    for place in ((0, 0, 0), (1, 13, 7), (2, 31, 20), (0, 16, 16)):
        step = np.zeros_like(arrays[0])
        step[place] = 1e-5
        up, down = (oracle.loss(arrays[0] + s, *arrays[1:], state) for s in (step, -step))
        slope = (up - down) / 2e-5
        np.testing.assert_allclose(x.grad[0][place].item(), slope, rtol=1e-4, atol=1e-8)


def test_the_gradient_by_a_layer_s_features_equals_the_oracle():
    (features,) = inputs((5, 7))
    wanted = np.random.default_rng(9).random((3, 3))
    encoder = Encoder(nn.Sequential(nn.Identity()), torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    features.requires_grad_()
    target = gatys.Target(features.detach().clone(), {"0": torch.from_numpy(wanted)[None]})
    loss = Gatys(encoder, ["0"], "0").loss(features, target)
    loss.backward()
    array = features.detach()[0].numpy()
    np.testing.assert_allclose(loss.item(), oracle.style_loss(array, wanted), rtol=1e-12)
    expected = oracle.style_gradient(array, wanted)
    np.testing.assert_allclose(features.grad[0].numpy(), expected, rtol=1e-10)


def test_the_settings_are_the_published_ones():
    engine = Gatys(Encoder(nn.Identity(), torch.zeros(3, 1, 1), torch.ones(3, 1, 1)))
    assert engine.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    assert (engine.content_layer, engine.style_weight, engine.steps) == ("relu4_2", 1000, 500)
    assert gatys.WIDTHS == (64, 128, 256, 512, 512)
    with torch.device("meta"):
        network = gatys.vgg19_network()
    assert sum(p.numel() for p in network.parameters()) == 20_024_384


def test_the_optimisation_equals_pytorch_s_loop_from_the_content_on(narrow):
    encoder, _ = narrow
    content, texture = inputs((32, 32), (40, 32))
    engine = Gatys(encoder, steps=40)
    found, losses = engine.optimised(content, texture)
    assert len(losses) == engine.evaluations == 60  # a step begins as long as there were <= 40
    assert losses[-1] < 0.2 * losses[0]

    x = content.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x],
        lr=1,
        max_iter=20,
        max_eval=25,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    )
    with torch.no_grad():
        of_content = encoder.features(content, ["relu4_2"])["relu4_2"]
        of_texture = encoder.features(texture, gatys.STYLE_LAYERS)

    def closure():
        optimizer.zero_grad()
        own = encoder.features(x, [*gatys.STYLE_LAYERS, "relu4_2"])
        terms = [F.mse_loss(own["relu4_2"], of_content)]
        for name, theirs in of_texture.items():
            matrices = []
            for value in (own[name], theirs):
                _, channels, height, width = value.shape
                rows = value.view(channels, height * width)
                matrices.append(rows @ rows.t() / (height * width))
            terms.append(1000 / channels**2 * F.mse_loss(*matrices))
        total = sum(terms)
        total.backward()
        return total

    for _ in range(3):
        optimizer.step(closure)
    np.testing.assert_allclose(found.numpy(), x.detach().numpy(), atol=1e-8)


def test_a_picture_becomes_the_network_s_input_and_back(tmp_path):
    torch.manual_seed(0)
    network = randomised(gatys.vgg19_network())
    torch.save(network.state_dict(), tmp_path / "vgg_conv.pth")
    encoder = load_encoder(str(tmp_path / "vgg_conv.pth"), None, CPU)
    picture = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    x = encoder.input_of(picture)
    red_first = picture[..., ::-1].transpose(2, 0, 1).astype(np.float64)
    expected = red_first - np.array([103.939, 116.779, 123.68])[:, None, None]
    np.testing.assert_allclose(x[0].numpy(), expected, atol=1e-3)
    np.testing.assert_array_equal(encoder.picture_of(x), picture)
    assert encoder.picture_of(x + 1000).min() == 255 and encoder.picture_of(x - 1000).max() == 0
    for key, value in encoder.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[key])


def test_torchvision_s_weights_go_to_the_layers_of_the_paper(monkeypatch):
    from torchvision.models.vgg import cfgs, make_layers

    from bvg.zoo.normalized import NormalizedModel

    narrow = [cfg if cfg == "M" else {64: 2, 128: 3, 256: 3, 512: 4}[cfg] for cfg in cfgs["E"]]
    theirs = nn.Module()
    theirs.features = randomised(make_layers(narrow))
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    asked = []

    def load_model(name, options):
        asked.append(name)
        return NormalizedModel(theirs, mean, std)

    monkeypatch.setattr(gatys, "load_model", load_model)
    monkeypatch.setattr(gatys, "WIDTHS", WIDTHS)
    encoder = load_encoder("vgg19", None, CPU)
    assert asked == ["torchvision:vgg19/IMAGENET1K_V1"]
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    x = encoder.input_of(picture)
    rgb = picture.transpose(2, 0, 1)[None] / 255
    expected = (rgb - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(std, (1, 3, 1, 1))
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-6)
    found = encoder.features(x, ["relu5_1", "relu4_2", "relu1_1"])
    for name, end in (("relu1_1", 2), ("relu4_2", 23), ("relu5_1", 30)):
        assert torch.equal(found[name], theirs.features[:end](x))


def test_files_of_another_layout_are_refused(tmp_path):
    torch.save({"0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    sentence = refusal(load_encoder, str(tmp_path / "other.pth"), None, CPU)
    assert "vgg_conv.pth" in sentence and "missing keys" in sentence


def test_layers_that_cannot_be_used_are_refused(narrow):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
            self.unused = nn.ReLU()

        def forward(self, x):
            return self.head(self.conv(x).mean((2, 3)))

    encoder = Encoder(Network(), torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    check_layers(encoder, "mine", ["conv"], 16)
    for layer in ("convolution", "head", "unused"):
        sentence = refusal(check_layers, encoder, "mine", ["conv", layer], 16)
        assert "--style_layers" in sentence and "mine" in sentence
    assert "conv" in refusal(check_layers, encoder, "mine", ["convolution"], 16)
    assert "--encoder" in refusal(check_layers, narrow[0], "narrow", ["relu5_1"], 8)


def test_an_optimisation_that_diverges_is_no_result():
    class Exploding(nn.Module):
        def forward(self, x):
            return torch.exp(x * 60)

    encoder = Encoder(nn.Sequential(Exploding()), torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    with pytest.raises(DivergedError):
        Gatys(encoder, ["0"], "0").make(picture, picture[::-1] // 2)
