"""The Laplacian pyramid of a field, with each level up-sampled to full size.

Every step (filter, drop every second row, insert zeros) is linear and acts on rows and columns
separately, so a level is a matrix product on both sides: S_l = U_l g_l U_l', where g_l is the field
down-sampled l times and U_l the l-fold up-sampling. The matrices are built in double precision from
the definition of one step; tests/oracles/critical_band.py performs the steps themselves.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch

from bvg.stimuli.batch import full_precision

# Burt & Adelson's binomial filter, times sqrt(2) per direction as in pyrtools' "binom5".
_TAPS = np.sqrt(2) * np.array([1, 4, 6, 4, 1]) / 16


def laplacian_levels(field: torch.Tensor, levels: int) -> Iterator[torch.Tensor]:
    """Yield the pyramid's levels from the finest to the low-pass residual, (B, H, W) each.

    field: (B, H, W) float. The levels sum to the field.
    """
    small, blurred = field, field
    for level in range(1, levels):
        rows, columns = (_matrices(size, level, field.device) for size in field.shape[1:])
        with full_precision():
            small = rows[0] @ small @ columns[0].T
            coarser = rows[1] @ small @ columns[1].T
        yield blurred - coarser
        blurred = coarser
    yield blurred


@cache
def _matrices(size: int, level: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two matrices: from level - 1 down to `level`, and from there up to the full size."""
    up = np.eye(size)
    for _ in range(level):
        size, finer = (size + 1) // 2, size
        smooth = _smoothing(finer)
        up = up @ smooth[:, ::2]  # zeros inserted, then smoothed
    down = smooth[::2]  # smoothed, then every second one kept
    return tuple(torch.from_numpy(m).float().to(device) for m in (down, up))  # type: ignore[return-value]


def _smoothing(size: int) -> np.ndarray:
    """Return the filter as a matrix; borders are mirrored without repeating the edge."""
    matrix = np.zeros((size, size))
    for row in range(size):
        for tap, weight in enumerate(_TAPS):
            matrix[row, _mirrored(row + tap - 2, size)] += weight
    return matrix


def _mirrored(index: int, size: int) -> int:
    """Return `index` mirrored at the first and last element into 0 … size - 1."""
    period = max(1, 2 * (size - 1))
    index = abs(index) % period
    return min(index, period - index)
