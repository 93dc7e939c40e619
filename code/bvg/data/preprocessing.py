"""From a decoded photograph to the square crop that a model sees."""

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize


@dataclass(frozen=True)
class Preprocessing:
    """Shorter side to `resize` pixels, then the central `crop` x `crop` pixels.

    keep_ready: leave an image that is already `crop` x `crop` pixels as it is (stimuli that were
    made at 224 px must not be resized again).
    square_first: take the central square of the photograph, and resize that to `resize` pixels.
    squash: resize height and width to `crop` pixels whatever the proportions, instead: "opencv"
    (cv2.resize, bilinear without antialiasing) or "pillow" (`interpolation`, with antialiasing).
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    keep_ready: bool = False
    square_first: bool = False
    squash: str = ""

    def is_ready(self, image: Image.Image) -> bool:
        """Return whether the image is used as it is."""
        return self.keep_ready and image.size == (self.crop, self.crop)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the crop, (crop, crop, 3) uint8 RGB, as torchvision makes it with Pillow."""
        size = (self.crop, self.crop)
        if self.squash == "opencv":
            return cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_LINEAR)
        mode = InterpolationMode(self.interpolation)
        if self.squash == "pillow":
            return np.asarray(Resize(size, mode)(image))
        if not self.is_ready(image):
            if self.square_first:
                image = CenterCrop(min(image.size))(image)
            image = Compose([Resize(self.resize, mode), CenterCrop(self.crop)])(image)
        return np.asarray(image)

    def describe(self) -> dict[str, object]:
        """Return the parameters, for the record; `square_first`, `squash` only where they are used.

        So results that were recorded before there was such a choice are still the same ones.
        """
        chosen = {name: getattr(self, name) for name in ("square_first", "squash")}
        return {name: value for name, value in asdict(self).items() if chosen.get(name, True)}


# The study's protocol for every model (Gavrikov & Keuper, CVPR 2024), whatever its own is.
STUDY = Preprocessing()
# For stimuli that were published at 224 px.
READY_224 = Preprocessing(keep_ready=True)
# What ood-benchmarks (Orhan) shows its attacked models.
SQUARE_224 = Preprocessing(resize=224, interpolation="bicubic", square_first=True)
# Whole photographs, out of proportion; by the library that resizes them.
SQUASHED_224 = {name: Preprocessing(resize=224, squash=name) for name in ("opencv", "pillow")}
