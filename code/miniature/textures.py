"""The sixteen textures: two-tone patterns that can be identified from a patch at any angle.

A texture is a function of coordinates u and v (float32 arrays, pixels) and of a generator; it
returns the fraction of the second colour in each pixel, in [0, 1]. Patterns are defined by signed
distances in pixels, positive inside, from which `_soft` draws antialiased edges.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

Texture = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]

ROOT3 = float(np.sqrt(3))


def _soft(distance: np.ndarray) -> np.ndarray:
    return np.clip(distance + 0.5, 0, 1)


def _offset(x: np.ndarray, period: float) -> np.ndarray:
    """Return the signed distance from the nearest multiple of `period`."""
    return x - period * np.rint(x / period)


def _stripe(x: np.ndarray, period: float, width: float) -> np.ndarray:
    return width / 2 - np.abs(_offset(x, period))


def _exclusive(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the signed distance of the region inside exactly one of two regions."""
    return -np.sign(a * b) * np.minimum(np.abs(a), np.abs(b))


def _field(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise of about unit variance whose features are `cell` pixels wide."""
    rows, columns = (int(np.ceil(n / cell)) + 1 for n in shape)
    noise = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
    return np.asarray(noise.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _stripes(period: float) -> Texture:
    return lambda u, v, rng: _soft(_stripe(u, period, period / 2))


def _checks(cell: float) -> Texture:
    return lambda u, v, rng: _soft(
        _exclusive(_stripe(u, 2 * cell, cell), _stripe(v, 2 * cell, cell))
    )


def _noise(cell: float, sharpness: float) -> Texture:
    return lambda u, v, rng: np.clip(0.5 + sharpness * _field(u.shape, cell, rng), 0, 1)


def _staggered(u: np.ndarray, v: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets from the nearest point of a triangular lattice of that spacing."""
    rise = period * ROOT3
    a = _offset(u, period), _offset(v, rise)
    b = _offset(u - period / 2, period), _offset(v - rise / 2, rise)
    nearer = a[0] ** 2 + a[1] ** 2 < b[0] ** 2 + b[1] ** 2
    return np.where(nearer, a[0], b[0]), np.where(nearer, a[1], b[1])


def dots(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return small discs on a triangular lattice, (H, W) in [0, 1]."""
    return _soft(5.5 - np.hypot(*_staggered(u, v, 19.0)))


def rings(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return circles with a dot in the middle on a square lattice, (H, W) in [0, 1]."""
    radius = np.hypot(_offset(u, 28.0), _offset(v, 28.0))
    return _soft(np.maximum(2.2 - np.abs(radius - 10.0), 3.5 - radius))


def honeycomb(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the walls of hexagonal cells, (H, W) in [0, 1]."""
    du, dv = (np.abs(d) for d in _staggered(u, v, 22.0))
    return _soft(np.maximum(du, du / 2 + dv * ROOT3 / 2) - 8.8)


def bricks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mortar of a running bond of bricks, (H, W) in [0, 1]."""
    row = np.floor(v / 13.0)
    along = u + 16.0 * (row % 2)
    return _soft(np.maximum(_stripe(along, 32.0, 3.6), _stripe(v, 13.0, 3.6)))


def zigzag(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return stripes bent at right angles, (H, W) in [0, 1]."""
    # On a slope of one, distances are shorter than along v by a factor of √2.
    return _soft(_stripe(v + np.abs(_offset(u, 30.0)), 20.0, 10.0) / np.sqrt(2))


def grid(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return thin lines along both axes, (H, W) in [0, 1]."""
    return _soft(np.maximum(_stripe(u, 15.0, 3.2), _stripe(v, 15.0, 3.2)))


def marble(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return irregular stripes, (H, W) in [0, 1]."""
    return _soft(_stripe(u + 11.0 * _field(u.shape, 26.0, rng), 18.0, 9.0) * 0.7)


def scales(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the rims of overlapping scales, as on a fish, (H, W) in [0, 1]."""
    result = np.zeros_like(u)
    row = np.floor(v / 15.0)
    for k in (-1, 0, 1, 2):  # rows that can reach this pixel; later ones are on top
        du = _offset(u - 15.0 * ((row + k) % 2), 30.0)
        radius = np.hypot(du, v - 15.0 * (row + k))
        result += _soft(16.0 - radius) * (_soft(radius - 9.0) - result)
    return result


def weave(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return blocks of stripes, each at right angles to its neighbours, (H, W) in [0, 1]."""
    block = _soft(_exclusive(_stripe(u, 72.0, 36.0), _stripe(v, 72.0, 36.0)))
    across, along = (_soft(_stripe(x - 3.0, 12.0, 6.0)) for x in (u, v))
    return across + block * (along - across)


def pluses(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return plus signs on a square lattice, (H, W) in [0, 1]."""
    du, dv = np.abs(_offset(u, 21.0)), np.abs(_offset(v, 21.0))
    arm = np.minimum(7.5 - du, 2.4 - dv)
    return _soft(np.maximum(arm, np.minimum(7.5 - dv, 2.4 - du)))


TEXTURES: dict[str, Texture] = {
    "bricks": bricks,
    "rings": rings,
    "coarse checks": _checks(19.0),
    "fine stripes": _stripes(9.0),
    "honeycomb": honeycomb,
    "zigzag": zigzag,
    "grain": _noise(4.5, 1.0),
    "grid": grid,
    "weave": weave,
    "dots": dots,
    "wide stripes": _stripes(24.0),
    "pluses": pluses,
    "scales": scales,
    "marble": marble,
    "fine checks": _checks(8.0),
    "blotches": _noise(17.0, 3.0),
}
"""In the order of the categories, from arrow to wave."""


def pattern(
    name: str,
    side: int,
    phase: tuple[float, float],
    angle: float,
    zoom: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the fraction of the second colour in each pixel: float32 (side, side) in [0, 1].

    `phase` is in pixels, `angle` in radians; `zoom` 1 is the texture's own scale. Raises
    KeyError for a name that is not in `TEXTURES`.
    """
    y, x = np.mgrid[:side, :side].astype(np.float32)
    cos, sin = np.float32(np.cos(angle) / zoom), np.float32(np.sin(angle) / zoom)
    u = x * cos + y * sin + np.float32(phase[0])
    v = y * cos - x * sin + np.float32(phase[1])
    return np.clip(TEXTURES[name](u, v, rng), 0, 1).astype(np.float32, copy=False)
