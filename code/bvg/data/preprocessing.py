"""From an image file to 8-bit RGB, and from that to the square crop that a model sees.

Decoding follows torchvision's rule, `Image.open(path).convert("RGB")`, except for pixels of more
than 8 bits, which Pillow clips instead of scaling. docs/fidelity.md has a table of all formats.

Resizing and cropping follow torchvision's Resize and CenterCrop for Pillow's images. torchvision
itself is not imported: that takes as long as importing PyTorch, in every script and worker.
"""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from bvg.errors import reason_of

MIN_SIDE = 8  # pixels; smaller files are placeholders, not photographs

# What `decode` raises for files that cannot be decoded.
UNDECODABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

# Formats that Pillow recognises but cannot decode by itself: documents, videos, scientific data.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}
# Formats in which mode I means 16 bits; in others the mode does not determine the range.
_SIXTEEN_BITS = {"PNG", "PPM"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF tags and a value


@cache
def image_endings() -> frozenset[str]:
    """Return the file endings (lower case, with the dot) of the formats that Pillow decodes."""
    formats = Image.registered_extensions()
    decoded = {ending for ending, name in formats.items() if name in Image.OPEN}
    containers = {ending for ending, name in formats.items() if name in _NOT_DECODED}
    return frozenset(decoded - containers | {".mpo"})  # several JPEGs, which Pillow opens as one


def decode(path: Path | BinaryIO) -> Image.Image:
    """Return the first frame of an image file, or of an opened one, as 8-bit RGB.

    Raises one of UNDECODABLE when it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            rgb = as_rgb(image)
    except (*UNDECODABLE, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise any kind of error for damaged files
        raise ValueError(f"it is damaged: {type(error).__name__}, {reason_of(error)}") from error
    if min(rgb.size) < MIN_SIDE:
        raise ValueError(f"it is only {rgb.width} x {rgb.height} pixels")
    return rgb


def as_rgb(image: Image.Image) -> Image.Image:
    """Return an opened image as 8-bit RGB, without its alpha channel.

    16-bit greys are scaled to 8 bits and rounded. Raises ValueError if the range of the pixels is
    unknown: floating-point numbers, and integers of more than 16 bits.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _scaled(image, _white_value(image)).convert("RGB")
    if image.mode == "F":
        raise ValueError(
            "its pixels are floating-point numbers, whose range the file does not state: convert "
            "it to an 8-bit format"
        )
    if image.format == "JPEG" and image.mode == "RGB":
        image.load()  # what convert does, without its copy
        return image
    return image.convert("RGB")


def _white_value(image: Image.Image) -> int:
    """Return the value of white in a grey image of more than 8 bits."""
    if image.format == "TIFF" and image.mode != "I":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))  # type: ignore[attr-defined]
        return 2 ** int(bits[0]) - 1
    sixteen_bits = image.mode != "I" and image.format != "FITS"  # FITS is signed and has a scale
    if sixteen_bits or image.format in _SIXTEEN_BITS:
        return 2**16 - 1
    raise ValueError(
        f"its pixels are integers whose range the file does not state ({image.format}, mode "
        f"{image.mode}): convert it to an 8-bit format"
    )


def _scaled(image: Image.Image, white: int) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    scaled = (values * 255 + white // 2) // white
    if scaled.min() < 0 or scaled.max() > 255:
        raise ValueError(f"its pixels are not in the range from 0 to {white}")
    inverted = image.format == "TIFF" and (
        image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # type: ignore[attr-defined]
    )
    return Image.fromarray((255 - scaled if inverted else scaled).astype(np.uint8))


@dataclass(frozen=True)
class Preprocessing:
    """Resize the shorter side to `resize` pixels, then take the central `crop` x `crop` pixels.

    keep_ready: use images of `crop` x `crop` pixels unchanged (stimuli that were made at 224 px
    must not be resized again).
    square_first: take the central square of the photograph first, and resize that to `resize`
    pixels.
    squash: resize the whole photograph to `crop` x `crop` pixels instead, out of proportion:
    "opencv" (bilinear without antialiasing) or "pillow" (`interpolation` with antialiasing).
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    keep_ready: bool = False
    square_first: bool = False
    squash: str = ""

    def is_ready(self, image: Image.Image) -> bool:
        """Return whether the image is used unchanged."""
        return self.keep_ready and image.size == (self.crop, self.crop)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the crop, (crop, crop, 3) uint8 RGB, as torchvision makes it with Pillow."""
        size, resample = (self.crop, self.crop), Image.Resampling[self.interpolation.upper()]
        if self.squash == "opencv":
            return cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_LINEAR)
        if self.squash == "pillow":
            return np.asarray(image.resize(size, resample))
        if not self.is_ready(image):
            if self.square_first:
                image = _central(image, min(image.size))
            shorter = min(image.size)
            whole = [int(self.resize * side / shorter) for side in image.size]
            image = _central(image.resize((whole[0], whole[1]), resample), self.crop)
        return np.asarray(image)

    def describe(self) -> dict[str, object]:
        """Return the parameters, for the record.

        `square_first` and `squash` only if they are set, so that results recorded before they
        existed still match.
        """
        later = ("square_first", "squash")
        return {name: value for name, value in asdict(self).items() if value or name not in later}


def _central(image: Image.Image, side: int) -> Image.Image:
    """Return the central square of `side` pixels; what lies outside the image is black."""
    left, top = (_margin(length, side) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _margin(length: int, side: int) -> int:
    """Return where the centre begins, by torchvision's rounding; below 0 outside the image."""
    return round((length - side) / 2) if length >= side else -((side - length) // 2)


# The study's preprocessing for all models (Gavrikov & Keuper, CVPR 2024).
STUDY = Preprocessing()
# For stimuli that were published at 224 px.
READY_224 = Preprocessing(keep_ready=True)
# The preprocessing of the attacks in ood-benchmarks (Orhan).
SQUARE_224 = Preprocessing(resize=224, interpolation="bicubic", square_first=True)
# The whole photograph, by the library that resizes it.
SQUASHED_224 = {name: Preprocessing(resize=224, squash=name) for name in ("opencv", "pillow")}
