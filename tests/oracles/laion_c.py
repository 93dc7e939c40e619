"""Four corruptions of LAION-C, drawn one after the other as the published program describes them.

Of shapes and lines, what Pillow draws is the definition.
"""

import math

import numpy as np
import torch
from PIL import Image, ImageDraw

Tile = np.ndarray  # (16, 16, 3) uint8


def stickers(
    image: np.ndarray, name: str, draws: torch.Generator, count: int, bank: dict[str, Tile]
) -> np.ndarray:
    """Return the image under stickers: each pixel is that of the last sticker that covers it."""
    others = [tile for other, tile in bank.items() if other != name]
    chosen = torch.randint(len(others), (count,), generator=draws).tolist()
    tops = torch.randint(len(image) - 16, (count,), generator=draws).tolist()
    lefts = torch.randint(len(image[0]) - 16, (count,), generator=draws).tolist()
    result = image.copy()
    for y in range(len(image)):
        for x in range(len(image[0])):
            for number in reversed(range(count)):
                down, right = y - tops[number], x - lefts[number]
                if 0 <= down < 16 and 0 <= right < 16:
                    result[y, x] = others[chosen[number]][down, right]
                    break
    return result


def shape(draw: ImageDraw.ImageDraw, kind: int, x: int, y: int, size: int, turn: int, fill) -> None:
    """Draw a triangle (0), a square, a star or a circle (3)."""
    if kind == 0:
        draw.polygon([(x, y), (x + size, y), (x + size / 2, y + size)], fill=fill)
    elif kind == 1:
        draw.rectangle([(x, y), (x + size, y + size)], fill=fill)
    elif kind == 2:
        corners = []
        for k in range(10):
            radius = size / 1.2 if k % 2 == 0 else size / 1.2 / 2
            angle = math.radians(36 * k + turn)
            corners.append((x + radius * math.sin(angle), y + radius * math.cos(angle)))
        draw.polygon(corners, fill=fill)
    else:
        draw.ellipse([(x, y), (x + size, y + size)], fill=fill)


def geometric_shapes(image: np.ndarray, draws: torch.Generator, count: int) -> np.ndarray:
    """Return the image under shapes, drawn one over the other."""
    kinds = torch.randint(4, (count,), generator=draws).tolist()
    columns = torch.randint(len(image[0]), (count,), generator=draws).tolist()
    rows = torch.randint(len(image), (count,), generator=draws).tolist()
    sizes = torch.randint(6, 16, (count,), generator=draws).tolist()
    colours = torch.randint(256, (count, 3), generator=draws).tolist()
    turns = torch.randint(360, (count,), generator=draws).tolist()
    canvas = Image.fromarray(image)
    for number in range(count):
        layer = canvas.copy()
        shape(
            ImageDraw.Draw(layer),
            kinds[number],
            columns[number],
            rows[number],
            sizes[number],
            turns[number],
            tuple(colours[number]),
        )
        canvas = layer
    return np.asarray(canvas)


def vertical_lines(image: np.ndarray, columns: int, step: int) -> np.ndarray:
    """Return the image as vertical lines, whose points are shifted by the brightness there."""
    height, width = image.shape[:2]
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    canvas = Image.new("RGB", (width, height), (0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    for number in range(columns):
        x = (number / columns) * width
        left, right = int(x), min(int(x + width / columns), width)
        before = (x, 0)
        for y in range(0, height, step):
            cell = (slice(y, min(y + step, height)), slice(left, right))
            pixels = image[cell].reshape(-1, 3).astype(int).tolist()
            n = max(len(pixels), 1)  # a cell without pixels is black
            colour = tuple(sum(pixel[k] for pixel in pixels) // n for k in range(3))
            brightness = sum(grey[cell].ravel().tolist()) // n
            point = (x + (1 - brightness / 255) * -40, y)
            draw.line((*before, *point), fill=colour)
            before = point
    return np.asarray(canvas)


def luminance_checkerboard(
    image: np.ndarray, draws: torch.Generator, low: float, high: float
) -> np.ndarray:
    """Return the image with tiles of 14 pixels made lighter and darker in turn."""
    rows, columns = (math.ceil(size / 14) for size in image.shape[:2])
    amounts = torch.rand((rows, columns), generator=draws).tolist()
    result = image.copy()
    for y in range(len(image)):
        for x in range(len(image[0])):
            amount = low + (high - low) * amounts[y // 14][x // 14]
            sign = -1 if (y // 14 + x // 14) % 2 else 1
            for channel in range(3):
                value = int(image[y, x, channel]) + sign * amount
                result[y, x, channel] = int(min(max(value, 0), 255))
    return result
