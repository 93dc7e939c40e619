"""Model-vs-human's parametric manipulations: one picture under one condition.

After Geirhos et al. (NeurIPS 2018), with the same conditions, and grey pictures where theirs are
grey. Simplifications: eidolons have four scales, and power is equalised to the mean of this world.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

Manipulation = Callable[[np.ndarray, str, np.random.Generator], np.ndarray]
"""float32 RGB (H, W, 3) in [0, 1], a condition and a generator → floats (H, W) or (H, W, 3)."""

LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601
MIDDLE = 0.5
NOISY_CONTRAST = 0.3  # of pictures under uniform noise
SCALES = (2.0, 5.0, 12.0)  # standard deviations in pixels that separate an eidolon's four scales


def grey(x: np.ndarray) -> np.ndarray:
    """Return the luma (H, W) of RGB (H, W, 3)."""
    return x @ LUMA


def colour(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return x ("cr"), or x without colour ("bw")."""
    return grey(x) if condition == "bw" else x


def false_colour(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return x, or ("False") with opposite hues and the same lightness."""
    return x if condition == "True" else 2 * grey(x)[..., None] - x


def contrast(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return grey x at a contrast of "c<percent>"."""
    return MIDDLE + (grey(x) - MIDDLE) * int(condition[1:]) / 100


def low_pass(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return grey x blurred by a Gaussian of that standard deviation, in pixels."""
    return gaussian_filter(grey(x), float(condition))


def high_pass(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return grey x minus its blur by a Gaussian of that standard deviation, in pixels."""
    if condition == "inf":
        return grey(x)
    return grey(x) - gaussian_filter(grey(x), float(condition)) + MIDDLE


def phase_scrambling(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return grey x, each Fourier phase shifted by up to that many degrees either way."""
    share = float(condition) / 180
    # Phases of a real image: antisymmetric, and 0 for components that are real in any image.
    shift = np.angle(np.fft.rfft2(rng.standard_normal(x.shape[:2])))
    height, width = x.shape[:2]
    shift[np.ix_([0, height // 2], [0, width // 2])] = 0
    return np.fft.irfft2(np.fft.rfft2(grey(x)) * np.exp(1j * shift * share), x.shape[:2])


def equalised(x: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """Return grey x with the amplitude spectrum given instead of its own."""
    return np.fft.irfft2(amplitude * np.exp(1j * np.angle(np.fft.rfft2(grey(x)))), x.shape[:2])


def rotation(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return grey x turned by 0, 90, 180 or 270 degrees."""
    return np.rot90(grey(x), int(condition) // 90)


def uniform_noise(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return grey x at 30 % contrast under uniform noise of up to that much either way."""
    width = float(condition)
    pale = MIDDLE + (grey(x) - MIDDLE) * NOISY_CONTRAST
    return pale + rng.uniform(-width, width, pale.shape)


def eidolon(x: np.ndarray, condition: str, rng: np.random.Generator) -> np.ndarray:
    """Return grey x with displaced scales, by "<reach>-<coherence>-<grain>".

    Reach: the standard deviation of the displacements, pixels; coherence: the part of the
    displacements that all scales share, in tenths; grain: the width of their waves, pixels.
    """
    reach, coherence, grain = map(int, condition.split("-"))
    blurred = [grey(x), *(gaussian_filter(grey(x), sigma) for sigma in SCALES)]
    scales = [*(a - b for a, b in pairwise(blurred)), blurred[-1]]
    common = _displacements(x.shape[:2], grain, rng)
    share = coherence / 10
    places = np.mgrid[: x.shape[0], : x.shape[1]]
    result = np.zeros(x.shape[:2])
    for scale in scales:
        own = _displacements(x.shape[:2], grain, rng)
        moved = places + reach * (share * common + np.sqrt(1 - share**2) * own)
        result += map_coordinates(scale, moved, order=1, mode="reflect")
    return result


def _displacements(shape: tuple[int, ...], grain: int, rng: np.random.Generator) -> np.ndarray:
    """Return two smooth fields of unit variance, (2, H, W)."""
    rows, columns = (side // grain + 2 for side in shape)
    fields = []
    for noise in rng.standard_normal((2, rows, columns)).astype(np.float32):
        size = (shape[1], shape[0])
        field = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
        fields.append(field / field.std())
    return np.stack(fields)


MANIPULATIONS: dict[str, Manipulation] = {
    "colour": colour,
    "contrast": contrast,
    "high-pass": high_pass,
    "low-pass": low_pass,
    "phase-scrambling": phase_scrambling,
    "false-colour": false_colour,
    "rotation": rotation,
    "uniform-noise": uniform_noise,
    "eidolonI": eidolon,
    "eidolonII": eidolon,
    "eidolonIII": eidolon,
}
