"""Non-local means as OpenCV computes it, in whole numbers, for a batch and several strengths.

Source: Buades, Coll & Morel, "A non-local algorithm for image denoising", CVPR 2005, in OpenCV's
fixed-point form (cv2.fastNlMeansDenoising, 8-bit images, squared distances). Equal to OpenCV bit by
bit. For GPUs: the five strengths of one image would take OpenCV seconds on a core.

A pixel becomes the weighted mean of the pixels p + o around it. The weight follows from the squared
distance between the templates around p and p + o. Here one step of the loop is one offset o, for
all pixels: the strengths share the distances, and so do o and -o.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import pad

from bvg.stimuli.batch import on_device

_LARGEST = 2**31 - 1
_LEAST_WEIGHT = 0.001  # of the weight at distance 0; smaller ones count as 0


def denoised(
    images: torch.Tensor, strengths: Sequence[float], template: int, search: int
) -> list[torch.Tensor]:
    """Return the images denoised with each strength h, (B, C, H, W) uint8 as they are given.

    template, search: the widths of the windows; an even one counts as the next odd one.
    Needs about 6 bytes of memory per value and strength.
    """
    height, width = images.shape[2:]
    reach, around = search // 2, template // 2
    tables, shift = _weight_tables(strengths, images.shape[1], reach, around)
    tables = on_device(tables, images.device)
    border = reach + around
    # Not all of PyTorch's devices pad whole numbers; in single precision, 0 … 255 are exact.
    whole = pad(images.float(), (border,) * 4, mode="reflect").int()
    sums = torch.zeros(len(tables), *images.shape, dtype=torch.int32, device=images.device)
    weights = torch.zeros_like(sums[:, :, :1])

    def window(top: int, left: int, rows: int, columns: int) -> torch.Tensor:
        """Return this part of the padded images; the pixel (0, 0) is the images' own."""
        return whole[..., border + top :, border + left :][..., :rows, :columns]

    for y in range(reach + 1):
        for x in range(-reach if y else 0, reach + 1):
            # Of p and of p - o, for all pixels p: o and -o need the same distances.
            top, left = -y, min(0, -x)
            size = (height + y, width + abs(x))
            wide = (size[0] + 2 * around, size[1] + 2 * around)
            difference = window(top - around, left - around, *wide)
            difference = difference - window(top - around + y, left - around + x, *wide)
            squares = difference.square_().sum(1, dtype=torch.int32)
            distances = _box_sums(squares, 2 * around + 1) >> shift
            indices = distances.clamp_(max=tables.shape[1] - 1).flatten()
            for table, total, weight_sum in zip(tables, sums, weights, strict=True):
                weight = table.index_select(0, indices).view(-1, 1, *size)
                for sign in (1, -1) if y or x else (1,):
                    first = (y, -left) if sign == 1 else (0, -x - left)
                    own = weight[..., first[0] :, first[1] :][..., :height, :width]
                    weight_sum += own
                    total.addcmul_(own, window(sign * y, sign * x, height, width))
    return [_rounded_mean(total, weight) for total, weight in zip(sums, weights, strict=True)]


def _weight_tables(
    strengths: Sequence[float], channels: int, reach: int, around: int
) -> tuple[torch.Tensor, int]:
    """Return each strength's weights by distance, (S, D) int32, and what distances are shifted by.

    The sum of squares over the template, shifted by the returned number of bits, is the place in
    the table; the last one, 0, stands for all distances beyond.
    """
    area = (2 * around + 1) ** 2
    shift = (area - 1).bit_length()  # dividing by the next power of two instead of the area
    per_step = 2**shift / area
    distances = np.arange(int(channels * 255**2 / per_step + 1)) * per_step
    unit = _LARGEST // ((2 * reach + 1) ** 2 * 255)  # so that no sum overflows
    h = np.array(strengths, np.float32)[:, None]  # as OpenCV takes it
    scale = (h * h * channels).astype(np.float64)
    tables = np.rint(unit * np.exp(-distances / scale))
    tables[tables < _LEAST_WEIGHT * unit] = 0
    last = int(np.flatnonzero(tables.any(axis=0))[-1]) + 1
    padded = np.pad(tables, ((0, 0), (0, 1)))
    return torch.from_numpy(padded[:, : last + 1].astype(np.int32)), shift


def _box_sums(values: torch.Tensor, width: int) -> torch.Tensor:
    """Return the sums of width x width values, (B, H - width + 1, W - width + 1) int32."""
    for axis in (1, 2):
        places = values.shape[axis] - width + 1
        running = values.cumsum(axis, dtype=torch.int32)
        values = running.narrow(axis, width - 1, places).clone()
        values.narrow(axis, 1, places - 1).sub_(running.narrow(axis, 0, places - 1))
    return values


def _rounded_mean(total: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    weight = weight.long()
    return ((total.long() + weight // 2) // weight).to(torch.uint8)
