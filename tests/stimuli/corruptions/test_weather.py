import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from bvg.stimuli.corruptions.weather import SNOW_ANGLES, fog, frost, snow, zoomed
from bvg.stimuli.randomness import keyed_generator
from oracles import corruptions_weather_digital as oracle
from stimulus_helpers import batch_of, photo_like

SEVERITIES = (1, 2, 3, 4, 5)
ALL = (snow, frost, fog)


def stored(x: torch.Tensor) -> np.ndarray:
    """Return the first image, clipped, (H, W, 3)."""
    return x[0].clamp(0, 1).permute(1, 2, 0).numpy()


def generator_of(corruption: str, severity: int) -> torch.Generator:
    return keyed_generator(3, f"{corruption}_{severity}", "a")


def photographs() -> tuple[torch.Tensor, ...]:
    return tuple(
        torch.from_numpy(photo_like(seed, *sides)).permute(2, 0, 1)
        for seed, sides in enumerate(((300, 240), (225, 226), (224, 400)))
    )


@pytest.mark.parametrize("severity", SEVERITIES)
def test_snow_is_the_definition(severity):
    image, generator = photo_like(severity), generator_of("snow", severity)
    crop = int(np.ceil(224 / oracle.SNOW[severity][2]))
    normal = torch.randn((crop, crop), generator=generator).double().numpy()
    share = float(torch.rand((), generator=generator))
    angle = SNOW_ANGLES[0] + share * (SNOW_ANGLES[1] - SNOW_ANGLES[0])
    assert -135 <= angle <= -45
    expected = oracle.snow(image, severity, normal, angle)
    ours = stored(snow(batch_of(image, names=("a",), seed=3), severity))
    difference = np.abs(ours - expected)
    # Where rounding takes a flake to another of its 255 steps: seldom, and by a step or two.
    assert (difference > 1e-5).mean() < 2e-4 and difference.max() < 3 / 255


@pytest.mark.parametrize("severity", SEVERITIES)
def test_frost_is_the_definition(severity):
    image, generator = photo_like(severity), generator_of("frost", severity)
    chosen = photographs()[int(torch.randint(3, (), generator=generator))]
    top, left = (
        int(torch.randint(max(1, side - 224), (), generator=generator)) for side in chosen.shape[1:]
    )
    crop = chosen[:, top : top + 224, left : left + 224].permute(1, 2, 0).numpy()
    ours = frost(batch_of(image, names=("a",), seed=3), severity, photographs())
    assert np.abs(stored(ours) - oracle.frost(image, severity, crop)).max() < 1e-6


@pytest.mark.parametrize("severity", SEVERITIES)
def test_fog_is_the_definition(severity):
    image = photo_like(severity) // 2
    draws = torch.rand(65535, generator=generator_of("fog", severity)).double().numpy() * 2 - 1
    ours = fog(batch_of(image, names=("a",), seed=3), severity)
    assert np.abs(stored(ours) - oracle.fog(image, severity, draws)).max() < 2e-6
    assert ours.max() <= image.max() / 255 + 1e-6


@pytest.mark.parametrize("corruption", ALL)
@pytest.mark.parametrize("severity", (1, 5))
def test_an_images_pixels_do_not_depend_on_its_batch(corruption, severity):
    images, names = [photo_like(seed) for seed in range(5)], tuple("abcde")
    batch = batch_of(*images, names=names, seed=1)
    in_memory = batch.pixels.to(memory_format=torch.channels_last)
    whole = corruption(dataclasses.replace(batch, pixels=in_memory), severity)
    assert whole.shape == (5, 3, 224, 224) and whole.dtype == torch.float32
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        part = batch_of(*images[start:stop], names=names[start:stop], seed=1)
        assert torch.equal(corruption(part, severity), whole[start:stop])


@pytest.mark.parametrize("corruption", ALL)
def test_seed_name_and_severity_change_the_weather_and_inputs_stay(corruption):
    image = photo_like(0)
    batch = batch_of(image, names=("a",))
    before = batch.pixels.clone()
    first = corruption(batch, 2)
    for other in (batch_of(image, names=("b",)), batch_of(image, names=("a",), seed=1)):
        assert (corruption(other, 2) - first).abs().mean() > 0.01
    assert torch.equal(corruption(batch, 2), first) and torch.equal(batch.pixels, before)


def similarities(corruption: Callable) -> list[float]:
    """Return the mean correlation of images with themselves in the weather, by severity."""
    batch = batch_of(*[photo_like(seed) for seed in range(8)])
    pixels = batch.pixels.flatten(1).numpy()
    means = []
    for severity in SEVERITIES:
        weather = corruption(batch, severity).clamp(0, 1).flatten(1).numpy()
        pairs = zip(pixels, weather, strict=True)
        means.append(float(np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs])))
    return means


def test_less_of_the_image_is_seen_at_higher_severities():
    one_pane = torch.from_numpy(photo_like(99)).permute(2, 0, 1)
    for corruption in (fog, partial(frost, photographs=[one_pane])):
        similar = similarities(corruption)
        assert similar == sorted(similar, reverse=True) and similar[0] > 0.3
    first, second, third, *last = similarities(snow)
    # Of the published snow, severity 4 hides more of such images than severity 5 does.
    assert first > second > third > max(last)


@pytest.mark.parametrize("grey", (0, 128, 255))
@pytest.mark.parametrize("corruption", ALL)
def test_constant_images_stay_finite(corruption, grey):
    batch = batch_of(np.full((224, 224, 3), grey, np.uint8))
    for severity in SEVERITIES:
        x = corruption(batch, severity)
        assert x.isfinite().all() and x.min() >= 0
    if corruption is fog and grey == 0:
        assert x.max() == 0  # fog is no brighter than the brightest pixel


def test_a_zoom_keeps_the_corners_and_a_straight_line():
    line = torch.arange(50.0).expand(1, 1, 50, 50)
    large = zoomed(line, 4.5, 225)
    assert large[0, 0, 0, 0] == 0 and large[0, 0, -1, -1] == 49
    steps = large[0, 0, 3].diff()
    assert torch.allclose(steps, torch.full_like(steps, 49 / 224), atol=1e-5)


def test_photographs_are_all_used_in_their_colours():
    red, blue = torch.zeros(2, 3, 230, 240, dtype=torch.uint8)
    red[0], blue[2] = 255, 255
    batch = batch_of(*[np.zeros((224, 224, 3), np.uint8)] * 32)
    means = frost(batch, 5, (red, blue)).mean((2, 3))
    assert {tuple(mean.tolist()) for mean in means} == {(0.75, 0, 0), (0, 0, 0.75)}
