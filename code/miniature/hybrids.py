"""Frequency cue conflict in the miniature world: low frequencies of one picture, high of another.

The filter is ours, since that of the published images is not stated in the sources that we have: a
Gaussian blur gives the low frequencies of one picture; what it takes from the other picture are the
high ones. Their sum is clipped to the range of pixels.
"""

from collections.abc import Iterator
from itertools import product

import cv2
import numpy as np

from miniature.world import CATEGORIES, Picture, in_bytes, render

SIGMA = 4.0  # pixels, the standard deviation of the blur
INSTANCES = 2  # pictures of each category for the low, and others for the high frequencies


def hybrids(seed: int) -> Iterator[tuple[str, str, int, int, np.ndarray]]:
    """Yield the two categories, the pictures' numbers and the image, of each ordered pair.

    uint8 (224, 224, 3) of the low frequencies of the first category and the high ones of the
    second. Each picture is matched: its shape and its texture are of one category.
    """
    count = len(CATEGORIES)
    keys = [*product(("low", "high"), range(count), range(1, INSTANCES + 1))]
    parts = {(cue, k, number): _part(seed, cue, Picture(k, k, number)) for cue, k, number in keys}
    for low in range(count):
        for high in range(count):
            first, second = 1 + (low + high) % INSTANCES, 1 + (low + 2 * high) % INSTANCES
            if low != high:
                image = in_bytes(parts["low", low, first] + parts["high", high, second])
                yield CATEGORIES[low], CATEGORIES[high], first, second, image


def _part(seed: int, cue: str, picture: Picture) -> np.ndarray:
    """Return the low or the high frequencies of a picture, float32 (224, 224, 3)."""
    whole = render(seed, f"frequency-cue-conflict/{cue}", picture).astype(np.float32) / 255
    blurred = cv2.GaussianBlur(whole, (0, 0), SIGMA)
    return blurred if cue == "low" else whole - blurred
