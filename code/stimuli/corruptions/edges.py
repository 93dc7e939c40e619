"""Canny edges and distances from them in whole numbers, as OpenCV computes them, batched.

Sources: Canny, IEEE TPAMI 1986; Borgefors, "Distance transformations in digital images", CVGIP
1986. ImageNet-C's water drops are made from these two; whole numbers make them equal to OpenCV's
cv2.Canny and cv2.distanceTransform (DIST_L2, mask 5), whatever the machine.
"""

import numpy as np
from scipy import ndimage

UNIT = 10000
# Borgefors' 5 x 5 mask: one step along an axis, along a diagonal, and a knight's move.
_STRAIGHT, _DIAGONAL, _KNIGHT = UNIT, 14_000, 21_969
_FAR = 10_000 * UNIT
_TANGENT = 13573  # of 22.5 degrees, in 1/32768


def canny(images: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return where the edges are, (B, H, W) bool, of images (B, H, W) uint8.

    Sobel 3 x 3 gradients, |dx| + |dy| as their strength; ridges stronger than `low` are edges if
    they are connected (8 neighbours) to ones stronger than `high`.
    """
    dx, dy = _sobel(images)
    strength = np.abs(dx) + np.abs(dy)
    ridges = _ridges(dx, dy, strength) & (strength > low)
    labels, count = ndimage.label(ridges, structure=_WITHIN_AN_IMAGE)
    strong = np.zeros(count + 1, bool)
    strong[labels[ridges & (strength > high)]] = True
    return strong[labels]


# Neighbours in the same image only; images of a batch are not connected.
_WITHIN_AN_IMAGE = np.zeros((3, 3, 3), int)
_WITHIN_AN_IMAGE[1] = 1


def _sobel(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    padded = np.pad(images.astype(np.int32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    columns = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    rows = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    return columns[:, :, 2:] - columns[:, :, :-2], rows[:, 2:] - rows[:, :-2]


def _ridges(dx: np.ndarray, dy: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return where strength is largest across the edge; of two equals on an axis, the later."""
    padded = np.pad(strength, ((0, 0), (1, 1), (1, 1)))
    height, width = strength.shape[1:]

    def at(down: int, right: int) -> np.ndarray:
        """Return the strength of each pixel's neighbour."""
        return padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    across, along = np.abs(dx), np.abs(dy) << 15
    shallow = across * _TANGENT
    horizontal = along < shallow
    vertical = along > shallow + (across << 16)  # tan 67.5° = tan 22.5° + 2
    falling = (dx ^ dy) >= 0  # the gradient points down to the right, or up to the left
    side = (strength > at(0, -1)) & (strength >= at(0, 1))
    upright = (strength > at(-1, 0)) & (strength >= at(1, 0))
    diagonal = np.where(
        falling,
        (strength > at(-1, -1)) & (strength > at(1, 1)),
        (strength > at(-1, 1)) & (strength > at(1, -1)),
    )
    return np.where(horizontal, side, np.where(vertical, upright, diagonal))


def distances(edges: np.ndarray) -> np.ndarray:
    """Return the distance from the nearest edge pixel, (B, H, W) int32 in 1/10000 of a pixel.

    The length of the shortest path of steps along axes, along diagonals (1.4) and knight's moves
    (2.1969). 10,000 pixels where an image has no edge.
    """
    batch, height, width = edges.shape
    # Rows first, so that a row of all images is one piece of memory; two columns beside it.
    far = np.full((height, batch, width + 4), _FAR, np.int32)
    inner = far[:, :, 2:-2]
    inner[edges.transpose(1, 0, 2)] = 0
    # A shortest path is steps of at most two kinds: those along the row can come first …
    positions = np.arange(width, dtype=np.int32) * _STRAIGHT
    _spread(inner, positions)
    _spread(inner[:, :, ::-1], positions)
    # … and all others lead down, or all lead up.
    _scan(far)
    _scan(far[::-1])
    return np.ascontiguousarray(inner.transpose(1, 0, 2))


def _spread(rows: np.ndarray, positions: np.ndarray) -> None:
    """Let each element be at most a step farther than the one before it, in place."""
    rows -= positions
    np.minimum.accumulate(rows, axis=2, out=rows)
    rows += positions


def _scan(rows: np.ndarray) -> None:
    """Let each row be at most a straight, diagonal or knight's move from those above it."""
    inner = [row[:, 2:-2] for row in rows]
    steps = np.empty_like(inner[0])
    for y in range(1, len(rows)):
        above = rows[y - 1]
        np.add(inner[y - 1], _STRAIGHT, out=steps)
        np.minimum(inner[y], steps, out=inner[y])
        np.minimum(above[:, 1:-3], above[:, 3:-1], out=steps)
        steps += _DIAGONAL
        np.minimum(inner[y], steps, out=inner[y])
        np.minimum(above[:, :-4], above[:, 4:], out=steps)
        if y > 1:
            np.minimum(steps, rows[y - 2][:, 1:-3], out=steps)
            np.minimum(steps, rows[y - 2][:, 3:-1], out=steps)
        steps += _KNIGHT
        np.minimum(inner[y], steps, out=inner[y])
