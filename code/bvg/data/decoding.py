"""From an image file to 8-bit RGB: what each format, mode and orientation becomes.

The rules are torchvision's (`Image.open(path).convert("RGB")`), but for pixels of more than 8 bits,
which Pillow clips instead of scaling. docs/fidelity.md has the table.
"""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from bvg.errors import reason_of

MIN_SIDE = 8  # pixels; smaller files are placeholders, not photographs

UNDECODABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # of `decode`

# Formats that Pillow recognises but cannot decode by itself: documents, videos, data containers.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}
# Formats whose integers of mode I fill 16 bits; elsewhere the mode says nothing of the range.
_SIXTEEN_BITS = {"PNG", "PPM"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF


@cache
def image_endings() -> frozenset[str]:
    """Return the file endings (lower case, with the dot) of the formats that Pillow decodes."""
    formats = Image.registered_extensions()
    decoded = {ending for ending, name in formats.items() if name in Image.OPEN}
    containers = {ending for ending, name in formats.items() if name in _NOT_DECODED}
    return frozenset(decoded - containers | {".mpo"})  # several JPEGs, which Pillow opens as one


def decode(path: Path) -> Image.Image:
    """Return the first frame of an image file as 8-bit RGB.

    Raises one of UNDECODABLE when it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            rgb = as_rgb(image)
    except (*UNDECODABLE, MemoryError):
        raise
    except Exception as error:  # of a damaged file, Pillow raises whatever its reader ran into
        raise ValueError(f"it is damaged: {type(error).__name__}, {reason_of(error)}") from error
    if min(rgb.size) < MIN_SIDE:
        raise ValueError(f"it is only {rgb.width} x {rgb.height} pixels")
    return rgb


def as_rgb(image: Image.Image) -> Image.Image:
    """Return an opened image as 8-bit RGB, without its alpha channel.

    16-bit greys are scaled to 8 bits and rounded. Raises ValueError where the range of the pixels
    is not known: floating-point numbers, and integers of more than 16 bits.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _scaled(image, _greatest(image)).convert("RGB")
    if image.mode == "F":
        raise ValueError(
            "its pixels are floating-point numbers, whose range the file does not state: convert "
            "it to an 8-bit format"
        )
    return image.convert("RGB")


def _greatest(image: Image.Image) -> int:
    """Return the value that stands for white in a grey image of more than 8 bits."""
    if image.format == "TIFF" and image.mode != "I":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))  # type: ignore[attr-defined]
        return 2 ** int(bits[0]) - 1
    sixteen = image.mode != "I" and image.format != "FITS"  # FITS: signed, with a scale of its own
    if sixteen or image.format in _SIXTEEN_BITS:
        return 2**16 - 1
    raise ValueError(
        f"its pixels are integers whose range the file does not state ({image.format}, mode "
        f"{image.mode}): convert it to an 8-bit format"
    )


def _scaled(image: Image.Image, greatest: int) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    scaled = (values * 255 + greatest // 2) // greatest
    if scaled.min() < 0 or scaled.max() > 255:
        raise ValueError(f"its pixels are not in the range from 0 to {greatest}")
    inverted = image.format == "TIFF" and (
        image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # type: ignore[attr-defined]
    )
    return Image.fromarray((255 - scaled if inverted else scaled).astype(np.uint8))
