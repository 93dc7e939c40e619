"""Visual anagrams of the miniature world: the same pieces, arranged to two silhouettes.

Unlike the published ones, which a diffusion model painted in 16 pieces, they are made of 256 pieces
of 16 pixels without texture: two silhouettes of equal area are cut into squares, each square of one
is assigned a square of the other that is as like it as possible, and both pictures are composed of
the pairs' means, in black and white. Both then have the same pieces, to the last pixel.
"""

from functools import cache

import numpy as np
from scipy.optimize import linear_sum_assignment

from miniature import world
from miniature.silhouettes import mask
from miniature.world import CATEGORIES, Picture, generator, in_bytes

SIDE = 256  # pixels, as published
PIECE = 16  # pixels a side
# Nine categories, as published: those of the most similar areas, so that their sizes are similar.
SHOWN = ("bolt", "comb", "cross", "dumbbell", "fish", "hourglass", "key", "star", "wave")
AREA = 0.14  # of the picture
TURN = np.pi / 12  # largest rotation in either direction
_UNIT = 100.0  # pixels, the radius at which a silhouette's area is measured


def ordered_pairs() -> list[tuple[str, str]]:
    """Return the 72 ordered pairs of two different categories, in alphabetical order."""
    return [(one, other) for one in SHOWN for other in SHOWN if one != other]


def anagram(one: str, other: str, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two pictures of a pair, uint8 (256, 256, 3), which show the two categories."""
    key = Picture(CATEGORIES.index(one), CATEGORIES.index(other), number)
    rng = generator(seed, "visual-anagrams", key)
    first, second = (_pieces(_silhouette(name, rng)) for name in (one, other))
    here, there = _matched(first, second)
    shared = (first[here] + second[there] > 255).astype(np.uint8)
    colours = in_bytes(world.colours(rng)[:2])  # of the ground and of the shape
    one_way, other_way = (_composed(shared[np.argsort(places)]) for places in (here, there))
    return colours[one_way], colours[other_way]


def _silhouette(name: str, rng: np.random.Generator) -> np.ndarray:
    """Return the mask of a category that covers AREA of the picture, near its centre.

    In whole numbers from 0 to 255, of which products and their sums over a piece are exact, so that
    the best assignment is the same on every machine.
    """
    x, y = SIDE / 2 + rng.uniform(-8, 8, 2)
    inside = mask(name, SIDE, (x, y), _radius(name), rng.uniform(-TURN, TURN))
    return np.rint(255 * inside)


@cache
def _radius(name: str) -> float:
    """Return the radius in pixels at which a category's silhouette covers AREA."""
    whole = mask(name, SIDE, (SIDE / 2, SIDE / 2), _UNIT, 0.0).mean()
    return _UNIT * float(np.sqrt(AREA / whole))


def _pieces(picture: np.ndarray) -> np.ndarray:
    """Return the squares of a picture (SIDE, SIDE), row by row: (pieces, PIECE, PIECE)."""
    across = SIDE // PIECE
    squares = picture.reshape(across, PIECE, across, PIECE).swapaxes(1, 2)
    return squares.reshape(-1, PIECE, PIECE)


def _matched(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of pieces of the one and of the other that belong together.

    Empty pieces and full ones belong to their like, as far as there are any, and the others to
    those of the least squared distance in all.
    """
    here, there = [], []
    for level in (0, 255):
        alike = [np.flatnonzero((of == level).all(axis=(1, 2))) for of in (first, second)]
        count = min(map(len, alike))
        here += alike[0][:count].tolist()
        there += alike[1][:count].tolist()
    rest = [np.setdiff1d(np.arange(len(first)), taken) for taken in (here, there)]
    some, others = (of[k].reshape(len(k), -1) for of, k in zip((first, second), rest, strict=True))
    # The rest of the squared distance is the same for every assignment.
    alike_most = linear_sum_assignment(np.einsum("ij,kj->ik", some, others), maximize=True)
    places = [k[chosen] for k, chosen in zip(rest, alike_most, strict=True)]
    return np.concatenate([here, places[0]]), np.concatenate([there, places[1]])


def _composed(pieces: np.ndarray) -> np.ndarray:
    """Return the picture of which these are the squares."""
    across = SIDE // PIECE
    return pieces.reshape(across, across, PIECE, PIECE).swapaxes(1, 2).reshape(SIDE, SIDE)
