"""Elastic transformation, as ImageNet-C has it.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. tests/oracles/corruptions_weather_digital.py has the definition.
"""

import numpy as np
import torch
from torch.nn.functional import grid_sample

from bvg.stimuli.batch import Batch, in_threads, on_device
from bvg.stimuli.corruptions.filters import gaussian_blurred
from bvg.stimuli.randomness import keyed_generators

# Hendrycks & Dietterich 2019, severities 1 … 5: alpha, sigma and the affine part, in pixels. (In
# the published code, they are multiples of 244 instead of 224.)
ELASTIC_TRANSFORM = (
    (488.0, 170.8, 24.4),
    (488.0, 19.52, 48.8),
    (12.2, 2.44, 4.88),
    (17.08, 2.44, 4.88),
    (29.28, 2.44, 4.88),
)
_FINE, _STEPS = 1024, 32  # OpenCV's warpAffine rounds coordinates to 1/1024, then to 1/32 pixel


def elastic_transform(batch: Batch, severity: int) -> torch.Tensor:
    """Return the images after a random affine map and smooth random shifts of each pixel.

    (B, 3, H, W) in [0, 1]. Both steps interpolate bilinearly; borders are mirrored at the centres
    of the edge pixels in the first step, at their outer edges in the second.
    """
    alpha, sigma, reach = ELASTIC_TRANSFORM[severity - 1]
    height, width = batch.pixels.shape[2:]
    device = batch.pixels.device

    def drawn(generator: torch.Generator) -> tuple[np.ndarray, torch.Tensor]:
        moves = torch.rand((3, 2), generator=generator).mul_(2 * reach).sub_(reach)
        field = torch.rand((2, height, width), generator=generator)
        return affine_sources(moves.numpy(), height, width), field

    generators = keyed_generators(batch, f"elastic_transform_{severity}")
    affine, fields = zip(*in_threads(drawn, generators), strict=True)
    sources = on_device(torch.from_numpy(np.stack(affine)), device)
    noise = on_device(torch.stack(fields), device).mul_(2).sub_(1)
    shifts = gaussian_blurred(noise, sigma, 3, "reflect").mul_(alpha)
    warped = _sampled(batch.pixels.contiguous(), sources, "mirror")
    shifts += _pixel_grid(height, width, device)
    return _sampled(warped, shifts, "reflect")


def affine_sources(moves: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return where each pixel of the affinely transformed image comes from: (2, H, W), x and y.

    moves: (3, 2) float32, displacements (x, y) of three points: the centre plus a third of the side
    in x and y, plus it in x and minus it in y, and minus it in both. Coordinates are rounded to
    1/32 of a pixel, as in OpenCV 3.x (warpAffine), which made the published images.
    """
    centre = np.array([width // 2, height // 2], np.float32)
    third = min(height, width) // 3
    points = np.stack([centre + third, centre + np.array([third, -third]), centre - third])
    moved = points.astype(np.float32) + moves
    # The inverse map, from where the points went: (x', y', 1) → (x, y).
    inverse = np.linalg.solve(
        np.column_stack([moved.astype(np.float64), np.ones(3)]), points.astype(np.float64)
    )
    along_x = np.arange(width)[:, None] * inverse[0] * _FINE
    along_y = (np.arange(height)[:, None] * inverse[1] + inverse[2]) * _FINE
    limit = 2**29  # for nearly degenerate triangles, whose coordinates are far outside
    x, y = (np.rint(along).clip(-limit, limit).astype(np.int32).T for along in (along_x, along_y))
    half = _FINE // _STEPS // 2
    sources = (x[:, None, :] + (y + half)[:, :, None]) // (_FINE // _STEPS)
    return sources.astype(np.float32) / _STEPS


def _pixel_grid(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Return each pixel's own x and y, (2, H, W)."""
    rows, columns = (torch.arange(side, device=device).float() for side in (height, width))
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))


def _sampled(x: torch.Tensor, sources: torch.Tensor, border: str) -> torch.Tensor:
    """Return images read at fractional positions, bilinearly: (B, C, H, W).

    sources: (B, 2, H, W), x and y in pixels. border: "mirror" (d c b | a b c d | c b a) or
    "reflect" (c b a | a b c d | d c b).
    """
    mirror = border == "mirror"
    sides = torch.tensor(x.shape[:1:-1], dtype=sources.dtype)  # width, height
    sides = on_device(sides, x.device).view(2, 1, 1)
    # grid_sample's coordinates are -1 to 1 between the centres of the edge pixels, or outer edges.
    unit = (sources * 2) / (sides - 1) - 1 if mirror else (sources * 2 + 1) / sides - 1
    return grid_sample(
        x,
        unit.permute(0, 2, 3, 1),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=mirror,
    )
