"""From a decoded photograph to the square crop that a model sees."""

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize


@dataclass(frozen=True)
class Preprocessing:
    """Shorter side to `resize` pixels, then the central `crop` x `crop` pixels.

    keep_ready: leave an image that is already `crop` x `crop` pixels as it is (stimuli that were
    made at 224 px must not be resized again).
    square_first: take the central square of the photograph, and resize that to `resize` pixels.
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    keep_ready: bool = False
    square_first: bool = False

    def is_ready(self, image: Image.Image) -> bool:
        """Return whether the image is used as it is."""
        return self.keep_ready and image.size == (self.crop, self.crop)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the crop, (crop, crop, 3) uint8 RGB, as torchvision makes it with Pillow."""
        if not self.is_ready(image):
            mode = InterpolationMode(self.interpolation)
            if self.square_first:
                image = CenterCrop(min(image.size))(image)
            image = Compose([Resize(self.resize, mode), CenterCrop(self.crop)])(image)
        return np.asarray(image)

    def describe(self) -> dict[str, object]:
        """Return the parameters, for the record; `square_first` only where it is used.

        So results that were recorded before there was such a choice are still the same ones.
        """
        parameters = asdict(self)
        if not self.square_first:
            del parameters["square_first"]
        return parameters


# The study's protocol for every model (Gavrikov & Keuper, CVPR 2024), whatever its own is.
STUDY = Preprocessing()
# For stimuli that were published at 224 px.
READY_224 = Preprocessing(keep_ready=True)
# What ood-benchmarks (Orhan) shows its attacked models.
SQUARE_224 = Preprocessing(resize=224, interpolation="bicubic", square_first=True)
