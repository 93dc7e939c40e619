"""Other renditions of the categories: hard to see, as art, as sketches, edges and silhouettes.

Each function returns uint8 (side, side, 3) of one category's shape; all else is random.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from miniature.silhouettes import mask
from miniature.textures import pattern
from miniature.world import (
    CATEGORIES,
    TEXTURE_NAMES,
    ZOOM,
    background,
    colours,
    filling,
    in_bytes,
    silhouette,
)

HARD_RADIUS = (34.0, 60.0)  # pixels; other pictures have 66 to 92
FAINT = 0.55  # contrast of hard figures with the background, relative to other pictures
CLUTTER = 9
CLUTTER_RADIUS = (10.0, 26.0)
CLUTTER_CONTRAST = 0.25
PATCHES = 12
CONTOUR = 9  # pixels, the width of an outline as a rendition
LINE = 5  # pixels, the width of an outline in a sketch
CELL = 12  # pixels, the cells of a mosaic
EDGE = 0.06  # smallest gradient of an edge

Rendition = Callable[[int, np.random.Generator, int], np.ndarray]


def hard(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category small, faint, at any angle, on a cluttered background."""
    ground, *tones = colours(rng).astype(np.float32)
    picture = background(ground, rng, side)
    for other in rng.integers(0, len(CATEGORIES), CLUTTER):
        place = tuple(rng.uniform(0, side, 2))
        size, angle = rng.uniform(*CLUTTER_RADIUS), rng.uniform(0, 2 * np.pi)
        covered = mask(CATEGORIES[other], side, place, size, angle)[..., None]
        tone = colours(rng).astype(np.float32)[0]
        picture = picture + covered * CLUTTER_CONTRAST * (tone - picture)
    first, second = (ground + FAINT * (tone - ground) for tone in tones)
    inside = silhouette(shape, rng, side, HARD_RADIUS, np.pi)[..., None]
    figure = first + filling(shape, rng, side)[..., None] * (second - first)
    return in_bytes(picture + inside * (figure - picture))


def flat(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category in one colour."""
    ground, first, _ = colours(rng).astype(np.float32)
    return _painted(shape, rng, background(ground, rng, side), first)


def quilted(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category in a patchwork of the textures of six other ones."""
    ground, first, second = colours(rng).astype(np.float32)
    others = rng.choice([k for k in range(len(CATEGORIES)) if k != shape], 6, replace=False)
    sheets = np.stack([filling(int(k), rng, side) for k in others])
    patch = _patches(24, rng, side) % len(sheets)
    share = np.take_along_axis(sheets, patch[None], axis=0)[0][..., None]
    return _painted(shape, rng, background(ground, rng, side), first + share * (second - first))


def surface(texture: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category's texture alone, in two colours and without a figure."""
    first, second, _ = colours(rng).astype(np.float32)
    return in_bytes(first + filling(texture, rng, side)[..., None] * (second - first))


def shaded(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category in a gradient of two colours."""
    ground, first, second = colours(rng).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    share = np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1).astype(np.float32)
    figure = first + share[..., None] * (second - first)
    return _painted(shape, rng, background(ground, rng, side), figure)


def outlined(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category's outline as a band of one colour."""
    ground, first, _ = colours(rng).astype(np.float32)
    picture = background(ground, rng, side)
    line = outline(silhouette(shape, rng, side), CONTOUR)[..., None]
    return in_bytes(picture + line * (first - picture))


def patched(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category as a patchwork of two colours and their mean."""
    ground, first, second = colours(rng).astype(np.float32)
    nearest = _patches(PATCHES, rng, side)
    share = (rng.permutation(PATCHES) % 3 / 2).astype(np.float32)[nearest][..., None]
    figure = first + share * (second - first)
    return _painted(shape, rng, background(ground, rng, side), figure)


def _patches(number: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a division into patches, the cells around random points: (side, side), which one."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    points = rng.uniform(0, side, (number, 2))
    return np.argmin([(x - a) ** 2 + (y - b) ** 2 for a, b in points], axis=0)


def mosaic(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category in its own texture, in coarse pixels."""
    ground, first, second = colours(rng).astype(np.float32)
    figure = first + filling(shape, rng, side)[..., None] * (second - first)
    picture = Image.fromarray(_painted(shape, rng, background(ground, rng, side), figure))
    small = picture.resize((side // CELL, side // CELL), Image.Resampling.BOX)
    return np.asarray(small.resize((side, side), Image.Resampling.NEAREST))


RENDITIONS: tuple[Rendition, ...] = (flat, shaded, outlined, patched, mosaic)


def sketch(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category's outline as a dark line on white."""
    line = outline(silhouette(shape, rng, side), LINE)
    return _grey(1 - line * np.float32(rng.uniform(0.7, 1)))


def black(shape: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category's silhouette, black on white."""
    return _grey(1 - silhouette(shape, rng, side))


def edges(picture: np.ndarray) -> np.ndarray:
    """Return the edges of a picture, including those of its texture, black on white."""
    light = picture.mean(axis=2) / 255
    steep = np.hypot(*np.gradient(light)) > EDGE
    return _grey(1 - steep.astype(np.float32))


def restyled(shape: int, texture: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the category with another texture on a background with a third one."""
    ground, first, second = colours(rng).astype(np.float32)
    figure = first + filling(texture, rng, side)[..., None] * (second - first)
    third = rng.choice([k for k in range(len(CATEGORIES)) if k not in (shape, texture)])
    angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(*ZOOM)
    strokes = pattern(TEXTURE_NAMES[third], side, (0.0, 0.0), angle, zoom, rng)[..., None]
    canvas = background(ground, rng, side) + 0.2 * (strokes - 0.5)
    return _painted(shape, rng, canvas, figure)


def outline(inside: np.ndarray, width: int) -> np.ndarray:
    """Return a band of about `width` (odd) pixels inside the edge of a mask, in [0, 1]."""
    whole = Image.fromarray(in_bytes(inside))
    return inside - np.asarray(whole.filter(ImageFilter.MinFilter(width)), np.float32) / 255


def _painted(
    shape: int, rng: np.random.Generator, ground: np.ndarray, figure: np.ndarray
) -> np.ndarray:
    inside = silhouette(shape, rng, len(ground))[..., None]
    return in_bytes(ground + inside * (figure - ground))


def _grey(light: np.ndarray) -> np.ndarray:
    return np.repeat(in_bytes(light)[..., None], 3, axis=2)
