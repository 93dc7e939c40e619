"""Low-pass filters as they are defined: one image, plain sums in double precision."""

from math import ceil, exp

import numpy as np


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return the (H, W, 3) image smoothed along rows, then along columns."""
    radius = ceil(4 * sigma)
    weights = [exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    assert len(weights) == 2 * ceil(4 * sigma) + 1
    return _along_columns(_along_columns(image, weights).swapaxes(0, 1), weights).swapaxes(0, 1)


def _along_columns(image: np.ndarray, weights: list[float]) -> np.ndarray:
    height, radius = len(image), len(weights) // 2
    result = np.zeros(image.shape)
    for row in range(height):
        for place, weight in enumerate(weights):
            result[row] += weight / sum(weights) * image[mirrored(row + place - radius, height)]
    return result


def mirrored(index: int, size: int) -> int:
    """Return which pixel stands for one outside: d c b | a b c d | c b a."""
    while not 0 <= index < size:
        index = -index if index < 0 else 2 * (size - 1) - index
    return index


def downsampled(image: np.ndarray, side: int) -> np.ndarray:
    """Return the (H, W, 3) image resized to side x side pixels and back, and then clipped."""
    height, width = image.shape[:2]
    return resized(resized(image, side, side), height, width).clip(0, 1)


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the image in another size: bicubic, the kernel widened where pixels become fewer."""
    rows = _fewer_rows(image, height)
    return _fewer_rows(rows.swapaxes(0, 1), width).swapaxes(0, 1)


def _fewer_rows(image: np.ndarray, count: int) -> np.ndarray:
    scale = len(image) / count
    stretch = max(1.0, scale)
    result = np.zeros((count, *image.shape[1:]))
    for row in range(count):
        centre = (row + 0.5) * scale
        weights = [cubic((source + 0.5 - centre) / stretch) for source in range(len(image))]
        for source, weight in enumerate(weights):
            result[row] += weight / sum(weights) * image[source]
    return result


def cubic(x: float) -> float:
    """Return Keys's kernel with a = -1/2."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    if x < 2:
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return 0.0
