import numpy as np
import pytest
import torch

from bvg.stimuli.corruptions.plasma import DRAWS, plasma
from oracles import corruptions_weather_digital as oracle


def uniform(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((count, DRAWS), generator=generator) * 2 - 1


@pytest.mark.parametrize("decay", (2.0, 1.4))
def test_heights_are_those_of_a_point_by_point_loop(decay):
    draws = uniform(2)
    for ours, numbers in zip(plasma(draws, decay), draws.double().numpy(), strict=True):
        assert np.abs(ours.numpy() - oracle.plasma(numbers, decay)).max() < 1e-6


def test_heights_fill_the_unit_interval_and_wrap_round():
    heights = plasma(uniform(3), 2)
    assert heights.shape == (3, 256, 256)
    assert (heights.amin((1, 2)) == 0).all() and (heights.amax((1, 2)) == 1).all()
    seam = (heights[:, 0] - heights[:, -1]).abs().mean()
    inside = heights.diff(dim=1).abs().mean()
    assert seam < 2 * inside


def test_a_smaller_decay_is_rougher():
    rough, smooth = (plasma(uniform(8), decay).diff(dim=1).abs().mean() for decay in (1.4, 2))
    assert rough > 2 * smooth


def test_too_few_draws_are_an_error():
    with pytest.raises(RuntimeError):
        plasma(uniform(1)[:, :-1], 2)
