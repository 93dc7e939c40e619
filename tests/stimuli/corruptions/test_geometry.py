import dataclasses

import numpy as np
import pytest
import torch

from bvg.stimuli.corruptions.geometry import ELASTIC_TRANSFORM, affine_sources, elastic_transform
from bvg.stimuli.randomness import keyed_generator
from oracles import corruptions_weather_digital as oracle
from stimulus_helpers import batch_of, photo_like

SEVERITIES = (1, 2, 3, 4, 5)


def draws(severity: int, seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    generator = keyed_generator(seed, f"elastic_transform_{severity}", name)
    moves = torch.rand((3, 2), generator=generator)
    shifts = torch.rand((2, 224, 224), generator=generator)
    return moves.double().numpy() * 2 - 1, shifts.double().numpy() * 2 - 1


@pytest.mark.parametrize("severity", SEVERITIES)
def test_images_are_the_definition(severity):
    image = photo_like(severity)
    moves, shifts = draws(severity, 3, "a")
    expected = oracle.elastic_transform(image, severity, moves, shifts)
    ours = elastic_transform(batch_of(image, names=("a",), seed=3), severity)
    difference = np.abs(ours[0].permute(1, 2, 0).numpy() - expected)
    # A coordinate that rounding takes to the next 1/32 pixel moves a value by a 32nd of a step.
    assert difference.mean() < 5e-6 and difference.max() < 5e-3
    assert (difference > 2e-4).mean() < 1e-3


def test_parameters_are_multiples_of_244():
    for ours, severity in zip(ELASTIC_TRANSFORM, SEVERITIES, strict=True):
        assert ours == pytest.approx(oracle.ELASTIC[severity])


def test_points_that_do_not_move_leave_the_image():
    x, y = affine_sources(np.zeros((3, 2), np.float32), 224, 224)
    assert np.array_equal(x, np.tile(np.arange(224), (224, 1)))
    assert np.array_equal(y, x.T)


def test_a_common_move_shifts_and_coordinates_are_32nds():
    x, y = affine_sources(np.full((3, 2), [2.26, -3.5], np.float32), 224, 224)
    # The content goes where the points go, so that a pixel comes from the other side.
    assert x[5, 100] == 100 - round(2.26 * 32) / 32 and y[100, 5] == 103.5
    assert np.array_equal(x * 32, np.rint(x * 32))


def test_an_images_pixels_do_not_depend_on_its_batch():
    images, names = [photo_like(seed) for seed in range(5)], tuple("abcde")
    batch = batch_of(*images, names=names, seed=1)
    pixels = batch.pixels.to(memory_format=torch.channels_last)
    before = pixels.clone()
    for severity in (1, 5):
        whole = elastic_transform(dataclasses.replace(batch, pixels=pixels), severity)
        for start, stop in ((0, 1), (1, 3), (3, 5)):
            part = batch_of(*images[start:stop], names=names[start:stop], seed=1)
            assert torch.equal(elastic_transform(part, severity), whole[start:stop])
    assert torch.equal(pixels, before)


def test_seed_name_and_severity_change_the_transformation():
    image = photo_like(0)
    first = elastic_transform(batch_of(image, names=("a",)), 3)
    for batch in (batch_of(image, names=("b",)), batch_of(image, names=("a",), seed=1)):
        assert (elastic_transform(batch, 3) - first).abs().mean() > 0.005
    assert (elastic_transform(batch_of(image, names=("a",)), 4) - first).abs().mean() > 0.005


@pytest.mark.parametrize("grey", (0, 128, 255))
def test_constant_images_stay_as_they_are(grey):
    batch = batch_of(np.full((224, 224, 3), grey, np.uint8))
    for severity in SEVERITIES:
        assert (elastic_transform(batch, severity) - batch.pixels).abs().max() < 1e-6
