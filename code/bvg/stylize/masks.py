"""Silhouettes: which part of a content picture is the object, and textures that fill it."""

import numpy as np
from PIL import Image
from scipy import ndimage

WHITE = 250  # the darkest channel of a pixel of a white background, or brighter
ANGLES = tuple(range(0, 360, 36))  # degrees, of the published filled silhouettes
LEAST, MOST = 0.01, 0.99  # share of a picture that an object can have


def object_on_white(picture: np.ndarray) -> np.ndarray:
    """Return where the object is, (H, W) bool: all that no white path connects with the border.

    picture: (H, W, 3) uint8. Raises ValueError if that is everything or nothing.
    """
    return _checked(_without_outside(picture.min(axis=2) >= WHITE), "it has no white background")


def object_in_silhouette(picture: np.ndarray) -> np.ndarray:
    """Return where the object of a black-and-white picture, (H, W, 3) uint8, is, (H, W) bool.

    The background is the tone of most pixels at the border.
    Raises ValueError if there is no object, or nothing else.
    """
    light = picture.mean(axis=2) > 127
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    return _checked(light != (border.mean() > 0.5), "it is no silhouette")


def _without_outside(white: np.ndarray) -> np.ndarray:
    """Return everything but the white regions that touch the border."""
    regions, _ = ndimage.label(white)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return ~np.isin(regions, np.unique(border[border > 0]))


def _checked(inside: np.ndarray, problem: str) -> np.ndarray:
    share = inside.mean()
    if not LEAST <= share <= MOST:
        raise ValueError(f"{problem}: its object would have {100 * share:.0f} % of the pixels")
    return inside


def on_white(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a picture, (H, W, 3) uint8, on white outside of a mask, (H, W) in [0, 1]."""
    mixed = 255 + mask[..., None] * (picture.astype(np.float32) - 255)
    return np.round(mixed).astype(np.uint8)


def rotated(texture: np.ndarray, angle: int) -> np.ndarray:
    """Return a square texture, (S, S, 3) uint8, rotated about its centre, without empty corners.

    The corners show the texture reflected at its edges. angle: in degrees, counter-clockwise.
    """
    side = len(texture)
    border = int(np.ceil(side * (np.sqrt(0.5) - 0.5))) + 1
    padded = np.pad(texture, ((border, border), (border, border), (0, 0)), mode="reflect")
    turned = Image.fromarray(padded).rotate(angle, Image.Resampling.BICUBIC)
    return np.asarray(turned)[border : border + side, border : border + side]
