"""Spectral filters as the study defines them: one image, one condition, double precision."""

from functools import cache

import numpy as np

CUTOFFS = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
CONDITIONS = [f"{band}/{cutoff}" for band in ("lowpass", "highpass") for cutoff in CUTOFFS]


def filtered(image: np.ndarray, band: str, cutoff: float) -> np.ndarray:
    """Return the (H, W, 3) image in [0, 1] with only the band's part of its spectrum."""
    height, width = image.shape[:2]
    share = cutoff if band == "lowpass" else 1 - cutoff
    square = kept_square(height, width, share)
    mask = square if band == "lowpass" else 1 - square
    result = np.empty(image.shape)
    for channel in range(3):
        spectrum = np.fft.fftshift(np.fft.fft2(image[..., channel].astype(np.float64)))
        result[..., channel] = np.fft.ifft2(np.fft.ifftshift(spectrum * mask)).real
    return result.clip(0, 1)


def of_condition(image: np.ndarray, condition: str) -> np.ndarray:
    """Return the image under a condition such as "lowpass/0.1"."""
    band, cutoff = condition.split("/")
    return filtered(image, band, float(cutoff))


@cache
def kept_square(height: int, width: int, share: float) -> np.ndarray:
    """Return 1 inside the centred square of half-width int(share * half the size), 0 outside."""
    square = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            inside_rows = in_square(row, height // 2, int(share * (height // 2)))
            inside_columns = in_square(column, width // 2, int(share * (width // 2)))
            square[row, column] = inside_rows and inside_columns
    return square


def in_square(index: int, centre: int, half_width: int) -> bool:
    """Return whether centre - half_width <= index <= centre + half_width - 1."""
    return centre - half_width <= index <= centre + half_width - 1
