"""Objects of the world on their own backgrounds and on others, as in ImageNet-9.

Elsewhere in this world, backgrounds are plain and tell nothing about the category. Here, they show
the texture of a category, paler than its objects do, as real backgrounds show where an object of
that category is found.
"""

from collections.abc import Iterator

import numpy as np

from bvg.data.imagenet9 import MIXED_RAND, MIXED_SAME, ORIGINAL
from miniature import world
from miniature.world import CATEGORIES, SIDE, Picture, generator

OBJECTS = 5  # of each category
CONTRAST = 0.2  # of a background's texture; 1 is that of an object's


def background(seed: int, picture: Picture) -> np.ndarray:
    """Return the background of a picture: float32 (224, 224, 3)."""
    rng = generator(seed, "imagenet9/background", picture)
    ground, other, _ = world.colours(rng).astype(np.float32)
    plain = world.background(ground, rng)
    return plain + CONTRAST * world.filling(picture.texture, rng, SIDE)[..., None] * (other - plain)


def foreground(seed: int, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Return the object's pixels (224, 224, 3), and how much of each it covers (224, 224, 1)."""
    rng = generator(seed, "imagenet9", picture)
    _, first, second = world.colours(rng).astype(np.float32)
    inside = world.silhouette(picture.shape, rng, SIDE)[..., None]
    return first + world.filling(picture.texture, rng, SIDE)[..., None] * (second - first), inside


def others(seed: int, picture: Picture) -> dict[str, Picture]:
    """Return whose background each mixed variant has."""
    shape, texture, number = picture
    drawn = int(generator(seed, "imagenet9/random", picture).integers(len(CATEGORIES)))
    after = (shape + 1) % len(CATEGORIES)
    return {
        MIXED_SAME: Picture(shape, texture, number % OBJECTS + 1),
        MIXED_RAND: Picture(drawn, drawn, number),
        "mixed_next": Picture(after, after, number),
    }


def variants(seed: int, picture: Picture) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield variant, file and picture (uint8) of an object under all variants of ImageNet-9.

    In `only_bg_t` nothing need be covered: the background was drawn without an object.
    """
    figure, inside = foreground(seed, picture)
    own = background(seed, picture)
    grounds = {ORIGINAL: own, "only_fg": np.zeros_like(own)}
    grounds |= {name: background(seed, of) for name, of in others(seed, picture).items()}
    images = {name: ground + inside * (figure - ground) for name, ground in grounds.items()}
    images |= {
        "only_bg_b": _without_box(own, inside),
        "only_bg_t": own,
        "no_fg": own * (1 - inside),
    }
    for variant, image in images.items():
        file = _name(picture)
        if variant in others(seed, picture):
            file = f"fg_{file}_bg_{_name(others(seed, picture)[variant])}"
        folder = f"{picture.shape:02d}_{CATEGORIES[picture.shape]}"
        yield variant, f"{folder}/{file}.JPEG", world.in_bytes(image)


def _name(picture: Picture) -> str:
    return f"{CATEGORIES[picture.shape]}_{picture.number}"


def _without_box(ground: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the background with the object's bounding box in black."""
    rows, columns = (np.flatnonzero(inside[..., 0].any(axis=axis)) for axis in (1, 0))
    box = ground.copy()
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 0
    return box
