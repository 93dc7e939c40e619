"""The miniature world: sixteen categories, each with its own shape and its own texture.

A picture is a silhouette filled with a texture on a smooth background. Position, size, rotation,
phase and all colours are random and independent of the category, which only shape and texture
reveal; these can be combined freely. A picture only depends on its key (seed, split, shape,
texture, number), so any part of the world can be drawn in any order, by any number of workers.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from miniature.silhouettes import REACH, SILHOUETTES, mask
from miniature.textures import TEXTURES, pattern

VERSION = 1
"""Part of every key and of world.json; must be increased with any change of pixels."""

SIDE = 224
VAL_BORDER = 16
"""Border of a validation picture in pixels, which the study's Resize(256) + CenterCrop(224) removes
from the 256-pixel file. What remains has the scale of the training pictures."""
CATEGORIES: tuple[str, ...] = tuple(SILHOUETTES)
TEXTURE_NAMES: tuple[str, ...] = tuple(TEXTURES)
CONFLICT_INSTANCES = 5  # pictures of a shape in a texture in the cue-conflict set

RADIUS = (66.0, 92.0)  # of the unit frame, pixels
TURN = np.pi / 3  # largest rotation of the shape in either direction
ZOOM = (0.92, 1.08)  # of the texture
MARGIN = 2.0  # smallest distance between the shape and the border, pixels
HUE_JITTER = 0.07
SATURATION = (0.06, 0.2)
LIGHTNESS = (0.25, 0.5, 0.75)
LIGHTNESS_JITTER = 0.05
BACKGROUND_CELLS = 5
BACKGROUND_CONTRAST = 0.05


class Picture(NamedTuple):
    """The shape and texture of a picture, indices into `CATEGORIES`, and its number from 1."""

    shape: int
    texture: int
    number: int


def generator(seed: int, split: str, picture: Picture) -> np.random.Generator:
    """Return the random generator of a picture, the same on every machine and in every order."""
    key = f"{VERSION}/{seed}/{split}/{picture.shape}/{picture.texture}/{picture.number}"
    digest = hashlib.sha256(key.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def colours(rng: np.random.Generator) -> np.ndarray:
    """Return three colours (3, 3) in [0, 1] that differ in hue and in lightness.

    Which of them is light or dark is random, so that lightness does not distinguish figure and
    background.
    """
    hue = rng.random() + np.arange(3) / 3 + rng.uniform(-HUE_JITTER, HUE_JITTER, 3)
    light = rng.permutation(LIGHTNESS) + rng.uniform(-LIGHTNESS_JITTER, LIGHTNESS_JITTER, 3)
    saturation = rng.uniform(*SATURATION, 3)
    turn = 2 * np.pi * (hue[:, None] - np.arange(3) / 3)
    return light[:, None] + saturation[:, None] * np.cos(turn)


def background(colour: np.ndarray, rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """Return a smooth, low-contrast background of the colour (3,): float32 (side, side, 3)."""
    cells = (BACKGROUND_CELLS, BACKGROUND_CELLS)
    # Half a cell from the border, where the interpolation has neighbours on all sides.
    inner = (0.5, 0.5, BACKGROUND_CELLS - 0.5, BACKGROUND_CELLS - 0.5)
    bands = []
    for level in colour:
        noise = rng.normal(level, BACKGROUND_CONTRAST, cells).astype(np.float32)
        band = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC, box=inner)
        bands.append(np.asarray(band))
    return np.stack(bands, axis=-1)


def place(
    rng: np.random.Generator,
    side: int,
    radius: tuple[float, float] = RADIUS,
    turn: float = TURN,
) -> tuple[float, tuple[float, float], float]:
    """Return a random size, centre (x, y) and turn of a shape, in pixels and radians.

    `radius` is the range of its size; it is turned by up to `turn` either way.
    """
    size = rng.uniform(*radius)
    play = SIDE / 2 - size * REACH - MARGIN
    x, y = side / 2 + rng.uniform(-play, play, 2)
    return size, (x, y), rng.uniform(-turn, turn)


def silhouette(
    shape: int,
    rng: np.random.Generator,
    side: int,
    radius: tuple[float, float] = RADIUS,
    turn: float = TURN,
) -> np.ndarray:
    """Return the mask of a category's shape at a random position: float32 (side, side) in [0, 1].

    `radius` is the range of its size, in pixels; it is rotated by up to `turn` in either direction.
    """
    size, centre, angle = place(rng, side, radius, turn)
    return mask(CATEGORIES[shape], side, centre, size, angle)


def filling(texture: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a category's texture at a random phase and angle: float32 (side, side) in [0, 1]."""
    across, along = rng.uniform(0, 1000, 2)
    angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(*ZOOM)
    return pattern(TEXTURE_NAMES[texture], side, (across, along), angle, zoom, rng)


def in_bytes(picture: np.ndarray) -> np.ndarray:
    """Return the uint8 pixels of floats, clipped to [0, 1]."""
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def draw(shape: int, texture: int, rng: np.random.Generator, border: int = 0) -> np.ndarray:
    """Return a picture of one category's shape in one category's texture.

    uint8 (224, 224, 3) RGB, plus `border` pixels on each side. `shape` and `texture` are indices
    into `CATEGORIES`; raises IndexError for others.
    """
    side = SIDE + 2 * border
    ground, first, second = colours(rng).astype(np.float32)
    picture = background(ground, rng, side)
    inside = silhouette(shape, rng, side)[..., None]
    figure = first + filling(texture, rng, side)[..., None] * (second - first)
    return in_bytes(picture + inside * (figure - picture))


def render(seed: int, split: str, picture: Picture, border: int = 0) -> np.ndarray:
    """Return a picture: uint8 (224 + 2 border, 224 + 2 border, 3)."""
    return draw(picture.shape, picture.texture, generator(seed, split, picture), border)


def size_and_turn(seed: int, split: str, picture: Picture, border: int = 0) -> tuple[float, float]:
    """Return how large the shape in the picture of that key is, in pixels, and its turn."""
    rng, side = generator(seed, split, picture), SIDE + 2 * border
    background(colours(rng)[0], rng, side)  # drawn before the shape
    size, _, angle = place(rng, side)
    return size, angle


def matched(per_class: int) -> Iterator[Picture]:
    """Yield `per_class` pictures of each category, with its shape and its texture."""
    for k in range(len(CATEGORIES)):
        for number in range(1, per_class + 1):
            yield Picture(k, k, number)


def texture_randomised(per_class: int) -> Iterator[Picture]:
    """Yield `per_class` pictures of each shape, with all sixteen textures equally often."""
    for k in range(len(CATEGORIES)):
        for number in range(1, per_class + 1):
            yield Picture(k, (k + number) % len(CATEGORIES), number)


def shape_randomised(per_class: int) -> Iterator[Picture]:
    """Yield `per_class` pictures of each texture, with all sixteen shapes equally often."""
    for picture in texture_randomised(per_class):
        yield Picture(picture.texture, picture.shape, picture.number)


def half_randomised(per_class: int) -> Iterator[Picture]:
    """Yield `per_class` pictures of each shape, half with its own texture and half with any."""
    yield from matched(per_class // 2)
    yield from texture_randomised(per_class - per_class // 2)


def cue_conflict(instances: int) -> Iterator[Picture]:
    """Yield `instances` pictures of every shape with every texture, including its own."""
    for shape in range(len(CATEGORIES)):
        for texture in range(len(CATEGORIES)):
            for number in range(1, instances + 1):
                yield Picture(shape, texture, number)
