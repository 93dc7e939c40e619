"""Augmentation of the training pictures of a miniature model, one batch at a time, by recipe.

It never changes one cue without the other, except for what a recipe removes on purpose.
"""

import torch
from torch import nn

from bvg.stimuli.criticalband import octave_bands
from miniature.measure import normalised
from miniature.recipes import Recipe

GAIN = 0.3
"""Largest relative change of contrast; brightness changes by up to half of it."""
LOWEST = (8.0, 64.0)  # range of the cutoff of high-pass filtering, cycles/image
FAINTEST = 1 / 6  # lowest contrast of grey pictures, relative to the original
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's mode "L"


def augmented(images: torch.Tensor, recipe: Recipe, rng: torch.Generator) -> torch.Tensor:
    """Return the images mirrored, recoloured and corrupted: float (B, 3, H, W) in [0, 1].

    `images` is uint8 (B, 3, H, W).
    """

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=rng)

    images = images[:, torch.randperm(3, generator=rng)]
    if torch.rand(1, generator=rng) < 0.5:
        images = images.flip(3)
    gain = uniform(1 - GAIN, 1 + GAIN)
    x = images * (gain / 255) + (uniform(0.5 - GAIN / 2, 0.5 + GAIN / 2) - gain / 2)
    if recipe.grey and torch.rand(1, generator=rng) < recipe.grey:
        luma = (x * torch.tensor(LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True).expand_as(x)
        x = 0.5 + (luma - 0.5) * uniform(FAINTEST, 1)
    if recipe.blur > 1:
        x = averaged(x, int(torch.randint(1, recipe.blur + 1, (1,), generator=rng)))
    if recipe.sharp:
        # Image by image, because batch normalization would compensate for a batch of faint images.
        x = high_passed(x, uniform(*LOWEST) * (uniform(0, 1) < recipe.sharp))
    if recipe.noise:
        deviation, noise = uniform(0, recipe.noise), torch.randn(x.shape, generator=rng)
        if recipe.band is not None:
            noise = octave(noise[:, :1], recipe.band)
        x = x + deviation * noise
    return x.clamp(0, 1)


def averaged(x: torch.Tensor, cell: int) -> torch.Tensor:
    """Return the images (B, C, H, W) averaged over cells of `cell` x `cell` pixels."""
    height, width = x.shape[2:]
    small = nn.functional.interpolate(x, size=(height // cell, width // cell), mode="area")
    return nn.functional.interpolate(small, size=(height, width), mode="bilinear")


def high_passed(x: torch.Tensor, lowest: torch.Tensor) -> torch.Tensor:
    """Return images (B, C, H, W) without frequencies below `lowest` (B, 1, 1, 1) cycles/image."""
    size = x.shape[2:]
    return torch.fft.irfft2(torch.fft.rfft2(x) * (_frequencies(*size) >= lowest), s=size)


def _frequencies(height: int, width: int) -> torch.Tensor:
    """Return the frequencies of a half-spectrum in cycles/image: (H, W // 2 + 1)."""
    rows, columns = torch.fft.fftfreq(height) * height, torch.fft.rfftfreq(width) * width
    return torch.hypot(rows[:, None], columns[None])


def octave(noise: torch.Tensor, band: int) -> torch.Tensor:
    """Return an octave of unit noise (B, 1, H, W), scaled as in critical-band masking."""
    kept = next(level for _, level in octave_bands(noise[:, 0], (band,)))
    return kept[:, None]


def mixed(
    x: torch.Tensor, y: torch.Tensor, kind: str, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return mixed images, the labels of the second images, and the share of the first.

    "mixup" blends two images (Zhang et al. 2018), "cutmix" pastes a patch of the second into the
    first (Yun et al. 2019). Shares are uniform, the same for the whole batch.
    """
    order = torch.randperm(len(x), generator=rng)
    share = float(torch.rand(1, generator=rng))
    if kind == "mixup":
        return share * x + (1 - share) * x[order], y[order], share
    height, width = x.shape[2:]
    tall, wide = (round(side * (1 - share) ** 0.5) for side in (height, width))
    top, left = (
        int(torch.randint(0, side - part + 1, (1,), generator=rng))
        for side, part in ((height, tall), (width, wide))
    )
    x = x.clone()
    patch = (..., slice(top, top + tall), slice(left, left + wide))
    x[patch] = x[order][patch]
    return x, y[order], 1 - tall * wide / (height * width)


def attacked(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    epsilon: float,
    rng: torch.Generator,
    norm: str = "inf",
) -> torch.Tensor:
    """Return adversarial images within `epsilon` of x, in [0, 1].

    One step of 1.25 epsilon from a random start (Wong, Rice & Kolter 2020, fast FGSM); for the L2
    norm along the gradient, projected into the ball.
    """
    delta = 2 * torch.rand(x.shape, generator=rng) - 1
    delta = delta * epsilon if norm == "inf" else in_ball(delta, epsilon)
    delta.requires_grad_()
    loss = nn.functional.cross_entropy(model(normalised(x + delta)), y)
    (gradient,) = torch.autograd.grad(loss, delta)
    if norm == "inf":
        step = 1.25 * epsilon * gradient.sign()
        delta = (delta.detach() + step).clamp(-epsilon, epsilon)
    else:
        step = 1.25 * epsilon * gradient / _lengths(gradient)
        delta = in_ball(delta.detach() + step, epsilon)
    return (x + delta).clamp(0, 1)


def in_ball(delta: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return the perturbations (B, C, H, W), scaled to an L2 norm of at most `epsilon`."""
    return delta * (epsilon / _lengths(delta)).clamp(max=1)


def _lengths(delta: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)


def views(images: torch.Tensor, recipe: Recipe, rng: torch.Generator) -> torch.Tensor:
    """Return a view of each image for contrastive learning: float (B, 3, H, W) in [0, 1].

    In addition to `augmented`, each image is randomly rotated, translated and scaled, and its
    colours are mixed, so that two views have shape and texture in common.
    """
    x = augmented(images, recipe, rng)
    count = len(x)
    angle = (2 * torch.rand(count, generator=rng) - 1) * torch.pi / 3
    scale = 0.8 + 0.5 * torch.rand(count, generator=rng)
    shift = (2 * torch.rand(count, 2, generator=rng) - 1) * 0.15
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = (torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1))
    grid = nn.functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    x = nn.functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    colours = torch.randn(count, 3, 3, generator=rng)
    colours = colours / torch.linalg.vector_norm(colours, dim=2, keepdim=True)
    return (0.5 + torch.einsum("bij,bjhw->bihw", colours, x - 0.5)).clamp(0, 1)
