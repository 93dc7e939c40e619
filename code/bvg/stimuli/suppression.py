"""Images in which one cue, or two, is suppressed: global or local shape, texture, colour.

Source: Burgert, Stoll, Rota & Demir, "ImageNet-trained CNNs are not biased towards texture",
NeurIPS 2025, and the code published with it, whose filters are OpenCV's and whose shuffled tiles
are those of albumentations 1.4.1. tests/oracles/suppression.py is the definition, tile by tile.

Everything but non-local means (stimuli/nl_means.py) is made on the CPU, from 8-bit pixels: OpenCV
is the definition of the filters, and so a GPU gets the very same images. What is random is keyed by
(seed, suppression, image). A second suppression starts from the first one's image, with the same
draws: so an image shuffled and without colour is the shuffled image, without colour.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
import torch

from bvg.stimuli.batch import Batch, pixels_of
from bvg.stimuli.nl_means import denoised
from bvg.stimuli.randomness import keyed_generator

ORIGINAL = "original"  # the condition of an image as it is
# Burgert et al. 2025; OpenCV takes an even window as the next odd one.
SIGMA_SPACE, TEMPLATE_WINDOW, SEARCH_WINDOW = 75, 14, 21  # pixels


@dataclass(frozen=True)
class Suppression:
    """One step from an image to a stimulus.

    name: the kind and its parameters, as in patch_shuffle/3. apply: ((H, W, 3) uint8, the image's
    random generator) → (H, W, 3) uint8. h: the strength of non-local means, None for other steps.
    Steps of one name are equal.
    """

    name: str
    apply: Callable[[np.ndarray, torch.Generator], np.ndarray] = field(compare=False)
    h: float | None = None


Condition = tuple[Suppression, ...]  # its steps, one after the other


def condition_name(condition: Condition) -> str:
    """Return a condition's name, as in bilateral/12/170+greyscale/1."""
    return "+".join(step.name for step in condition)


def suppressed(batch: Batch, conditions: Iterable[Condition]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the images under each condition, (B, 3, H, W) in [0, 1], values k / 255.

    What several conditions begin with is made once. On a GPU, all strengths of non-local means come
    first and are made there, all at once: the GPU would have to wait for OpenCV.
    """
    conditions = list(conditions)
    on_gpu = batch.pixels.device.type == "cuda"
    together = [c for c in conditions if on_gpu and len(c) == 1 and c[0].h is not None]
    yield from _denoised(batch, together)
    shared = {condition[:-1] for condition in conditions}
    made: dict[Condition, np.ndarray] = {(): batch.levels}
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:

        def images_of(condition: Condition) -> np.ndarray:
            if condition in made:
                return made[condition]
            *before, step = condition
            draws = [keyed_generator(batch.seed, step.name, name) for name in batch.names]
            images = np.stack([*threads.map(step.apply, images_of(tuple(before)), draws)])
            if condition in shared:
                made[condition] = images
            return images

        for condition in conditions:
            if condition not in together:
                images = pixels_of(images_of(condition), batch.pixels.device)
                yield condition_name(condition), images


def _denoised(batch: Batch, conditions: Sequence[Condition]) -> Iterator[tuple[str, torch.Tensor]]:
    if conditions:
        strengths = [float(step.h) for (step,) in conditions if step.h is not None]
        levels = (batch.pixels * 255).round().to(torch.uint8)
        made = denoised(levels, strengths, TEMPLATE_WINDOW, SEARCH_WINDOW)
        for condition, images in zip(conditions, made, strict=True):
            yield condition_name(condition), images.float() / 255


def patch_shuffle(grid: int) -> Suppression:
    """Return the suppression of shape by shuffling the tiles of a grid x grid raster.

    Where the grid does not divide the image, tiles differ by a pixel, and change places only with
    tiles of the same height and width (as in albumentations 1.4.1). Grid 1 is the identity.
    """
    return Suppression(f"patch_shuffle/{grid}", partial(_shuffled, grid=grid))


def _shuffled(image: np.ndarray, draws: torch.Generator, grid: int) -> np.ndarray:
    rows, columns = (tile_edges(size, grid) for size in image.shape[:2])
    source = tile_order(rows, columns, draws)
    # Where each tile's pixels come from, as an offset in rows and in columns.
    down = rows[source // grid].reshape(grid, grid) - rows[:-1, None]
    right = columns[source % grid].reshape(grid, grid) - columns[None, :-1]
    row_of, column_of = (np.repeat(np.arange(grid), np.diff(edges)) for edges in (rows, columns))
    tile = np.ix_(row_of, column_of)
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    return image[y + down[tile], x + right[tile]]


def tile_edges(size: int, grid: int) -> np.ndarray:
    """Return where the tiles of one axis begin, and its end: (grid + 1,) whole numbers."""
    return np.arange(grid + 1) * size // grid


def tile_order(rows: np.ndarray, columns: np.ndarray, draws: torch.Generator) -> np.ndarray:
    """Return which tile is shown in the place of each, (grid²,) in reading order.

    rows, columns: the tiles' edges. Tiles of the same height and width are permuted at random.
    """
    heights, widths = np.diff(rows), np.diff(columns)
    shapes = np.stack([np.repeat(heights, len(widths)), np.tile(widths, len(heights))], axis=1)
    order = np.arange(len(shapes))
    for shape in np.unique(shapes, axis=0):
        alike = np.flatnonzero((shapes == shape).all(axis=1))
        order[alike] = alike[torch.randperm(len(alike), generator=draws).numpy()]
    return order


def patch_rotation(grid: int) -> Suppression:
    """Return the suppression of shape by turning each tile of a raster by 0, 90, 180 or 270°.

    An image whose sides the grid does not divide is resized to the next square that it divides, and
    afterwards back (OpenCV's bilinear interpolation). Grid 1 turns the whole image.
    """
    return Suppression(f"patch_rotation/{grid}", partial(_rotated, grid=grid))


def _rotated(image: np.ndarray, draws: torch.Generator, grid: int) -> np.ndarray:
    height, width = image.shape[:2]
    size = -(-max(height, width) // grid) * grid
    fitted = image if image.shape[:2] == (size, size) else cv2.resize(image, (size, size))
    turns = torch.randint(4, (grid, grid), generator=draws).tolist()
    tiles = fitted.reshape(grid, size // grid, grid, size // grid, 3).swapaxes(1, 2)
    turned = [
        [np.rot90(tile, turn) for tile, turn in zip(*row, strict=True)]
        for row in zip(tiles, turns, strict=True)
    ]
    whole = np.concatenate([np.concatenate(row, axis=1) for row in turned])
    return whole if whole.shape == image.shape else cv2.resize(whole, (width, height))


def channel_shuffle() -> Suppression:
    """Return the suppression of colour by permuting red, green and blue (1 in 6: not at all)."""
    return Suppression(
        "channel_shuffle",
        lambda image, draws: image[..., torch.randperm(3, generator=draws).numpy()],
    )


def bilateral(diameter: int, sigma_colour: float) -> Suppression:
    """Return the suppression of texture by OpenCV's bilateral filter, which keeps strong edges.

    diameter: of the window, in pixels. sigma_colour: in levels of 0 … 255.
    """
    return Suppression(
        f"bilateral/{diameter}/{sigma_colour}",
        lambda image, _: cv2.bilateralFilter(image, diameter, sigma_colour, SIGMA_SPACE),
    )


def gaussian(width: int, sigma: float) -> Suppression:
    """Return the suppression of texture by OpenCV's Gaussian blur with a width x width kernel."""
    return Suppression(
        f"gaussian/{width}/{sigma}",
        lambda image, _: cv2.GaussianBlur(image, (width, width), sigma),
    )


def greyscale(alpha: float) -> Suppression:
    """Return the suppression of colour by blending the image with its greys (OpenCV's).

    alpha: the greys' part, 1 for a grey image. Blended in single precision and truncated to 8 bits,
    as published.
    """
    return Suppression(f"greyscale/{alpha:g}", partial(_blended, alpha=alpha))


def _blended(image: np.ndarray, _: torch.Generator, alpha: float) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32) / 255
    blend = (1 - alpha) * (image.astype(np.float32) / 255) + alpha * grey
    return np.clip(blend * 255, 0, 255).astype(np.uint8)


def nl_means(h: float) -> Suppression:
    """Return the suppression of texture by OpenCV's non-local means, on all three channels at once.

    h: the strength, in levels of 0 … 255.
    """
    return Suppression(
        f"nl_means/{h}",
        lambda image, _: cv2.fastNlMeansDenoising(
            image, h=h, templateWindowSize=TEMPLATE_WINDOW, searchWindowSize=SEARCH_WINDOW
        ),
        h,
    )
