"""Networks that are small enough to attack in milliseconds, and their images."""

import torch
from torch import nn

from bvg.stimuli.attacks import AttackedModel
from bvg.stimuli.batch import Batch

CLASSES = 4


def network(seed: int = 0) -> nn.Module:
    """Return a random convolutional network of four classes, in double precision, frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.Tanh(),
            nn.Conv2d(8, 8, 3, stride=2),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(8 * 4, CLASSES),
        )
        for parameter in layers.parameters():
            parameter.data *= 3
    return layers.double().requires_grad_(False)


class Linear(nn.Module):
    """f = w·x + b."""

    def __init__(self, weights: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.weights, self.bias = weights, bias

    def forward(self, x):
        return torch.einsum("bchw,kchw->bk", x, self.weights.to(x.dtype)) + self.bias.to(x.dtype)


def linear(seed: int, classes: int = CLASSES) -> Linear:
    generator = torch.Generator().manual_seed(seed)
    # Small: of a margin above 36, nothing would be left in the gradient of the cross-entropy.
    weights = torch.randn((classes, 3, 12, 12), generator=generator) / 8
    return Linear(weights, torch.randn(classes, generator=generator))


def images(count: int, seed: int = 0) -> torch.Tensor:
    """Return random images, some pixels of which are at the ends of [0, 1]; double precision."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand((count, 3, 12, 12), generator=generator, dtype=torch.float64)
    return (draws * 1.2 - 0.1).clamp(0, 1)


def victim(model: nn.Module, **options) -> AttackedModel:
    return AttackedModel("it", model, CLASSES, **options)


def batch_for(model: nn.Module, count: int, seed: int = 0) -> Batch:
    """Return single-precision images with the model's own answers as labels, all but the last."""
    pixels = images(count).float().to(memory_format=torch.channels_last)
    labels = model(pixels).argmax(1)
    labels[-1] = (labels[-1] + 1) % CLASSES
    return Batch(pixels, tuple(f"image {k}" for k in range(count)), labels, seed)
