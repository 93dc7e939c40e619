"""The sixteen shapes: polygons in a unit frame, and their antialiased masks.

A silhouette is a tuple of parts drawn in order, each a polygon that is added to the shape or cut
from it. x points right and y down; every shape fits into the disc of radius `REACH`.
"""

import numpy as np
from PIL import Image, ImageDraw

Part = tuple[np.ndarray, bool]
"""Vertices (n, 2) in the unit frame, and whether the polygon adds (True) or cuts (False)."""

REACH = 1.1
SUPERSAMPLING = 4
CURVE_POINTS = 64


def _polygon(*points: tuple[float, float]) -> Part:
    return np.array(points), True


def _box(left: float, top: float, right: float, bottom: float) -> Part:
    return _polygon((left, top), (right, top), (right, bottom), (left, bottom))


def _ellipse(x: float, y: float, a: float, b: float, adds: bool = True) -> Part:
    t = np.linspace(0, 2 * np.pi, CURVE_POINTS, endpoint=False)
    return np.stack([x + a * np.cos(t), y + b * np.sin(t)], axis=1), adds


def _arrow() -> Part:
    right = [(0.0, -1.05), (0.85, -0.1), (0.34, -0.1), (0.34, 0.95)]
    return _polygon(*right, *[(-x, y) for x, y in right[:0:-1]])


def _bolt() -> Part:
    upper = [(0.45, -1.0), (-0.15, -1.0), (-0.7, 0.2), (-0.1, 0.2)]
    lower = [(-0.4, 1.0), (0.7, -0.3), (0.15, -0.3)]
    return _polygon(*upper, *lower)


def _heart() -> Part:
    t = np.linspace(0, 2 * np.pi, CURVE_POINTS, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y - 2.5], axis=1) / 16.6, True


def _hourglass() -> Part:
    right = [(0.68, -0.86), (0.16, 0.0), (0.68, 0.86)]
    return _polygon(*right, *[(-x, y) for x, y in right[::-1]])


def _star() -> Part:
    t = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.05, 0.44)
    return np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1), True


def _wave() -> Part:
    x = np.linspace(-0.9, 0.9, CURVE_POINTS)
    middle = 0.36 * np.sin(x / 0.9 * 1.5 * np.pi)
    upper = np.stack([x, middle - 0.27], axis=1)
    lower = np.stack([x, middle + 0.27], axis=1)
    return np.concatenate([upper, lower[::-1]]), True


SILHOUETTES: dict[str, tuple[Part, ...]] = {
    "arrow": (_arrow(),),
    "bolt": (_bolt(),),
    "comb": (
        _box(-0.85, -0.69, 0.85, -0.22),
        *(_box(x - 0.18, -0.3, x + 0.18, 0.69) for x in (-0.67, 0.0, 0.67)),
    ),
    "crescent": (_ellipse(0, 0, 0.95, 0.95), _ellipse(0.42, -0.12, 0.74, 0.74, adds=False)),
    "cross": (_box(-0.3, -0.95, 0.3, 0.95), _box(-0.95, -0.3, 0.95, 0.3)),
    "disc": (_ellipse(0, 0, 0.85, 0.85),),
    "dumbbell": (
        _ellipse(-0.6, 0, 0.46, 0.5),
        _ellipse(0.6, 0, 0.46, 0.5),
        _box(-0.6, -0.17, 0.6, 0.17),
    ),
    "fish": (
        _ellipse(-0.25, 0, 0.75, 0.5),
        _polygon((0.15, 0), (0.95, -0.55), (0.75, 0), (0.95, 0.55)),
    ),
    "heart": (_heart(),),
    "hourglass": (_hourglass(),),
    "key": (
        _ellipse(-0.5, -0.1, 0.52, 0.52),
        _ellipse(-0.5, -0.1, 0.2, 0.2, adds=False),
        _box(-0.1, -0.28, 1.0, 0.08),
        _box(0.3, 0, 0.52, 0.45),
        _box(0.74, 0, 1.0, 0.45),
    ),
    "ring": (_ellipse(0, 0, 0.95, 0.95), _ellipse(0, 0, 0.45, 0.45, adds=False)),
    "square": (_box(-0.74, -0.74, 0.74, 0.74),),
    "star": (_star(),),
    "triangle": (_polygon((0, -0.97), (0.9, 0.63), (-0.9, 0.63)),),
    "wave": (_wave(),),
}


def mask(
    name: str, side: int, centre: tuple[float, float], radius: float, angle: float
) -> np.ndarray:
    """Return how much of each pixel the silhouette covers: float32 (side, side) in [0, 1].

    `centre` (x, y) and `radius` (of the unit frame) are in pixels, `angle` in radians, clockwise.
    Raises KeyError for a name that is not in `SILHOUETTES`.
    """
    canvas = Image.new("L", (side * SUPERSAMPLING, side * SUPERSAMPLING), 0)
    brush = ImageDraw.Draw(canvas)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]]) * radius
    for vertices, adds in SILHOUETTES[name]:
        # Minus a half, because PIL's coordinates refer to the centres of pixels.
        points = (vertices @ turn + centre) * SUPERSAMPLING - 0.5
        brush.polygon([(float(x), float(y)) for x, y in points], fill=255 if adds else 0)
    return np.asarray(canvas.reduce(SUPERSAMPLING), dtype=np.float32) / 255
