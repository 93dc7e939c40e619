"""Critical-band masking as the definition says it: one image, one condition, pixel by pixel."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import sqrt

import numpy as np
from PIL import Image

FILTER = [sqrt(2) * weight / 16 for weight in (1, 4, 6, 4, 1)]


def low_contrast_grey(crop: np.ndarray) -> np.ndarray:
    """Return (H, W) float64 greys of an (H, W, 3) uint8 image."""
    grey = np.asarray(Image.fromarray(crop).convert("L")) / 255
    return (grey - grey.mean()) * 0.2 + 0.449


def mirror(index: int, size: int) -> int:
    """Return the index inside 0 … size - 1, mirrored without repeating the edge."""
    while not 0 <= index < size:
        index = -index if index < 0 else 2 * (size - 1) - index
    return index


def smooth(row: np.ndarray) -> np.ndarray:
    """Return a row filtered at every position."""
    size = len(row)
    out = np.zeros(size)
    for i in range(size):
        for k in range(5):
            out[i] += FILTER[k] * row[mirror(i + k - 2, size)]
    return out


def down(field: np.ndarray) -> np.ndarray:
    """Return the field filtered and with every second row and column dropped."""
    rows = np.apply_along_axis(lambda row: smooth(row)[::2], 1, field)
    return np.apply_along_axis(lambda column: smooth(column)[::2], 0, rows)


def up(field: np.ndarray, size: int) -> np.ndarray:
    """Return the field at size × size: zeros inserted, then filtered."""

    def wider(row: np.ndarray) -> np.ndarray:
        stuffed = np.zeros(size)
        stuffed[::2] = row
        return smooth(stuffed)

    return np.apply_along_axis(wider, 1, np.apply_along_axis(wider, 0, field))


def levels(field: np.ndarray, count: int = 7) -> list[np.ndarray]:
    """Return the Laplacian pyramid's levels, each alone at full size; the last is the residual."""
    sizes, small, blurred = [len(field)], field, [field]
    for _ in range(count - 1):
        small = down(small)
        sizes.append(len(small))
        full = small
        for size in reversed(sizes[:-1]):
            full = up(full, size)
        blurred.append(full)
    return [a - b for a, b in pairwise(blurred)] + [blurred[-1]]


def band(noise_levels: list[np.ndarray], f: int) -> np.ndarray:
    """Return the noise of octave f, as strong as the finest level."""
    level = noise_levels[6 - f]
    return level * rms(noise_levels[0]) / rms(level)


def rms(field: np.ndarray) -> float:
    """Return the root mean square; the mean is not removed."""
    return sqrt((field**2).mean())


Draw = Callable[[], Iterator[np.ndarray]]


def masked(grey: np.ndarray, noise: np.ndarray, deviation: float, draws: Draw) -> np.ndarray:
    """Return grey + noise, brought back into [0, 1] pixel by pixel.

    draws() begins the image's sequence of whole fields of N(0, 1); a pixel whose noise is redrawn
    takes its own element of the first field that suits.
    """
    image, noise = grey.copy(), noise.copy()
    for i in range(grey.shape[0]):
        for j in range(grey.shape[1]):
            y = image[i, j] + noise[i, j]
            if 0 <= y <= 1:
                continue
            wanted = 0.1 - noise[i, j] if y < 0 else 0.9 - noise[i, j]
            if (y < 0 and wanted <= 1) or (y > 1 and wanted >= 0):
                image[i, j] = wanted
                continue
            for field in draws():
                noise[i, j] = deviation * field[i, j]
                if 0 <= image[i, j] + noise[i, j] <= 1:
                    break
    return image + noise
