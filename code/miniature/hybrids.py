"""Frequency cue conflict in the miniature world: low frequencies of one picture, high of another.

The filter is ours, since that of the published images is not stated in the sources that we have: a
Gaussian blur gives the low frequencies of one picture; what it takes from the other picture are the
high ones. Their sum is clipped to the range of pixels.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from miniature.world import CATEGORIES, Picture, in_bytes, render

SIGMA = 6.0  # pixels, the standard deviation of the blur
INSTANCES = 3  # pictures of each category for the low, and others for the high frequencies


def hybrids(seed: int) -> Iterator[tuple[str, str, int, int, np.ndarray]]:
    """Yield the two categories, the pictures' numbers and the image, of each ordered pair.

    uint8 (224, 224, 3) of the low frequencies of the first category and the high ones of the
    second. Each picture is matched: its shape and its texture are of one category.
    """
    count = len(CATEGORIES)
    drawn = {
        (cue, k, number): render(seed, f"frequency-cue-conflict/{cue}", Picture(k, k, number)) / 255
        for cue in ("low", "high")
        for k in range(count)
        for number in range(1, INSTANCES + 1)
    }
    parts = {}
    for key, picture in drawn.items():
        blurred = cv2.GaussianBlur(picture, (0, 0), SIGMA)
        parts[key] = blurred if key[0] == "low" else picture - blurred
    for low in range(count):
        for high in range(count):
            first, second = 1 + (low + high) % INSTANCES, 1 + (low + 2 * high) % INSTANCES
            if low != high:
                image = in_bytes(parts["low", low, first] + parts["high", high, second])
                yield CATEGORIES[low], CATEGORIES[high], first, second, image
