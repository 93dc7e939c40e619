"""Suppressed cues as the paper and its published code define them: one image, tile by tile.

Of the filters (bilateral, Gaussian, non-local means), OpenCV itself is the definition.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch

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
        top, left, bottom, right = source
        result[place[0] : place[2], place[1] : place[3]] = image[top:bottom, left:right]
    return result


def drawn_order(size: int, grid: int, draws: torch.Generator) -> list[int]:
    """Return an order of the tiles in which only tiles of one shape change places.

    The shapes' permutations are drawn one after the other, the least high and then the least wide
    first.
    """
    shapes = [shape(tile) for tile in tiles(size, grid)]
    order = [-1] * len(shapes)
    for wanted in sorted(set(shapes)):
        alike = [index for index, found in enumerate(shapes) if found == wanted]
        for place, choice in zip(alike, torch.randperm(len(alike), generator=draws), strict=True):
            order[place] = alike[int(choice)]
    return order


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
        image[top + row, left : left + side] = before[:, side - 1 - row]


def grey(image: np.ndarray) -> np.ndarray:
    """Return (H, W) greys, 0.299 R + 0.587 G + 0.114 B in OpenCV's 15 bits."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (9798 * red + 19235 * green + 3735 * blue + 2**14) // 2**15


def blended(image: np.ndarray, alpha: float) -> np.ndarray:
    """Return the image with `alpha` parts of its greys, in single precision, truncated."""
    one = np.float32
    greys = grey(image).astype(one) / one(255)
    result = np.zeros_like(image)
    for channel in range(3):
        own = image[..., channel].astype(one) / one(255)
        mixed = one(1 - alpha) * own + one(alpha) * greys
        result[..., channel] = np.floor((mixed * one(255)).clip(0, 255))
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


def of_condition(
    image: np.ndarray, condition: str, draws_of: Callable[[str], torch.Generator]
) -> np.ndarray:
    """Return the square image under a condition such as "bilateral/12/170+patch_shuffle/4".

    draws_of: the random generator of a step, by its name.
    """
    if condition == "original":
        return image
    for step in condition.split("+"):
        kind, *parameters = step.split("/")
        numbers = [float(text) if "." in text else int(text) for text in parameters]
        draws = draws_of(step)
        if kind == "patch_shuffle":
            (grid,) = numbers
            image = shuffled(image, grid, drawn_order(len(image), grid, draws))
        elif kind == "patch_rotation":
            (grid,) = numbers
            turns = torch.randint(4, (grid, grid), generator=draws).tolist()
            image = rotated(image, grid, turns)
        elif kind == "channel_shuffle":
            image = image[..., torch.randperm(3, generator=draws).tolist()]
        else:
            image = FILTERS[kind](image, *numbers)
    return image


FILTERS: dict[str, Callable[..., np.ndarray]] = {
    "bilateral": bilateral,
    "gaussian": gaussian,
    "nl_means": nl_means,
    "greyscale": blended,
}
