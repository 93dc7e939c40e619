"""Critical-band masking: low-contrast grey images under noise of one octave of spatial frequency.

Source: Subramanian, Sizikova, Majaj & Pelli, "Spatial-frequency channels, shape bias, and
adversarial robustness", NeurIPS 2023 (noise after Solomon & Pelli, Nature 1994), as Gavrikov &
Keuper (CVPR 2024) use it. tests/oracles/critical_band.py implements the definition pixel by pixel.

All noisy conditions of an image come from one field of noise, keyed by (seed, image): its pyramid
gives the bands, and scaling the strengths.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import isclose

import torch
from torch.nn.functional import threshold

from bvg.errors import UserError
from bvg.stimuli.batch import Batch, on_its_way
from bvg.stimuli.laplacian import laplacian_levels
from bvg.stimuli.randomness import keyed_generator, keyed_normal

SIZE = 224  # pixels; band f is centred at 1.75 * 2**f cycles per image only at this size
FINEST = 6  # the band of the pyramid's first level
CONTRAST, GREY = 0.2, 0.449
FURTHEST = 0.9  # for noise beyond ±0.9, no change of the image keeps the sum in [0, 1]
_NEXT_TO_0, _NEXT_TO_1 = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).eps
_MARGIN = 1e-6  # for rounding, where bounds on a sum decide whether pixels must be checked


def condition_name(band: int, deviation: float) -> str:
    """Return the study's name of a condition, as in top1_acc/<name>."""
    return f"criticalband/f={band}/sd={deviation}"


WITHOUT_NOISE = condition_name(0, 0)


def critical_band(
    batch: Batch, bands: Sequence[int], deviations: Sequence[float]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the grey images without noise, then under noise of each band and standard deviation.

    bands: octaves f, at most 6, centred at 1.75 * 2**f cycles per image. deviations: SD of the
    noise, each twice the one before, as the channel counts octaves of noise; the images' greys span
    0.2. Each condition is (B, 3, 224, 224) in [0, 1]; its three channels share memory.
    Raises UserError for other deviations or images of another size, ValueError for a band above 6.
    """
    if any(not isclose(above, 2 * below) for below, above in pairwise(deviations)):
        raise UserError(
            f"strengths of noise must double from one to the next, not {tuple(deviations)}: the "
            "channel counts steps of an octave"
        )
    if batch.pixels.shape[2:] != (SIZE, SIZE):
        height, width = batch.pixels.shape[2:]
        raise UserError(
            f"the critical band is defined for images of {SIZE} x {SIZE} pixels (in others, its "
            f"bands would have other frequencies), not {height} x {width}: use --preprocess study"
        )
    grey = low_contrast_grey(batch.pixels)
    field = keyed_normal(batch, "criticalband", (SIZE, SIZE))
    octaves = list(octave_bands(field, bands))
    arrived = _extremes(grey, *(noise for _, noise in octaves))
    yield WITHOUT_NOISE, _in_colour(grey)
    # A GPU is waited for here, but has the first condition to answer meanwhile.
    (darkest, brightest), *extremes = arrived().tolist()
    for (band, noise), (lowest, highest) in zip(octaves, extremes, strict=True):
        for deviation in deviations:
            name = condition_name(band, deviation)
            masked = torch.add(grey, noise, alpha=deviation)
            low, high = lowest * deviation, highest * deviation
            if darkest + low < _MARGIN or brightest + high > 1 - _MARGIN:
                far = max(-low, high) > FURTHEST - _MARGIN
                lost = clip_noise(masked, noise * deviation if far else None)
                if lost is not None:
                    _redraw(masked, grey, lost, deviation, batch, name)
            yield name, _in_colour(masked)


def low_contrast_grey(pixels: torch.Tensor) -> torch.Tensor:
    """Return (B, H, W) greys of low contrast around 0.449 from (B, 3, H, W) RGB in [0, 1].

    The luma is Pillow's mode "L", bit for bit: with 8-bit channels every product and sum below is
    a whole number under 2**24, which float32 holds exactly.
    """
    red, green, blue = (pixels * 255).round().unbind(1)
    luma = ((19595 * red + 38470 * green + 7471 * blue + 32768) / 65536).floor()
    # Integers are summed, so that the mean does not depend on the order of summation.
    mean = luma.to(torch.int32).sum(dim=(1, 2), dtype=torch.int64) / luma[0].numel()
    return (luma - mean.view(-1, 1, 1)) / 255 * CONTRAST + GREY


def octave_bands(field: torch.Tensor, bands: Sequence[int]) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (f, octave f of the field) from the finest band down, all scaled to the strength of 6.

    field: (B, 224, 224) unit noise. Strength is the root mean square per image, including the mean.
    The coarsest level of the pyramid, f = 0 (or the lowest band, if lower), is the low-pass
    residual and contains all lower frequencies.
    """
    if max(bands) > FINEST:
        raise ValueError(f"no band is above {FINEST}, the finest octave of {SIZE} pixels")
    coarsest = min(0, *bands)
    octaves = range(FINEST, coarsest - 1, -1)
    finest: torch.Tensor | None = None
    for band, level in zip(octaves, laplacian_levels(field, len(octaves)), strict=True):
        if finest is None or band in bands:
            strength = torch.linalg.vector_norm(level, dim=(1, 2), keepdim=True)
            finest = strength if finest is None else finest
            if band in bands:
                yield band, level * (finest / strength)


def clip_noise(masked: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor | None:
    """Set pixels outside [0, 1] to 0.1 or 0.9, in place, and return which ones are lost.

    A pixel below 0 (above 1) becomes 0.1 (0.9): the image under the noise is changed. If the noise
    is too strong for any image, the pixel is lost and its noise must be redrawn.
    masked: grey + noise, float32. noise: None if none is beyond ±0.9, so that nothing can be lost.
    """
    lost = None
    if noise is not None:
        lost = ((masked < 0) & (0.1 - noise > 1)) | ((masked > 1) & (0.9 - noise < 0))
    # threshold(x, t, v) keeps x > t and sets the rest to v in one pass instead of four.
    threshold(masked, -_NEXT_TO_0, 0.1, inplace=True)
    threshold(masked.neg_(), -1 - _NEXT_TO_1, -0.9, inplace=True).neg_()
    return lost


def _extremes(*fields: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return what waits for the least and the greatest value of each field, (fields, 2)."""
    return on_its_way(torch.stack([torch.stack(field.aminmax()) for field in fields]))


def _redraw(
    masked: torch.Tensor,
    grey: torch.Tensor,
    lost: torch.Tensor,
    deviation: float,
    batch: Batch,
    condition: str,
) -> None:
    """Replace the noise of lost pixels, in place, by white noise that stays in [0, 1].

    A pixel takes its noise from the first of the image's fields of draws that fits, so that it does
    not depend on which other pixels or images are lost.
    """
    for number in lost.flatten(1).any(dim=1).nonzero().flatten().tolist():
        generator = keyed_generator(batch.seed, condition, batch.names[number])
        missing = lost[number].clone()
        while missing.any():
            draws = torch.randn(missing.shape, generator=generator).to(grey.device) * deviation
            drawn = grey[number] + draws
            fits = missing & (drawn >= 0) & (drawn <= 1)
            masked[number] = torch.where(fits, drawn, masked[number])
            missing &= ~fits


def _in_colour(grey: torch.Tensor) -> torch.Tensor:
    return grey.unsqueeze(1).expand(-1, 3, -1, -1)
