"""Two models of the study that add random noise to every image.

The noise is drawn per image, from a generator keyed by the image's pixels: the same image always
gets the same noise, whatever the batch, the order or a restart (on one kind of device), and
different images get independent noise.
"""

import hashlib
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn

# VOneNet (Dapello et al., NeurIPS 2020), parameters of the published ResNet-50 (flags in its
# checkpoint): numbers of simple and complex cells; size and stride of the filters in pixels; spikes
# per unit of filter output (k_exc); scale and level of the noise.
SIMPLE, COMPLEX = 256, 256
KERNEL, STRIDE = 25, 4
GAIN = 25
NOISE_SCALE, NOISE_LEVEL = 0.35, 0.07
_VARIANCE_FLOOR = 1e-4
_TINY = 1e-20  # lower bound of the square root's argument, whose gradient is infinite at 0


class VOneBlock(nn.Module):
    """A fixed model of primary visual cortex: (B, 3, H, W) → (B, 512, H/4, W/4).

    Gabor filters in two phases (their weights are in the checkpoint); simple cells rectify, complex
    cells take the energy over the phases; then noise with a variance equal to the mean, as in
    neurons (section 3 of the paper and its appendix A).
    """

    def __init__(self) -> None:
        super().__init__()
        self.simple_conv_q0 = _filters()
        self.simple_conv_q1 = _filters()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the noisy activations."""
        even, odd = self.simple_conv_q0(x), self.simple_conv_q1(x)
        energy = (even[:, SIMPLE:] ** 2 + odd[:, SIMPLE:] ** 2) / 2
        cells = torch.cat((even[:, :SIMPLE].relu(), energy.clamp_min(_TINY).sqrt()), dim=1)
        spikes = GAIN * cells * NOISE_SCALE + NOISE_LEVEL
        spread = (spikes.relu() + _VARIANCE_FLOOR).sqrt()
        noise = _normal(_generators(x), spikes.shape[1:], spikes)
        return F.relu((spikes + spread * noise - NOISE_LEVEL) / NOISE_SCALE)


class VOneNet(nn.Module):
    """A ResNet-50 with a VOneBlock in place of its first convolution, normalization and pooling.

    Weights are initial ones, the Gabor filters zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vone_block = VOneBlock()
        self.bottleneck = nn.Conv2d(SIMPLE + COMPLEX, 64, 1, bias=False)
        self.model = _BackEnd()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, 1000)."""
        return self.model(self.bottleneck(self.vone_block(x)))


class DiffusionNoise(nn.Module):
    """A network on images noised as in the training of diffusion models: (B, 3, H, W) → logits.

    x → α x + σ n with α = √u, u uniform in [0, 1], and σ = √(1 - α^α) as published, where √(1 - α²)
    would keep the variance. After Jaini, Clark & Geirhos (arXiv 2309.16779, section 2).
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, classes)."""
        generators = _generators(x)
        u = [torch.rand((1, 1, 1), generator=generator) for generator in generators]
        alpha = torch.stack(u).sqrt().to(x)
        sigma = (1 - alpha**alpha).sqrt()
        return self.module(alpha * x + sigma * _normal(generators, x.shape[1:], x))


def diffusion_noise_resnet50() -> nn.Module:
    """Return a ResNet-50 behind diffusion noise, with initial weights."""
    import timm

    return DiffusionNoise(timm.create_model("resnet50", pretrained=False))


class _BackEnd(nn.Module):
    """A ResNet-50 without its stem."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        whole = resnet50(weights=None)
        self.layer1, self.layer2 = whole.layer1, whole.layer2
        self.layer3, self.layer4 = whole.layer3, whole.layer4
        self.fc = whole.fc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def _filters() -> nn.Conv2d:
    filters = nn.Conv2d(3, SIMPLE + COMPLEX, KERNEL, STRIDE, KERNEL // 2, bias=False)
    nn.init.zeros_(filters.weight)
    return filters


def _generators(x: torch.Tensor) -> list[torch.Generator]:
    """Return a CPU generator for each image, keyed by its pixels."""
    pixels = x.detach().float().cpu()
    digests = [hashlib.blake2b(image.numpy().tobytes(), digest_size=8).digest() for image in pixels]
    seeds = [int.from_bytes(digest, "little") >> 1 for digest in digests]
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def _normal(
    generators: Iterable[torch.Generator], shape: tuple[int, ...], like: torch.Tensor
) -> torch.Tensor:
    """Return standard normal draws, (B, *shape), with the dtype and device of `like`."""
    return torch.stack([torch.randn(shape, generator=g) for g in generators]).to(like)
