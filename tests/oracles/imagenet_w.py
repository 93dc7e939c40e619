"""The watermark as the package imagenet-w draws it: Pillow, one image at a time."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZES = {224: 36, 384: 62, 512: 82, 518: 84}


def watermarked(image: np.ndarray, font: Path) -> np.ndarray:
    """Return a square uint8 RGB image with the watermark."""
    side = len(image)
    below = Image.fromarray(image).convert("RGBA")
    letters = ImageFont.truetype(str(font), SIZES.get(side) or int(side / 6.22))
    above = Image.new("RGBA", below.size, (255, 255, 255, 0))
    colour = (255, 255, 255, round(0.5 * 255))
    place = (0.01 * side, 0.4 * side)
    ImageDraw.Draw(above).text(xy=place, text="捷径捷径捷径", fill=colour, font=letters)
    return np.asarray(Image.alpha_composite(below, above).convert("RGB"))
