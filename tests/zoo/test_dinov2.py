"""DINOv2's classifiers: the transformer is timm's, the positions and the head the publisher's."""

from functools import cache

import pytest
import torch
from torch.nn import functional as F

from bvg.zoo.dinov2 import DinoV2

SMALL = {"depth": 5, "embed_dim": 24, "num_heads": 2}


@cache
def network(registers: int, layers: int = 4) -> DinoV2:
    net = DinoV2("vit_small_patch14_dinov2", layers=layers, registers=registers, **SMALL)
    generator = torch.Generator().manual_seed(layers)
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 5
    return net.eval()


def images(side: int) -> torch.Tensor:
    return torch.randn((2, 3, side, side), generator=torch.Generator().manual_seed(1))


def timms(net: DinoV2, registers: int) -> torch.nn.Module:
    """Return timm's own network with the same weights, which timm converts."""
    import timm
    from timm.models.vision_transformer import checkpoint_filter_fn

    name = f"vit_small_patch14{'_reg4' if registers else ''}_dinov2"
    reference = timm.create_model(name, num_classes=0, global_pool="", **SMALL)
    state = {k: v for k, v in net.state_dict().items() if not k.startswith("head.")}
    state["mask_token"] = torch.ones(1, SMALL["embed_dim"])  # by which timm knows the layout
    reference.load_state_dict(checkpoint_filter_fn(state, reference))
    return reference.eval()


@torch.no_grad()
@pytest.mark.parametrize("registers", [0, 4])
def test_at_the_size_of_training_the_features_are_timms(registers):
    reference, x = timms(network(registers), registers), images(518)
    tokens = [
        torch.cat([prefix, patches], dim=1)
        for patches, prefix in reference.get_intermediate_layers(
            x, n=4, return_prefix_tokens=True, norm=True
        )
    ]
    mean = tokens[-1][:, 1 + registers :].mean(dim=1)
    for layers in (1, 4):
        net = network(registers, layers)
        net.load_state_dict(
            {k: v for k, v in network(registers).state_dict().items() if "head" not in k},
            strict=False,
        )
        read = torch.cat([*(of_layer[:, 0] for of_layer in tokens[-layers:]), mean], dim=1)
        expected = read @ net.head.weight.T + net.head.bias
        assert expected.std() > 0.1
        torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("registers", [0, 4])
def test_positions_are_resized_as_the_publisher_does(registers):
    """Antialiased with registers; else plain bicubic, at the scale (16 + 0.1) / 37."""
    net = network(registers)
    grid = net.pos_embed[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    antialiased = F.interpolate(grid, size=(16, 16), mode="bicubic", antialias=True)
    plain = torch.nn.Upsample(scale_factor=16.1 / 37, mode="bicubic")(grid)
    expected = antialiased if registers else plain
    found = net._positions(16, 16)
    assert torch.equal(found[:, 0], net.pos_embed[:, 0])
    torch.testing.assert_close(
        found[:, 1:].reshape(1, 16, 16, -1).permute(0, 3, 1, 2), expected, rtol=0, atol=1e-6
    )
    assert (antialiased - plain).abs().max() > 1e-2


def test_gradients_reach_the_image_and_other_sides_are_refused():
    x = images(28).requires_grad_()
    network(4)(x).square().sum().backward()
    assert x.grad.abs().max() > 0
    with pytest.raises(ValueError, match="14 x 14"):
        network(4)(images(32))
