"""Pictures under the corruptions of ImageNet-C, made by the project's own (stimuli/corruptions)."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bvg.stimuli.batch import Stimuli

CONDITIONS = 19 * 5  # corruptions and severities


def imagenet_c(pixels: np.ndarray, name: str, seed: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield the picture under each corruption and severity, corruption-major.

    pixels: (224, 224, 3) uint8. name: keys the randomness, with the seed. Yields the corruption,
    its severity and uint8 pixels, which become the published kind of file as JPEG of quality 85.
    """
    torch, stimuli = _made_with()
    from bvg.stimuli.batch import Batch

    clean = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    for condition, image, *_ in stimuli(
        Batch(clean, (name,), torch.zeros(1, dtype=torch.int64), seed)
    ):
        corruption, _, severity = condition.rpartition("_")
        bytes_ = (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
        yield corruption, int(severity), bytes_.numpy()


@cache
def _made_with() -> tuple[Any, "Stimuli"]:
    """Return PyTorch, on one thread, and the corruptions; imported where they are drawn only."""
    import torch

    from bvg.stimuli.imagenet_c import CORRUPTIONS
    from bvg.stimuli.imagenet_c import imagenet_c as published

    torch.set_num_threads(1)  # each worker draws pictures of its own; threads would only compete
    return torch, published(CORRUPTIONS, as_published=True, before_jpeg=True)
