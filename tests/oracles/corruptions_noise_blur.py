"""Noise and blur of ImageNet-C as they are defined: one image, one severity, double precision.

Images are (H, W, 3) in [0, 1]. Random draws are arguments. Filters are SciPy's, where its
conventions are those of the definition, and loops over taps and pixels elsewhere.
"""

import math

import numpy as np
from scipy import stats
from scipy.ndimage import correlate, gaussian_filter, zoom

GAUSSIAN_NOISE = [0.08, 0.12, 0.18, 0.26, 0.38]
SHOT_NOISE = [60, 25, 12, 5, 3]
IMPULSE_NOISE = [0.03, 0.06, 0.09, 0.17, 0.27]
SPECKLE_NOISE = [0.15, 0.2, 0.35, 0.45, 0.6]
DEFOCUS_BLUR = [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]
GLASS_BLUR = [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)]
MOTION_BLUR = [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)]
ZOOM_BLUR = [
    [1.00, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.09, 1.10],
    [1 + percent / 100 for percent in range(16)],
    [1 + percent / 100 for percent in range(0, 21, 2)],
    [1 + percent / 100 for percent in range(0, 26, 2)],
    [1 + percent / 100 for percent in range(0, 31, 3)],
]
GAUSSIAN_BLUR = [1, 2, 3, 4, 6]


def gaussian_noise(image: np.ndarray, severity: int, normal: np.ndarray) -> np.ndarray:
    return image + GAUSSIAN_NOISE[severity - 1] * normal


def shot_noise(image: np.ndarray, severity: int, uniform: np.ndarray) -> np.ndarray:
    """The counts are the quantiles of Poisson distributions at uniform draws in [0, 1)."""
    photons = SHOT_NOISE[severity - 1]
    counts = np.zeros(image.shape)
    for value in np.unique(image):
        at_most = stats.poisson.cdf(np.arange(200), value * photons)
        here = image == value
        counts[here] = np.searchsorted(at_most, uniform[here], side="right")
    return counts / photons


def impulse_noise(image: np.ndarray, severity: int, uniform: np.ndarray) -> np.ndarray:
    """A draw below p / 2 makes a value 0, one from there to p makes it 1."""
    share = IMPULSE_NOISE[severity - 1]
    noisy = image.copy()
    noisy[uniform < share / 2] = 0
    noisy[(uniform >= share / 2) & (uniform < share)] = 1
    return noisy


def speckle_noise(image: np.ndarray, severity: int, normal: np.ndarray) -> np.ndarray:
    return image + image * SPECKLE_NOISE[severity - 1] * normal


def disk(radius: int, alias_blur: float) -> np.ndarray:
    """A disk that sums to 1, then smoothed; the Gaussian has only 3 or 5 taps a side."""
    reach, half = (8, 1) if radius <= 8 else (radius, 2)
    inside = np.zeros((2 * reach + 1, 2 * reach + 1))
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            inside[y + reach, x + reach] = x * x + y * y <= radius * radius
    taps = np.array([math.exp(-(k**2) / (2 * alias_blur**2)) for k in range(-half, half + 1)])
    gaussian = np.outer(taps, taps) / taps.sum() ** 2
    return correlate(inside / inside.sum(), gaussian, mode="mirror")


def defocus_blur(image: np.ndarray, severity: int) -> np.ndarray:
    kernel = disk(*DEFOCUS_BLUR[severity - 1])
    return correlate(image, kernel[..., None], mode="mirror")  # reflect-101 in OpenCV's words


def smoothed(image: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(image, sigma=(sigma, sigma, 0), truncate=4, mode="nearest")


def gaussian_blur(image: np.ndarray, severity: int) -> np.ndarray:
    return smoothed(image, GAUSSIAN_BLUR[severity - 1])


def glass_blur(image: np.ndarray, severity: int, offsets: np.ndarray) -> np.ndarray:
    """The offsets, (iterations, rows, columns, 2), are (down, right) in the order of the scan."""
    sigma, reach, _ = GLASS_BLUR[severity - 1]
    levels = np.floor(smoothed(image, sigma) * 255 + 1e-9)  # a level is not lost to rounding
    return smoothed(replaced(levels, reach, offsets) / 255, sigma)


def replaced(image: np.ndarray, reach: int, offsets: np.ndarray) -> np.ndarray:
    """Pixels that are replaced by a neighbour, one by one."""
    pixels = [list(row) for row in image]
    height, width = image.shape[:2]
    for iteration in offsets.tolist():
        for h, row in zip(range(height - reach, reach, -1), iteration, strict=True):
            for w, (down, right) in zip(range(width - reach, reach, -1), row, strict=True):
                pixels[h][w] = pixels[h + down][w + right]
    return np.array(pixels)


def motion_blur(image: np.ndarray, severity: int, angle: float) -> np.ndarray:
    return motion_blurred(image, *MOTION_BLUR[severity - 1], angle)


def motion_blurred(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """A one-sided line of 2 * radius + 1 half-Gaussian weights, beginning at the pixel itself."""
    height, width = image.shape[:2]
    weights = [math.exp(-(k**2) / (2 * sigma**2)) for k in range(2 * radius + 1)]
    total = np.zeros(image.shape)
    for k, weight in enumerate(weights):
        right = math.ceil(k * math.cos(math.radians(angle)) - 0.5)
        down = math.ceil(k * math.sin(math.radians(angle)) - 0.5)
        rows = np.clip(np.arange(height) + down, 0, height - 1)
        columns = np.clip(np.arange(width) + right, 0, width - 1)
        total += weight * image[rows][:, columns]
    return total / sum(weights)


def zoom_blur(image: np.ndarray, severity: int) -> np.ndarray:
    zooms = [zoomed(image, factor) for factor in ZOOM_BLUR[severity - 1]]
    return (image + sum(zooms)) / (len(zooms) + 1)


def zoomed(image: np.ndarray, factor: float) -> np.ndarray:
    """The centre of ceil(size / factor) pixels, enlarged, and cut to the size at its centre."""
    height, width = image.shape[:2]
    rows, columns = math.ceil(height / factor), math.ceil(width / factor)
    top, left = (height - rows) // 2, (width - columns) // 2
    centre = image[top : top + rows, left : left + columns]
    large = zoom(centre, (factor, factor, 1), order=1)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]
