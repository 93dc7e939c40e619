"""The conditions of ImageNet-C, made from clean 224 x 224 crops: 19 corruptions at 5 severities.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. The corruptions themselves are in stimuli/corruptions.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from bvg.data.folders import existing_folder
from bvg.data.imagenet_c import SEVERITIES, corruption_condition
from bvg.errors import UserError
from bvg.stimuli.batch import Batch, Stimuli, bytes_on_their_way, in_planes
from bvg.stimuli.corruptions.blur import defocus_blur, gaussian_blur, motion_blur, zoom_blur
from bvg.stimuli.corruptions.digital import (
    brightness,
    compressed,
    contrast,
    jpeg_compression,
    pixelate,
    saturate,
)
from bvg.stimuli.corruptions.filters import quantised
from bvg.stimuli.corruptions.frost_textures import load_frost, published_frost
from bvg.stimuli.corruptions.geometry import elastic_transform
from bvg.stimuli.corruptions.glass import glass_blur
from bvg.stimuli.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from bvg.stimuli.corruptions.spatter import spatter
from bvg.stimuli.corruptions.weather import fog, frost, snow

Corruption = Callable[[Batch, int], torch.Tensor]

SIZE = 224  # pixels; blurs, offsets and displacements are given for crops of this size
PROCEDURAL = "procedural"  # synthetic frost, in --frost and in the protocol of a result
PUBLISHED_QUALITY = 85  # of the published JPEG files
# Add your own: (batch, severity) → (B, 3, H, W) in [0, 1]. ImageNet-C's severities are 1 to 5.
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "saturate": saturate,
}
_PUBLISHED = tuple(CORRUPTIONS)
_QUANTISED = (pixelate, jpeg_compression)  # their values are k / 255
# Corruptions whose published files deviate from their definition.
DEVIATIONS: dict[str, Corruption] = {
    "motion_blur": partial(motion_blur, published=True),
    "zoom_blur": partial(zoom_blur, published=True),
}


def imagenet_c(
    corruptions: Iterable[str],
    severities: Iterable[int] = SEVERITIES,
    as_published: bool = False,
    frost_photographs: Sequence[torch.Tensor] | None = None,
    before_jpeg: bool = False,
) -> Stimuli:
    """Return a generator of the images under each corruption and severity, corruption-major.

    It yields (B, 3, 224, 224) in [0, 1] with values k / 255: clipped and truncated to 8 bits.
    as_published: as in the published files, which are JPEG (quality 85, 4:2:0) and deviate from the
    definition of some blurs (DEVIATIONS).
    before_jpeg: omit the JPEG compression of as_published, for callers that write JPEG files.
    frost_photographs: (3, h, w) uint8 RGB each; None for synthetic textures.
    Raises UserError for an unknown corruption or severity, and, when the generator is used, for
    crops of another size.
    """
    chosen = [(name, severity) for name in tuple(corruptions) for severity in tuple(severities)]
    for name, severity in chosen:
        _check(name, severity)
    functions = CORRUPTIONS | (DEVIATIONS if as_published else {})
    functions["frost"] = partial(frost, photographs=frost_photographs)

    def made(batch: Batch) -> Iterator[tuple[str, torch.Tensor]]:
        if batch.pixels.shape[2:] != (SIZE, SIZE):
            height, width = batch.pixels.shape[2:]
            raise UserError(
                f"the corruptions of ImageNet-C are defined for images of {SIZE} x {SIZE} pixels, "
                f"not {height} x {width}: use --preprocess study"
            )
        batch = in_planes(batch)
        for name, severity in chosen:
            x = functions[name](batch, severity)
            x = x if functions[name] in _QUANTISED else quantised(x)
            yield corruption_condition(name, severity), x

    if as_published and not before_jpeg:
        return lambda batch: _as_files(made(batch))
    return made


def _as_files(
    stimuli: Iterator[tuple[str, torch.Tensor]],
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield stimuli after the published files' JPEG compression.

    The next one is made before one is compressed, so that a GPU is never waited for while it has
    nothing to do.
    """
    waiting: tuple[str, Callable[[], np.ndarray], torch.device] | None = None
    for name, x in stimuli:
        following = (name, bytes_on_their_way(x), x.device)
        if waiting:
            yield _as_file(*waiting)
        waiting = following
    if waiting:
        yield _as_file(*waiting)


def _as_file(
    name: str, levels: Callable[[], np.ndarray], device: torch.device
) -> tuple[str, torch.Tensor]:
    return name, compressed(levels(), PUBLISHED_QUALITY, device)


def _check(name: str, severity: int) -> None:
    """Raise UserError for an unknown corruption, or a severity that ImageNet-C does not have."""
    if name not in CORRUPTIONS:
        known = ", ".join(CORRUPTIONS)
        raise UserError(f"unknown corruption {name!r}: choose from {known}")
    if name in _PUBLISHED and severity not in SEVERITIES:
        raise UserError(
            f"{name} is defined at severities 1 to 5, not {severity!r}: choose from these, or add "
            "a corruption"
        )


def frost_source(
    folder: str | None, corruptions: Iterable[str]
) -> tuple[tuple[torch.Tensor, ...] | None, str | None]:
    """Return the frost photographs to use, and a description of their source for the record.

    folder: the photographs' folder, PROCEDURAL, or None for the published ones if the package
    imagecorruptions is installed, else PROCEDURAL. Returns (None, PROCEDURAL) for synthetic frost,
    (None, None) if frost is not among the corruptions.
    """
    if "frost" not in corruptions:
        return None, None
    if folder is None:
        photographs = published_frost()
    elif folder == PROCEDURAL:
        photographs = None
    else:
        photographs = load_frost(
            existing_folder(folder, "the folder of frost photographs", "--frost")
        )
    if photographs is None:
        return None, PROCEDURAL
    digest = hashlib.sha256()
    for photograph in photographs:
        digest.update(f"{photograph.dtype}{tuple(photograph.shape)}".encode())
        digest.update(photograph.cpu().contiguous().numpy().tobytes())
    return photographs, f"{len(photographs)} photographs, {digest.hexdigest()[:16]}"
