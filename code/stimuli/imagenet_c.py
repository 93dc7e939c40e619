"""The conditions of ImageNet-C, made from clean 224 x 224 crops: 19 corruptions of 5 severities.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. stimuli/corruptions has the corruptions; here is what they share: their
names and groups, the 8 bits that images are stored in, and the JPEG files that were published.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from basics.errors import UserError
from stimuli.batch import Batch, Stimuli
from stimuli.corruptions.blur import defocus_blur, gaussian_blur, motion_blur, zoom_blur
from stimuli.corruptions.digital import (
    brightness,
    contrast,
    jpeg,
    jpeg_compression,
    pixelate,
    saturate,
)
from stimuli.corruptions.filters import quantised
from stimuli.corruptions.geometry import elastic_transform
from stimuli.corruptions.glass import glass_blur
from stimuli.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from stimuli.corruptions.spatter import spatter
from stimuli.corruptions.weather import fog, frost, snow

Corruption = Callable[[Batch, int], torch.Tensor]

SIZE = 224  # pixels; blurs, offsets and displacements are given for crops of this size
SEVERITIES = (1, 2, 3, 4, 5)
PUBLISHED_QUALITY = 85  # of the published JPEG files
GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    "extra": ("speckle_noise", "gaussian_blur", "spatter", "saturate"),
}
STANDARD = tuple(name for group, names in GROUPS.items() if group != "extra" for name in names)
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
# Where the published files were made otherwise than their definition says.
PUBLISHED_OTHERWISE: dict[str, Corruption] = {
    "motion_blur": partial(motion_blur, published=True),
    "zoom_blur": partial(zoom_blur, published=True),
}


def condition_name(corruption: str, severity: int) -> str:
    """Return the study's name of a condition, as in top1_acc/<name>."""
    return f"{corruption}_{severity}"


def imagenet_c(
    corruptions: Iterable[str] = tuple(CORRUPTIONS),
    severities: Iterable[int] = SEVERITIES,
    as_published: bool = False,
    frost_photographs: Sequence[torch.Tensor] | None = None,
    before_jpeg: bool = False,
) -> Stimuli:
    """Return a generator of the images under each corruption and severity, corruption-major.

    It yields (B, 3, 224, 224) in [0, 1] whose values are k / 255: clipped and truncated, as 8 bits
    hold them. as_published: as in the published files, which are JPEG (quality 85, 4:2:0), and in
    which the blurs that take `published` were made otherwise than defined.
    before_jpeg: leave the last step of as_published out, to whoever writes the files.
    frost_photographs: (3, h, w) uint8 RGB each; None for a procedural stand-in.
    Raises UserError for an unknown corruption or severity; the generator, for crops of another
    size, before it does anything.
    """
    chosen = [(name, severity) for name in tuple(corruptions) for severity in tuple(severities)]
    for name, severity in chosen:
        _check(name, severity)
    functions = CORRUPTIONS | (PUBLISHED_OTHERWISE if as_published else {})
    functions["frost"] = partial(frost, photographs=frost_photographs)

    def stimuli(batch: Batch) -> Iterator[tuple[str, torch.Tensor]]:
        if batch.pixels.shape[2:] != (SIZE, SIZE):
            height, width = batch.pixels.shape[2:]
            raise UserError(
                f"the corruptions of ImageNet-C are defined for images of {SIZE} x {SIZE} pixels, "
                f"not {height} x {width}: use --preprocess study"
            )
        batch = replace(batch, pixels=batch.pixels.contiguous())
        for name, severity in chosen:
            x = quantised(functions[name](batch, severity))
            if as_published and not before_jpeg:
                x = jpeg(x, PUBLISHED_QUALITY)
            yield condition_name(name, severity), x

    return stimuli


def _check(corruption: str, severity: int) -> None:
    """Raise UserError unless ImageNet-C has the corruption at that severity."""
    if corruption not in CORRUPTIONS:
        known = ", ".join(CORRUPTIONS)
        raise UserError(f"no corruption is called {corruption!r}; choose from {known}")
    if severity not in SEVERITIES:
        raise UserError(f"severities are 1 to 5, not {severity!r}; choose from these")
