"""Pictures under the project's own stimuli.

It needs PyTorch, so it is imported only where such pictures are drawn.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch

from bvg.stimuli.batch import Batch, Stimuli, bytes_of
from bvg.stimuli.criticalband import critical_band
from bvg.stimuli.imagenet_c import CORRUPTIONS
from bvg.stimuli.imagenet_c import imagenet_c as corrupted


def imagenet_c(pixels: np.ndarray, name: str, seed: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield the picture under each corruption and severity, corruption-major.

    pixels: (224, 224, 3) uint8. name, seed: key the random numbers. Yields the corruption, its
    severity and uint8 pixels; as JPEG files of quality 85, they are as in the published files.
    """
    for condition, image, *_ in _corruptions()(_batch(pixels, name, seed)):
        corruption, _, severity = condition.rpartition("_")
        yield corruption, int(severity), bytes_of(image)[0]


@cache
def _corruptions() -> Stimuli:
    return corrupted(CORRUPTIONS, as_published=True, before_jpeg=True)


def masked(pixels: np.ndarray, name: str, seed: int, band: int, deviation: float) -> np.ndarray:
    """Return the picture, grey and of low contrast, in noise of an octave.

    pixels: (224, 224, 3) uint8, as is returned. name, seed: key the noise. band: the octave.
    deviation: SD of the noise; 0 for none.
    """
    *_, (_, image) = critical_band(_batch(pixels, name, seed), (band,), (deviation,))
    return bytes_of(image)[0]


def _batch(pixels: np.ndarray, name: str, seed: int) -> Batch:
    torch.set_num_threads(1)  # one per worker, since more would compete
    clean = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    return Batch(clean, (name,), torch.zeros(1, dtype=torch.int64), seed)
