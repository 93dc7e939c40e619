"""Low-pass and high-pass filtered images.

Definition (Gavrikov & Keuper, CVPR 2024, section on spectral biases): in the centred 2-D spectrum
of each channel, low-pass at cutoff c keeps the square of rows cy - r … cy + r - 1 and columns
likewise, r = int(c * (size // 2)); high-pass at c removes the square of int((1 - c) * (size // 2)).
The result is the real part of the inverse, clipped to [0, 1]. tests/oracles/spectral.py implements
this definition.

Here the same numbers are computed with less work. (1) All conditions share one transform. (2)
Before clipping, high-pass is the image minus the low-pass of the same square, and the 22 conditions
of 11 cutoffs need 11 squares. (3) The square has one more row and column on the negative side; the
real part of the output of such a mask is the output of its even part, H(k) = (M(k) + M(-k)) / 2,
which is 1 inside, 1/2 on the border, and 0 where a corner has no mirror image. So half of the
spectrum is enough. (4) Columns of zeros are not transformed.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch

LOWPASS, HIGHPASS = "lowpass", "highpass"
_CPU_BLOCK = 2  # images whose transforms fit into the cores' caches

Square = tuple[int, int]  # half-widths of the square in the spectrum: rows, columns


def bandpass(pixels: torch.Tensor, cutoffs: Sequence[float]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the images low-pass and high-pass filtered at each cutoff, (B, 3, H, W) in [0, 1].

    pixels: (B, 3, H, W) in [0, 1], of any size, square or not. cutoffs: shares of the frequency
    range that are kept, in (0, 1]; conditions are called lowpass/<cutoff> and highpass/<cutoff>.
    Within 1e-5 of the definition in double precision. Raises ValueError for other cutoffs.
    """
    if len(set(cutoffs)) < len(cutoffs) or not all(0 < cutoff <= 1 for cutoff in cutoffs):
        raise ValueError(f"cutoffs must be distinct and in (0, 1], not {tuple(cutoffs)}")
    pixels = pixels.contiguous()
    spectrum = torch.fft.rfft2(pixels)
    for square, conditions in _conditions_by_square(
        pixels.shape[2], pixels.shape[3], cutoffs
    ).items():
        yield from _filtered(pixels, spectrum, square, conditions)


def _filtered(
    pixels: torch.Tensor, spectrum: torch.Tensor, square: Square, conditions: list[str]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the conditions that need the low-pass of this square."""
    outputs = {condition: torch.empty_like(pixels) for condition in conditions}
    count = min(len(pixels), _CPU_BLOCK if pixels.device.type == "cpu" else len(pixels))
    height, width = pixels.shape[2:]
    columns = square[1] + 1  # of the half-spectrum; the others are 0 and need no transform
    weights = _even_part(height, width, square, pixels.device)
    padded = spectrum.new_zeros(count, *spectrum.shape[1:])
    for start in range(0, len(pixels), count):
        block = slice(start, start + count)
        kept = padded[: len(pixels[block])]
        kept[..., :columns] = torch.fft.ifft(spectrum[block, ..., :columns] * weights, dim=-2)
        low = torch.fft.irfft(kept, n=width, dim=-1)  # before clipping
        for condition, output in outputs.items():
            if condition.startswith(LOWPASS):
                torch.clamp(low, 0, 1, out=output[block])
            else:
                torch.sub(pixels[block], low, out=output[block]).clamp_(0, 1)
    yield from outputs.items()


def _conditions_by_square(
    height: int, width: int, cutoffs: Sequence[float]
) -> dict[Square, list[str]]:
    """Return the conditions that need the low-pass of each square."""
    # int(c * 112) in Python's double precision, as in the definition.
    shares = [(f"{LOWPASS}/{cutoff}", cutoff) for cutoff in cutoffs]
    shares += [(f"{HIGHPASS}/{cutoff}", 1 - cutoff) for cutoff in cutoffs]
    squares: dict[Square, list[str]] = {}
    for name, share in shares:
        square = (int(share * (height // 2)), int(share * (width // 2)))
        squares.setdefault(square, []).append(name)
    return squares


@cache
def _even_part(height: int, width: int, square: Square, device: torch.device) -> torch.Tensor:
    """Return H(k) = (M(k) + M(-k)) / 2 on the columns of the half-spectrum where it is not 0."""
    rows, columns = (
        np.fft.ifftshift((np.arange(size) >= size // 2 - r) & (np.arange(size) < size // 2 + r))
        for size, r in zip((height, width), square, strict=True)
    )
    mask = np.outer(rows, columns).astype(np.float32)
    mirrored = np.roll(mask[::-1, ::-1], (1, 1), axis=(0, 1))  # M(-k)
    return torch.from_numpy((mask + mirrored)[:, : square[1] + 1] / 2).to(device)
