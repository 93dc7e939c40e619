"""Short sequences under ImageNet-P's ten perturbations: frames that change a little at a time.

Simplified versions of the published ones (Hendrycks & Dietterich 2019). Noise is drawn
independently per frame, the first of which is clean; the others change gradually from the picture.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

FRAMES = 8
NOISE = 0.12  # standard deviation, in units of the pixel range
PHOTONS = 40.0  # of a white pixel
FLAKES = 90

Perturbation = Callable[[np.ndarray, int, int, np.random.Generator], np.ndarray]
"""A picture with a border (float32, in [0, 1]), its border's width, the number of the frame from
0 and a generator → that frame without the border, floats to be clipped."""


def _inner(x: np.ndarray, border: int, right: int = 0) -> np.ndarray:
    """Return x without its border, or the same window shifted to the right."""
    side = len(x) - 2 * border
    return x[border:, border + right :][:side, :side]


def _warped(x: np.ndarray, border: int, matrix: np.ndarray) -> np.ndarray:
    """Return the inside of x seen through a projective matrix about its centre, (3, 3).

    The matrix maps a point (x, y, 1) of the frame, in units of half a side, to one of the picture.
    """
    half = len(x) / 2
    to_pixels = np.array([[half, 0, half], [0, half, half], [0, 0, 1]])
    whole = to_pixels @ matrix @ np.linalg.inv(to_pixels)
    image = Image.fromarray(np.clip(x * 255 + 0.5, 0, 255).astype(np.uint8))
    warped = image.transform(
        image.size,
        Image.Transform.PERSPECTIVE,
        tuple((whole / whole[2, 2]).ravel()[:8]),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(_inner(np.asarray(warped), border), np.float32) / 255


def gaussian_noise(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture under Gaussian noise."""
    clean = _inner(x, border)
    return clean + (frame > 0) * NOISE * rng.standard_normal(clean.shape, np.float32)


def shot_noise(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture under photon noise."""
    clean = _inner(x, border)
    return rng.poisson(clean * PHOTONS).astype(np.float32) / PHOTONS if frame else clean


def motion_blur(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture blurred by a movement of `frame` pixels in either direction."""
    shifts = range(-frame, frame + 1)
    moved = [_inner(x, border, right=shift) for shift in shifts]
    return np.stack(moved).mean(axis=0)


def zoom_blur(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture blurred by zooming."""
    zooms = np.linspace(1, 1 + 0.012 * frame, 1 + frame)
    frames = [_warped(x, border, np.diag([1 / zoom, 1 / zoom, 1])) for zoom in zooms]
    return np.stack(frames).mean(axis=0)


def snow(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture behind falling flakes."""
    fallen = _inner(x, border).copy()
    side = len(fallen)
    for row, column, size in rng.uniform((0, 0, 2), (side, side, 6), (FLAKES, 3)).astype(int):
        top = (row + 3 * frame) % side
        fallen[top : top + size, column : column + size] = 0.95
    return fallen


def brightness(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture, brighter."""
    return _inner(x, border) + np.float32(0.03 * frame)


def translate(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture moved to the left."""
    return _inner(x, border, right=2 * frame)


def rotate(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture rotated by one degree per frame."""
    cos, sin = np.cos(np.radians(frame)), np.sin(np.radians(frame))
    return _warped(x, border, np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]))


def tilt(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture tilted, with its right side further away in each frame."""
    return _warped(x, border, np.array([[1, 0, 0], [0, 1, 0], [0.012 * frame, 0, 1.0]]))


def scale(x: np.ndarray, border: int, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Return the picture enlarged, more in each frame."""
    return _warped(x, border, np.diag([1 - 0.02 * frame, 1 - 0.02 * frame, 1]))


PERTURBATIONS: dict[str, Perturbation] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "brightness": brightness,
    "translate": translate,
    "rotate": rotate,
    "tilt": tilt,
    "scale": scale,
}
