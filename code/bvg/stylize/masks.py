"""Silhouettes: which part of a content picture is the object, and textures that fill it."""

import numpy as np
from PIL import Image
from scipy import ndimage

WHITE = 250  # a pixel is white if all channels are at least this
HIGHLIGHT = 0.001  # share of the picture below which an enclosed white region is the object's
ANGLES = tuple(range(0, 360, 36))  # degrees, of the published filled silhouettes
LEAST, MOST = 0.01, 0.99  # share of a picture that an object can have


def object_on_white(picture: np.ndarray) -> np.ndarray:
    """Return where the object is, (H, W) bool: all that is not white, and highlights in it.

    picture: (H, W, 3) uint8. A white region away from the border is a highlight if it is smaller
    than HIGHLIGHT, else a hole. Raises ValueError if the object is everything or nothing.
    """
    white = picture.min(axis=2) >= WHITE
    regions, _ = ndimage.label(white)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    is_small = np.bincount(regions.ravel()) < HIGHLIGHT * white.size
    is_small[np.unique(border)] = False
    inside = ~white | is_small[regions]
    return _checked(inside, "it has no white background, so give silhouettes with --masks")


def object_in_silhouette(picture: np.ndarray) -> np.ndarray:
    """Return where the object of a black-and-white picture, (H, W, 3) uint8, is, (H, W) bool.

    The background is the tone of most pixels at the border.
    Raises ValueError if there is no object, or nothing else.
    """
    light = picture.mean(axis=2) > 127
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    return _checked(light != (border.mean() > 0.5), "it is no silhouette")


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
