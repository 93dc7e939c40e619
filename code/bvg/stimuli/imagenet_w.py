"""A text written over images as a watermark, white and half transparent.

Source: Li et al., "A Whac-A-Mole Dilemma: Shortcuts Come in Multiples Where Mitigating One
Amplifies Others", CVPR 2023, and the package imagenet-w: Pillow draws the text on a transparent
layer of the images' size, which is composited over the 8-bit image. Here, the layer is drawn once,
and composited with Pillow's arithmetic for all images at once.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from bvg.errors import UserError, reason_of
from bvg.stimuli.batch import on_device

PACKAGE, FONT = "imagenet-w", "SourceHanSerifSC-ExtraLight.otf"


def packaged_font() -> Path | None:
    """Return the font in the installed package imagenet-w, which is not imported, or None."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        return None
    places = (Path(str(file.locate())) for file in files if file.name == FONT)
    return next((place for place in places if place.is_file()), None)


def font_file(given: str | Path | None) -> Path:
    """Return the font of the watermark: the given file, else the package's.

    Raises UserError where there is none, or if it is not a font.
    """
    path = Path(given).expanduser() if given else packaged_font()
    if path is None:
        raise UserError(
            f"the watermark needs the font {FONT}: pip install --no-deps {PACKAGE} (which contains "
            "it), or give the file with --font"
        )
    try:
        ImageFont.truetype(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read as a font ({reason_of(error)}): give another file with --font"
        ) from error
    return path


@cache
def fingerprint(font: Path) -> str:
    """Return the SHA-256 of the font's file."""
    return sha256(font.read_bytes()).hexdigest()


def font_size(side: int, sizes: Mapping[int, int], per_pixel: float) -> int:
    """Return the size of the letters in pixels: of `sizes`, else side / per_pixel, truncated."""
    return sizes.get(side, int(side / per_pixel))


@cache
def text_layer(
    side: int, text: str, font: Path, size: int, position: tuple[float, float], alpha: int
) -> torch.Tensor:
    """Return how opaque the text is at each pixel, (side, side) int32 in [0, alpha].

    position: of the text's left and upper end, as parts of the side. size: of the letters, pixels.
    """
    layer = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    place = (position[0] * side, position[1] * side)
    letters = ImageFont.truetype(font, size)
    ImageDraw.Draw(layer).text(place, text, fill=(255, 255, 255, alpha), font=letters)
    return torch.from_numpy(np.asarray(layer)[..., 3].astype(np.int32))


def under_white(pixels: torch.Tensor, layer: torch.Tensor) -> torch.Tensor:
    """Return the images under a white layer of this opacity, (B, C, H, W) float32 in [0, 1].

    pixels: (B, C, H, W) of 8-bit images, in [0, 1]. layer: (H, W) integers in [0, 255]. The values
    are those of Pillow's alpha_composite: a white part of alpha / 255, rounded.
    """
    layer = on_device(layer, pixels.device)
    levels = (pixels * 255).round().to(torch.int32)
    mixed = 255 * layer + levels * (255 - layer) + 128
    return ((mixed + (mixed >> 8)) >> 8).float() / 255
