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
    here, there = linear_sum_assignment(_distances(first, second))
    shared = (first[here] + second[there] > 255).astype(np.float32)
    ground, figure, _ = world.colours(rng).astype(np.float32)
    pictures = []
    for places in (here, there):
        arranged = np.empty_like(shared)
        arranged[places] = shared
        inside = _composed(arranged)[..., None]
        pictures.append(in_bytes(ground + inside * (figure - ground)))
    return pictures[0], pictures[1]


def _silhouette(name: str, rng: np.random.Generator) -> np.ndarray:
    """Return the mask of a category that covers AREA of the picture, near its centre.

    In whole numbers from 0 to 255, of which products and their sums over a piece are exact in
    float32, so that the best assignment is the same on every machine.
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


def _distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the squared distance of each piece of `some` from each of `others`, up to constants.

    Constants of a row or a column do not change which assignment is best.
    """
    return -some.reshape(len(some), -1) @ others.reshape(len(others), -1).T


def _composed(pieces: np.ndarray) -> np.ndarray:
    """Return the picture of which these are the squares."""
    across = SIDE // PIECE
    return pieces.reshape(across, across, PIECE, PIECE).swapaxes(1, 2).reshape(SIDE, SIDE)
