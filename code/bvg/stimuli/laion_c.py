"""Four of the six corruptions of LAION-C: those that can be made from the images themselves.

Source: Li, Klein, Brendel, Geirhos & Zimmermann, "LAION-C: An Out-of-Distribution Benchmark for
Web-Scale Vision Models", ICML 2025, and the program published with it (distortions/
apply_distortions.py in https://github.com/FanfeiLi/LAION-C). tests/oracles/laion_c.py is the
definition, pixel by pixel; docs/fidelity.md lists what differs from the program.

They are made on the CPU from 8-bit pixels, so that a GPU gets the very same images. What is random
is keyed by (seed, condition, image).
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import cos, radians, sin

import numpy as np
import torch
from PIL import Image, ImageDraw

from bvg.data.laion_c import Stickers
from bvg.stimuli.batch import Batch, pixels_of
from bvg.stimuli.randomness import keyed_generator

# (H, W, 3) uint8, the image's name and its random generator → (H, W, 3) uint8.
Corruption = Callable[[np.ndarray, str, torch.Generator], np.ndarray]
Colour = tuple[int, ...]

# The published program's constants, in pixels and levels of 0 … 255.
SIZES = (6, 16)  # of shapes, from … to below
SHIFT = -40  # of a vertical line where the image is black
TILE = 14  # of the checkerboard
POINTS, STAR = 5, 1.2  # points of a star, and its size / outer radius


def corrupted(
    batch: Batch, corruptions: Mapping[str, Corruption]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the images under each condition, (B, 3, H, W) in [0, 1] with values k / 255.

    corruptions: by condition.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for condition, corrupt in corruptions.items():
            draws = [keyed_generator(batch.seed, condition, name) for name in batch.names]
            made = np.stack([*threads.map(corrupt, batch.levels, batch.names, draws)])
            yield condition, pixels_of(made, batch.pixels.device)


def stickers(count: int, bank: Stickers) -> Corruption:
    """Return the corruption by `count` stickers, shrunken other images, at random places.

    Stickers and places are drawn with replacement; later stickers cover earlier ones.
    """
    return partial(_stuck, count=count, bank=bank)


def _stuck(
    image: np.ndarray, name: str, draws: torch.Generator, count: int, bank: Stickers
) -> np.ndarray:
    side, total = bank.tiles.shape[1], len(bank.names)
    own = bank.names.index(name) if name in bank.names else total
    chosen = torch.randint(total - (own < total), (count,), generator=draws)
    chosen += chosen >= own  # any but its own
    height, width = image.shape[:2]
    tops = torch.randint(height - side, (count,), generator=draws).tolist()
    lefts = torch.randint(width - side, (count,), generator=draws).tolist()
    result = image.copy()
    for tile, top, left in zip(bank.tiles[chosen.numpy()], tops, lefts, strict=True):
        result[top : top + side, left : left + side] = tile
    return result


def geometric_shapes(count: int) -> Corruption:
    """Return the corruption by `count` triangles, squares, stars and circles of random colours.

    Later shapes cover earlier ones.
    """
    return partial(_with_shapes, count=count)


def _with_shapes(image: np.ndarray, _name: str, draws: torch.Generator, count: int) -> np.ndarray:
    height, width = image.shape[:2]
    kinds = torch.randint(len(SHAPES), (count,), generator=draws).tolist()
    x = torch.randint(width, (count,), generator=draws).tolist()
    y = torch.randint(height, (count,), generator=draws).tolist()
    sizes = torch.randint(*SIZES, (count,), generator=draws).tolist()
    colours = torch.randint(256, (count, 3), generator=draws).tolist()
    turns = torch.randint(360, (count,), generator=draws).tolist()
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    for number, kind in enumerate(kinds):
        colour = tuple(colours[number])
        SHAPES[kind](draw, x[number], y[number], sizes[number], colour, turns[number])
    return np.asarray(canvas)


def _triangle(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, fill: Colour, _: int) -> None:
    draw.polygon([(x, y), (x + size, y), (x + size / 2, y + size)], fill=fill)


def _square(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, fill: Colour, _: int) -> None:
    draw.rectangle((x, y, x + size, y + size), fill=fill)


def _star(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, fill: Colour, turn: int) -> None:
    """Draw a star around (x, y), turned by so many degrees; its inner corners are half as far."""
    corners = []
    for k in range(2 * POINTS):
        angle = radians(k * 180 / POINTS + turn)
        radius = size / STAR / (1 + k % 2)
        corners.append((x + radius * sin(angle), y + radius * cos(angle)))
    draw.polygon(corners, fill=fill)


def _circle(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, fill: Colour, _: int) -> None:
    draw.ellipse((x, y, x + size, y + size), fill=fill)


SHAPES = (_triangle, _square, _star, _circle)


def vertical_lines(columns: int, step: int) -> Corruption:
    """Return the corruption that draws the image as vertical lines on black.

    A line in each of so many columns, with a point every `step` pixels, which is shifted to the
    left the more, the darker the image is there; later lines cover earlier ones.
    """
    return partial(_lined, columns=columns, step=step)


def _lined(
    image: np.ndarray, _name: str, _draws: torch.Generator, columns: int, step: int
) -> np.ndarray:
    height, width = image.shape[:2]
    x = np.arange(columns) / columns * width
    left = x.astype(int)
    end = np.minimum((x + width / columns).astype(int), width)
    top = np.arange(0, height, step)
    grey = np.asarray(Image.fromarray(image).convert("L"))
    means = _cell_means(np.dstack([image, grey]), top, left, end, step)
    ends = x + (1 - means[..., 3] / 255) * SHIFT
    starts = np.vstack([x, ends[:-1]])
    above = np.maximum(top - step, 0)
    # Line by line, and each from the top down; Pillow truncates coordinates.
    x0, x1 = (places.T.ravel().astype(int) for places in (starts, ends))
    y0, y1 = (np.tile(rows, columns) for rows in (above, top))
    colours = means[..., :3].swapaxes(0, 1).reshape(-1, 3).astype(np.uint8)
    down, right, number = line_pixels(x0, y0, x1, y1)
    inside = right >= 0  # all other lines stay within the image
    result = np.zeros_like(image)
    # Of pixels that several lines cross, NumPy keeps the last.
    result[down[inside], right[inside]] = colours[number[inside]]
    return result


def _cell_means(
    values: np.ndarray, top: np.ndarray, left: np.ndarray, right: np.ndarray, step: int
) -> np.ndarray:
    """Return the means of the cells of a raster, rounded down: (rows, columns, channels).

    An empty cell, of an image with fewer columns than lines, has 0.

    top: where rows of cells begin, each `step` high or to the end; left, right: of the columns.
    """
    bottom = np.minimum(top + step, len(values))
    sums = np.pad(values.astype(np.int64), ((1, 0), (1, 0), (0, 0))).cumsum(0).cumsum(1)
    down = sums[bottom] - sums[top]
    area = (bottom - top)[:, None] * (right - left)
    return (down[:, right] - down[:, left]) // np.maximum(area, 1)[..., None]


def line_pixels(
    x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns and the line's number of all pixels of straight lines, ends included.

    x0, y0, x1, y1: (N,) whole numbers. The lines are Bresenham's, as Pillow draws them.
    """
    dx, dy = np.abs(x1 - x0), np.abs(y1 - y0)
    long, short = np.maximum(dx, dy), np.minimum(dx, dy)
    number = np.repeat(np.arange(len(x0)), long + 1)
    first = np.cumsum(long + 1) - (long + 1)
    along = np.arange(len(number)) - first[number]
    # Rounded to the nearest pixel, up at one half; a line of one pixel goes nowhere.
    length = np.maximum(long, 1)[number]
    across = (2 * short[number] * along + length) // (2 * length)
    flat = (dx > dy)[number]
    columns = x0[number] + np.sign(x1 - x0)[number] * np.where(flat, along, across)
    rows = y0[number] + np.sign(y1 - y0)[number] * np.where(flat, across, along)
    return rows, columns, number


def luminance_checkerboard(low: float, high: float) -> Corruption:
    """Return the corruption that makes the tiles of a checkerboard lighter and darker in turn.

    Each by another number of levels, uniformly drawn between `low` and `high`.
    """
    return partial(_checkered, low=low, high=high)


def _checkered(
    image: np.ndarray, _name: str, draws: torch.Generator, low: float, high: float
) -> np.ndarray:
    height, width = image.shape[:2]
    rows, columns = -(-height // TILE), -(-width // TILE)
    levels = low + (high - low) * torch.rand((rows, columns), generator=draws).numpy()
    odd = np.add.outer(np.arange(rows), np.arange(columns)) % 2
    tiles = np.where(odd, -levels, levels)
    change = tiles.repeat(TILE, axis=0).repeat(TILE, axis=1)[:height, :width, None]
    return np.clip(image + change, 0, 255).astype(np.uint8)  # truncated, as published
