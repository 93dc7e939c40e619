"""Suppressed cues as the paper and its published code define them: one image, tile by tile.

Of the filters (bilateral, Gaussian, non-local means), OpenCV itself is the definition.
"""

from collections.abc import Sequence

import cv2
import numpy as np

SPACE = 75
WINDOWS = {"templateWindowSize": 14, "searchWindowSize": 21}

Tile = tuple[int, int, int, int]  # top, left, bottom, right


def tiles(size: int, grid: int) -> list[Tile]:
    """Return the tiles of a square image in reading order, as albumentations 1.4.1 cuts it."""
    edges = [int(edge) for edge in np.linspace(0, size, grid + 1, dtype=np.int32)]
    found = []
    for row in range(grid):
        for column in range(grid):
            found.append((edges[row], edges[column], edges[row + 1], edges[column + 1]))
    return found


def shape(tile: Tile) -> tuple[int, int]:
    """Return a tile's height and width."""
    top, left, bottom, right = tile
    return bottom - top, right - left


def shuffled(image: np.ndarray, grid: int, order: Sequence[int]) -> np.ndarray:
    """Return the image that shows tile order[i] in the place of tile i; of its own size only."""
    places = tiles(len(image), grid)
    assert sorted(order) == list(range(len(places)))
    result = np.zeros_like(image)
    for place, source in zip(places, (places[index] for index in order), strict=True):
        assert shape(place) == shape(source)
        for row in range(shape(place)[0]):
            for column in range(shape(place)[1]):
                pixel = image[source[0] + row, source[1] + column]
                result[place[0] + row, place[1] + column] = pixel
    return result


def rotated(image: np.ndarray, grid: int, turns: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the image whose tiles are turned anticlockwise by as many right angles as given."""
    size = len(image)
    fitted = image
    larger = size
    while larger % grid:
        larger += 1
    if larger != size:
        fitted = cv2.resize(image, (larger, larger), interpolation=cv2.INTER_LINEAR)
    result = fitted.copy()
    side = larger // grid
    for row in range(grid):
        for column in range(grid):
            for _ in range(turns[row][column]):
                quarter_turn(result, row * side, column * side, side)
    if larger != size:
        result = cv2.resize(result, (size, size), interpolation=cv2.INTER_LINEAR)
    return result


def quarter_turn(image: np.ndarray, top: int, left: int, side: int) -> None:
    """Turn a square by 90° anticlockwise in place: its right column becomes its upper row."""
    before = image[top : top + side, left : left + side].copy()
    for row in range(side):
        for column in range(side):
            image[top + row, left + column] = before[column, side - 1 - row]


def grey(image: np.ndarray) -> np.ndarray:
    """Return (H, W) greys, 0.299 R + 0.587 G + 0.114 B in OpenCV's 15 bits."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (9798 * red + 19235 * green + 3735 * blue + 2**14) // 2**15


def blended(image: np.ndarray, alpha: float) -> np.ndarray:
    """Return the image with `alpha` parts of its greys, in single precision, truncated."""
    one = np.float32
    result = np.zeros_like(image)
    greys = grey(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            level = one(greys[row, column]) / one(255)
            for channel in range(3):
                own = one(image[row, column, channel]) / one(255)
                mixed = one(1 - alpha) * own + one(alpha) * level
                result[row, column, channel] = int(min(max(mixed * one(255), 0), 255))
    return result


def bilateral(image: np.ndarray, diameter: int, sigma: float) -> np.ndarray:
    """Return the image after OpenCV's bilateral filter."""
    return cv2.bilateralFilter(src=image, d=diameter, sigmaColor=sigma, sigmaSpace=SPACE)


def gaussian(image: np.ndarray, width: int, sigma: float) -> np.ndarray:
    """Return the image after OpenCV's Gaussian blur."""
    return cv2.GaussianBlur(src=image, ksize=(width, width), sigmaX=sigma)


def nl_means(image: np.ndarray, h: float) -> np.ndarray:
    """Return the image after OpenCV's non-local means on all three channels at once."""
    return cv2.fastNlMeansDenoising(src=image, h=h, **WINDOWS)
