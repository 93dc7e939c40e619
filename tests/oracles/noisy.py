"""VOneNet's front end and diffusion noise, number by number, from their papers and flags."""

import math

import numpy as np


def gabor_answers(image: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Return the (N, H/4, W/4) answers of (N, 3, 25, 25) filters with stride 4 and padding 12."""
    padded = np.pad(image.astype(np.float64), ((0, 0), (12, 12), (12, 12)))
    height, width = (-(-side // 4) for side in image.shape[1:])
    answers = np.zeros((len(filters), height, width))
    for row in range(height):
        for column in range(width):
            patch = padded[:, 4 * row : 4 * row + 25, 4 * column : 4 * column + 25]
            for number, one in enumerate(filters):
                answers[number, row, column] = (patch * one).sum()
    return answers


def vone_answers(even: np.ndarray, odd: np.ndarray, noise: np.ndarray, simple: int) -> np.ndarray:
    """Return what simple and complex cells answer, given both phases and the noise."""
    out = np.zeros_like(even)
    for place in np.ndindex(even.shape):
        if place[0] < simple:
            cell = max(even[place], 0.0)
        else:
            cell = math.sqrt(even[place] ** 2 + odd[place] ** 2) / math.sqrt(2)
        rate = 25 * cell * 0.35 + 0.07
        noisy = rate + noise[place] * math.sqrt(max(rate, 0.0) + 1e-4)
        out[place] = max((noisy - 0.07) / 0.35, 0.0)
    return out


def diffused(image: np.ndarray, u: float, noise: np.ndarray) -> np.ndarray:
    """Return the image of one step of the diffusion, as the published model was trained."""
    alpha = math.sqrt(u)
    return alpha * image + math.sqrt(1 - alpha**alpha) * noise
