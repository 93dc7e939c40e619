"""Pictures under the corruptions of LAION-C: four by stimuli/laion_c, two simplified."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from bvg.stimuli.laion_c import Corruption

SEVERITIES = (1, 2, 3, 4, 5)
CONDITIONS = 6 * len(SEVERITIES)
STICKER_SIDE = 16
MOSAIC = (4, 6, 8, 16, 28)  # pixels a side of a tile, by severity
GLITCH = (2, 4, 5, 8, 10)  # per cent of the width by which rows are shifted


def laion_c(
    pixels: np.ndarray, name: str, seed: int, others: Sequence[np.ndarray]
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield the corruption, its severity and the picture under it, corruption-major.

    pixels: (224, 224, 3) uint8. name, seed: key the random numbers. others: pictures that stickers
    and mosaics are made of.
    """
    tiles = np.stack([_shrunk(other, STICKER_SIDE) for other in others])
    keyed, corruptions = _stimuli(tiles.tobytes(), len(tiles))
    for corruption, by_severity in corruptions.items():
        for severity, corrupt in by_severity.items():
            draws = keyed(seed, f"{corruption}_{severity}", name)
            yield corruption, severity, corrupt(pixels, name, draws)
    rng = np.random.default_rng([seed, *name.encode()])
    for severity in SEVERITIES:
        yield "mosaic", severity, mosaic(pixels, MOSAIC[severity - 1], others)
        yield "glitched", severity, glitched(pixels, GLITCH[severity - 1] / 100, rng)


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    resized = Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def mosaic(pixels: np.ndarray, side: int, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return the picture with each tile replaced by the other picture of the nearest mean colour.

    side: of the tiles, pixels; the last ones are cut off at the border.
    """
    bank = np.stack([_shrunk(other, side) for other in others])
    means = bank.mean(axis=(1, 2))
    result = np.empty_like(pixels)
    for top in range(0, len(pixels), side):
        for left in range(0, len(pixels[0]), side):
            tile = pixels[top : top + side, left : left + side]
            off = means - tile.mean(axis=(0, 1))
            nearest = bank[(off**2).sum(axis=1).argmin()]
            result[top : top + side, left : left + side] = nearest[: len(tile), : len(tile[0])]
    return result


def glitched(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Return the picture with bands of rows shifted by up to `amount` of the width.

    The red channel is shifted once more, and every second row is darker, as on a broken screen.
    """
    height, width = pixels.shape[:2]
    result = pixels.copy()
    most = round(amount * width)
    for top in range(0, height, 16):
        result[top : top + 16] = np.roll(
            result[top : top + 16], int(rng.integers(-most, most + 1)), axis=1
        )
    result[..., 0] = np.roll(result[..., 0], most // 2, axis=1)
    result[1::2] = result[1::2] // 4 * 3
    return result


@cache
def _stimuli(
    tiles: bytes, count: int
) -> tuple[Callable[..., Any], dict[str, dict[int, "Corruption"]]]:
    """Return the keyed generator, and corruptions by name and severity; imported if drawn."""
    from bvg.data.laion_c import Stickers
    from bvg.stimuli.randomness import keyed_generator
    from eval_laion_c import GENERATED, generator

    side = STICKER_SIDE
    bank = Stickers(
        tuple(f"other {k}" for k in range(count)),
        np.frombuffer(tiles, np.uint8).reshape(count, side, side, 3),
    )
    return keyed_generator, {
        name: {severity: generator(name, severity, bank) for severity in SEVERITIES}
        for name in GENERATED
    }
