"""Pictures under the corruptions of ImageNet-C, by stimuli/corruptions."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bvg.stimuli.batch import Stimuli

CONDITIONS = 19 * 5  # corruptions and severities


def imagenet_c(pixels: np.ndarray, name: str, seed: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield the picture under each corruption and severity, corruption-major.

    pixels: (224, 224, 3) uint8. name, seed: key the random numbers. Yields the corruption, its
    severity and uint8 pixels; as JPEG files of quality 85, they are as in the published files.
    """
    torch, stimuli = _stimuli()
    from bvg.stimuli.batch import Batch

    clean = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    for condition, image, *_ in stimuli(
        Batch(clean, (name,), torch.zeros(1, dtype=torch.int64), seed)
    ):
        corruption, _, severity = condition.rpartition("_")
        bytes_ = (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
        yield corruption, int(severity), bytes_.numpy()


@cache
def _stimuli() -> tuple[Any, "Stimuli"]:
    """Return PyTorch with one thread, and the corruptions; imported only if they are drawn."""
    import torch

    from bvg.stimuli.imagenet_c import CORRUPTIONS
    from bvg.stimuli.imagenet_c import imagenet_c as published

    torch.set_num_threads(1)  # one per worker, since more would compete
    return torch, published(CORRUPTIONS, as_published=True, before_jpeg=True)
