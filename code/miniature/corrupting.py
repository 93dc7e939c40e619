"""Ten corruptions under the names of ImageNet-C-bar's, each at five severities.

They are simplified versions of the published ones (Mintun, Kirillov & Xie 2021), with the same
kinds and order of severities, but different pixels and parameters.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""float32 (H, W, 3) in [0, 1], severity 1 to 5 and a generator → floats, to be clipped."""

SQUARE = 28  # pixels, of the checkerboard


def _field(side: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise (side, side) with `cells` features across, of about unit variance."""
    noise = Image.fromarray(rng.standard_normal((cells + 1, cells + 1)).astype(np.float32))
    return np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC))


def _octaves(side: int, first: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return fields of `count` octaves from `first` cells on, each half as strong as the last."""
    return sum(
        (_field(side, first * 2**k, rng) / 2**k for k in range(count)),
        np.zeros((side, side), np.float32),
    )


def _shaped(side: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise (side, side) of unit variance whose amplitude goes as frequency**exponent."""
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    f[0, 0] = np.inf if exponent < 0 else 0
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * f**exponent)
    return (noise / noise.std()).astype(np.float32)


def _radius(side: int, rng: np.random.Generator) -> np.ndarray:
    """Return the distance of each pixel from a random point."""
    row, column = rng.uniform(0, side, 2)
    return np.hypot(np.arange(side)[:, None] - row, np.arange(side)[None] - column)


def blue_noise_sample(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x under noise of high frequencies."""
    return x + 0.06 * severity * _shaped(len(x), 1, rng)[..., None]


def brownish_noise(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x under noise of low frequencies."""
    return x + 0.06 * severity * _shaped(len(x), -1.5, rng)[..., None]


def caustic_refraction(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x as seen through moving water: distorted, with bright caustics."""
    side = len(x)
    surface = _octaves(side, 8, 2, rng)
    rows, columns = (np.rint(12 * severity * slope) for slope in np.gradient(surface))
    row = np.clip(np.arange(side)[:, None] + rows, 0, side - 1).astype(int)
    column = np.clip(np.arange(side)[None] + columns, 0, side - 1).astype(int)
    return x[row, column] + 0.03 * severity * np.maximum(surface, 0)[..., None]


def checkerboard_cutout(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x with grey squares in a checkerboard pattern, larger with severity."""
    row, column = rng.integers(0, 2 * SQUARE, 2)
    down, across = np.arange(len(x))[:, None] + row, np.arange(len(x))[None] + column
    black = (down // SQUARE + across // SQUARE) % 2 == 0
    cut = SQUARE * severity / 5
    cut_out = black & (down % SQUARE < cut) & (across % SQUARE < cut)
    return np.where(cut_out[..., None], np.float32(0.5), x)


def cocentric_sine_waves(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x under rings of waves."""
    period = rng.uniform(10, 20)
    return x + 0.07 * severity * np.sin(2 * np.pi * _radius(len(x), rng) / period)[..., None]


def sparkles(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x under bright stars."""
    return x + (1 - x) * _stars(len(x), 3 * severity, rng)[..., None]


def inverse_sparkles(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x darkened except around bright stars."""
    return x * (1 - 0.18 * severity * (1 - _stars(len(x), 18, rng)))[..., None]


def _stars(side: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the light of `count` four-rayed stars, (side, side) in [0, 1]."""
    light = np.zeros((side, side), np.float32)
    for row, column, size in rng.uniform((0, 0, 4), (side, side, 12), (count, 3)):
        down = np.abs(np.arange(side, dtype=np.float32) - row)[:, None] / size
        across = np.abs(np.arange(side, dtype=np.float32) - column)[None] / size
        light = np.maximum(light, np.exp(-np.sqrt(down * across) * 3 - (down + across) / 3))
    return light


def perlin_noise(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x under smooth grey noise."""
    return x + 0.08 * severity * _field(len(x), 14, rng)[..., None]


def plasma_noise(x: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return x under smooth coloured noise of many scales."""
    plasma = np.stack([_octaves(len(x), 4, 5, rng) for _ in range(3)], axis=-1)
    return x + 0.06 * severity * plasma


def single_frequency_greyscale(
    x: np.ndarray, severity: int, rng: np.random.Generator
) -> np.ndarray:
    """Return x under grey noise of one spatial frequency."""
    y, z = np.mgrid[: len(x), : len(x)].astype(np.float32)
    frequency = 2 * np.pi / rng.uniform(8, 20)
    waves = np.zeros(x.shape[:2], np.float32)
    for angle, phase in rng.uniform(0, 2 * np.pi, (4, 2)):
        waves += np.sin(frequency * (y * np.cos(angle) + z * np.sin(angle)) + phase)
    return x + 0.06 * severity * waves[..., None]


CORRUPTIONS: dict[str, Corruption] = {
    "blue_noise_sample": blue_noise_sample,
    "brownish_noise": brownish_noise,
    "caustic_refraction": caustic_refraction,
    "checkerboard_cutout": checkerboard_cutout,
    "cocentric_sine_waves": cocentric_sine_waves,
    "inverse_sparkles": inverse_sparkles,
    "perlin_noise": perlin_noise,
    "plasma_noise": plasma_noise,
    "single_frequency_greyscale": single_frequency_greyscale,
    "sparkles": sparkles,
}
SEVERITIES = (1, 2, 3, 4, 5)
