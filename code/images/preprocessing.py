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
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    keep_ready: bool = False

    def is_ready(self, image: Image.Image) -> bool:
        """Return whether the image is used as it is."""
        return self.keep_ready and image.size == (self.crop, self.crop)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the crop, (crop, crop, 3) uint8 RGB, as torchvision makes it with Pillow."""
        if not self.is_ready(image):
            mode = InterpolationMode(self.interpolation)
            image = Compose([Resize(self.resize, mode), CenterCrop(self.crop)])(image)
        return np.asarray(image)

    def describe(self) -> dict[str, object]:
        """Return the parameters, for the record."""
        return asdict(self)


# The study's protocol for every model (Gavrikov & Keuper, CVPR 2024), whatever its own is.
STUDY = Preprocessing()
# For stimuli that were published at 224 px.
READY_224 = Preprocessing(keep_ready=True)
