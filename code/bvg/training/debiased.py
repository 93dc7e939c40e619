"""Shape-texture debiased training: every image also in the style of another one of its batch.

Source: Li et al., "Shape-Texture Debiased Neural Network Training", ICLR 2021, and the authors'
code (LiYingwei/ShapeTextureDebiasedTraining). Auxiliary batch normalization: Xie et al.,
"Adversarial Examples Improve Image Recognition", CVPR 2020.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from bvg.stylize.adain import AdaIN, adain, padded, statistics

AUXILIARY = "aux_bn"
LEAST_SIDE = 112  # pixels, of stylized copies


@torch.no_grad()
def restyled(
    engine: AdaIN,
    x: torch.Tensor,
    order: torch.Tensor,
    alpha: float,
    styles: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return each of (B, 3, H, W) images, in [0, 1], in another style; same shape.

    order: the image of the batch, or the row of `styles` (statistics, (N, 2C)), whose style each
    gets. alpha: its strength. As in the authors' code, the result is not limited to [0, 1].
    """
    height, width = x.shape[2:]
    features = engine.encoder(padded(x))
    style = (statistics(features) if styles is None else styles)[order]
    return engine.decoder(adain(features, style, alpha))[:, :, :height, :width]


def mixed_loss(
    clean: torch.Tensor,
    stylized: torch.Tensor,
    labels: torch.Tensor,
    textures: torch.Tensor,
    gamma: float,
) -> torch.Tensor:
    """Return the mean cross-entropy of both halves, from their logits (B, classes).

    The stylized copies count for the label of their shape, `labels`, by `gamma`, and for that of
    their texture by 1 - gamma.
    """
    shape = F.cross_entropy(stylized, labels)
    texture = F.cross_entropy(stylized, textures)
    return (F.cross_entropy(clean, labels) + gamma * shape + (1 - gamma) * texture) / 2


def copy_side(side: int, step: int, epoch: int, epochs: int, milestones: Sequence[int]) -> int:
    """Return the side in pixels of the stylized copies in a step of an epoch, both from 0.

    Divided by the square root of 2 in every second step, and again in the first half of each stage
    of the schedule, but at least LEAST_SIDE (or `side` if that is smaller).
    """
    ends = [0, *milestones, epochs]
    stage = max(number for number, first in enumerate(ends[:-1]) if first <= epoch)
    halvings = (step % 2 == 0) + (epoch < (ends[stage] + ends[stage + 1]) / 2)
    return max(int(side / 2 ** (halvings / 2) + 0.5), min(LEAST_SIDE, side))


class _Routed(nn.Module):
    """A batch normalization that has a second one, `aux_bn`, and uses that when `auxiliary`."""

    auxiliary = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.get_submodule(AUXILIARY)(x) if self.auxiliary else super().forward(x)


def add_auxiliary(network: nn.Module) -> None:
    """Give every batch normalization of the network a second one, which begins as its copy.

    The network's own keep their names; the others are called <name>.aux_bn.
    """
    for module in [m for m in network.modules() if isinstance(m, _BatchNorm)]:
        second = deepcopy(module)
        # A subclass made here, because libraries have batch normalizations of their own.
        kind = type(module)
        module.__class__ = type(f"Routed{kind.__name__}", (_Routed, kind), {})
        module.add_module(AUXILIARY, second)


def without_auxiliary(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of the network as it is used: those of its own batch normalizations."""
    return {key: value for key, value in state.items() if AUXILIARY not in key.split(".")}


class BothHalves(nn.Module):
    """A network called on images and on their stylized copies: returns the logits of both.

    Auxiliary batch normalizations, if the network has them, see the copies only. One call for
    both, since DistributedDataParallel expects one forward pass for each backward pass.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, clean: torch.Tensor, copies: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return two tensors of logits, (B, classes) each."""
        logits = self.network(clean)
        routed = [module for module in self.network.modules() if isinstance(module, _Routed)]
        for module in routed:
            module.auxiliary = True
        try:
            return logits, self.network(copies)
        finally:
            for module in routed:
                module.auxiliary = False
