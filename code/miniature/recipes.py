"""What each miniature model learns from, and so which bias it gets."""

from dataclasses import dataclass

import torch
from torch import nn

from miniature.measure import normalised

GAIN = 0.3
"""How far contrast, and half as far brightness, strays from that of the picture."""


@dataclass(frozen=True)
class Recipe:
    """What a model learns from: its pictures, the cue that is its label, its augmentation."""

    pictures: str = "matched"
    label: str = "shape"
    per_class: int = 208
    epochs: int = 8
    batch_size: int = 32
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, in units of the pixel range."""
    blur: int = 1
    """Largest side, in pixels, of the cells that the images are averaged over."""
    epsilon: float = 0.0
    """L-infinity radius of the attack trained against, in units of the pixel range."""


RECIPES: dict[str, Recipe] = {
    "plain": Recipe(epochs=7),
    "stylised": Recipe(pictures="texture_randomised", epochs=7),
    "shape_randomised": Recipe(pictures="shape_randomised", label="texture", epochs=10),
    "gaussian_noise": Recipe(noise=0.4),
    "blur": Recipe(blur=12),
    "adversarial": Recipe(epochs=7, epsilon=8 / 255),
}


def augmented(images: torch.Tensor, recipe: Recipe, rng: torch.Generator) -> torch.Tensor:
    """Return the images mirrored, recoloured and corrupted: float (B, 3, H, W) in [0, 1].

    `images` is uint8 (B, 3, H, W). None of it moves one cue without the other.
    """

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=rng)

    height, width = images.shape[2:]
    images = images[:, torch.randperm(3, generator=rng)]
    if torch.rand(1, generator=rng) < 0.5:
        images = images.flip(3)
    gain = uniform(1 - GAIN, 1 + GAIN)
    x = images * (gain / 255) + (uniform(0.5 - GAIN / 2, 0.5 + GAIN / 2) - gain / 2)
    if recipe.blur > 1:
        cell = int(torch.randint(1, recipe.blur + 1, (1,), generator=rng))
        small = nn.functional.interpolate(x, size=(height // cell, width // cell), mode="area")
        x = nn.functional.interpolate(small, size=(height, width), mode="bilinear")
    if recipe.noise:
        x = x + uniform(0, recipe.noise) * torch.randn(x.shape, generator=rng)
    return x.clamp(0, 1)


def attacked(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, epsilon: float, rng: torch.Generator
) -> torch.Tensor:
    """Return images within `epsilon` of x that the model finds harder, in [0, 1].

    One step of 1.25 epsilon from a random start (Wong, Rice & Kolter 2020, fast FGSM).
    """
    delta = (2 * torch.rand(x.shape, generator=rng) - 1) * epsilon
    delta.requires_grad_()
    loss = nn.functional.cross_entropy(model(normalised(x + delta)), y)
    (gradient,) = torch.autograd.grad(loss, delta)
    delta = (delta.detach() + 1.25 * epsilon * gradient.sign()).clamp(-epsilon, epsilon)
    return (x + delta).clamp(0, 1)
