import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from bvg.stimuli.laplacian import laplacian_levels
from oracles import critical_band as oracle


def field_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape[-1]).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("size", [224, 60, 33])
def test_levels_are_the_definitions(size):
    field = field_of(1, size, size)
    levels = list(laplacian_levels(torch.from_numpy(field), 7))
    for level, expected in zip(levels, oracle.levels(field[0].astype(np.float64)), strict=True):
        assert np.abs(level[0].numpy() - expected).max() < 3e-6


def test_levels_sum_to_the_field_also_when_it_is_not_square():
    field = torch.from_numpy(field_of(3, 48, 80))
    levels = list(laplacian_levels(field, 5))
    assert len(levels) == 5
    assert (sum(levels) - field).abs().max() < 5e-6


@pytest.mark.parametrize(("size", "count"), [(224, 7), (100, 6)])
def test_levels_are_those_of_pyrtools(size, count):
    pyrtools = pytest.importorskip("pyrtools", reason="pyrtools is not installed")
    field = field_of(1, size, size)
    published = pyrtools.pyramids.LaplacianPyramid(field[0].astype(np.float64), height=count)
    for number, level in enumerate(laplacian_levels(torch.from_numpy(field), count)):
        expected = published.recon_pyr(levels=number)
        assert np.abs(level[0].numpy() - expected).max() < 3e-6


def test_a_constant_field_is_all_in_the_residual():
    levels = list(laplacian_levels(torch.full((1, 64, 64), 3.0), 4))
    assert all(level.abs().max() < 1e-5 for level in levels[:-1])
    assert (levels[-1] - 3).abs().max() < 1e-5


def test_tf32_for_the_model_does_not_reach_the_stimuli():
    before = torch.backends.cuda.matmul.allow_tf32
    during, between = [], []

    class Spy(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if "matmul" in function.__name__:
                during.append(torch.backends.cuda.matmul.allow_tf32)
            return function(*args, **(kwargs or {}))

    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with Spy():
            for _ in laplacian_levels(torch.zeros(1, 16, 16), 3):
                between.append(torch.backends.cuda.matmul.allow_tf32)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert between == [True, True, True]  # the setting is given back while models run
    assert len(during) == 8 and not any(during)
