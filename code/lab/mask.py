"""The noise that follows each picture.

Source: Geirhos et al., ICLR 2019, lab-experiment/helper_functions of
https://github.com/rgeirhos/texture-vs-shape (pinknoise_generate.m, spatialPattern.m).
"""

import numpy as np

SIDE = 224  # pixels
CONTRAST = 4.0


def noise(draws: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """Return noise whose power falls as 1 / frequency, (side, side) in [0, 1].

    The amplitude of each frequency f, in cycles per pixel, is f ** -0.5, that of the mean 0; phases
    are uniform and independent. The real part is scaled to a least value of 0 and a largest of 1.
    """
    frequencies = np.fft.fftfreq(side)
    distance = np.hypot(frequencies[:, None], frequencies)
    distance[0, 0] = np.inf
    phases = draws.uniform(0, 2 * np.pi, (side, side))
    image = np.fft.ifft2(distance**-0.5 * np.exp(1j * phases)).real
    return (image - image.min()) / np.ptp(image)


def mask(seed: int, subject: int, trial: int) -> np.ndarray:
    """Return the mask of one trial, (224, 224) uint8; the same for the same three numbers.

    Noise, with its contrast about mid-grey raised four times, and clipped.
    """
    image = noise(np.random.default_rng([seed, subject, trial]))
    return np.round(255 * np.clip(0.5 + CONTRAST * (image - 0.5), 0, 1)).astype(np.uint8)
