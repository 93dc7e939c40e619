import numpy as np
import pytest
import torch

from bvg.stimuli.batch import Batch
from eval_spectral import CUTOFFS
from eval_spectral import stimuli as spectral
from oracles import spectral as oracle
from stimulus_helpers import SPECTRAL_CONDITIONS, batch_of, photo_like


def by_condition(batch: Batch) -> dict[str, np.ndarray]:
    return {name: x.permute(0, 2, 3, 1).numpy() for name, x in spectral(batch)}


def test_conditions_are_the_studys_and_the_clean_one():
    names = [name for name, _ in spectral(batch_of(photo_like(0)))]
    assert sorted(names) == sorted(["clean", *oracle.CONDITIONS])
    assert names[0] == "clean"
    assert set(SPECTRAL_CONDITIONS) == set(names) and len(SPECTRAL_CONDITIONS) == 23
    assert CUTOFFS == oracle.CUTOFFS


SIZES = [(224, 224), (160, 224), (224, 97), (31, 64), (75, 75), (8, 8), (9, 300)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_condition_is_the_definition(height, width):
    images = [photo_like(seed, height, width) for seed in range(2)]
    images.append(np.random.default_rng(9).integers(0, 256, (height, width, 3), dtype=np.uint8))
    stimuli = by_condition(batch_of(*images))
    for number, image in enumerate(images):
        assert np.array_equal(stimuli["clean"][number], np.float32(image / 255))
        for condition in oracle.CONDITIONS:
            expected = oracle.of_condition(image / 255, condition)
            assert np.abs(stimuli[condition][number] - expected).max() < 5e-6, condition


def test_the_asymmetric_square_is_told_from_a_symmetric_one():
    """The border's frequency, on the negative side only, passes with half of its amplitude."""
    across = np.arange(224)
    wave = 0.5 + 0.4 * np.cos(2 * np.pi * 11 * across / 224)  # r = 11 at cutoff 0.1
    image = np.broadcast_to((wave * 255)[None, :, None], (224, 224, 3)).round().astype(np.uint8)
    low = by_condition(batch_of(image))["lowpass/0.1"][0]
    amplitude = (low.max() - low.min()) / 2
    assert amplitude == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_batches_of_any_size_give_the_same_stimuli(size):
    images = [photo_like(seed, 64, 64) for seed in range(7)]
    whole = by_condition(batch_of(*images))
    for start in range(0, 7, size):
        part = by_condition(batch_of(*images[start : start + size]))
        for condition, stimuli in part.items():
            assert np.abs(stimuli - whole[condition][start : start + size]).max() < 1e-6


def test_stimuli_stay_as_they_are_when_the_next_one_is_made():
    batch = batch_of(photo_like(3, 32, 32))
    before = batch.pixels.clone()
    kept = [(x, x.clone()) for _, x in spectral(batch)]
    assert all(torch.equal(now, then) for now, then in kept)
    assert torch.equal(batch.pixels, before)
    assert all(x.min() >= 0 and x.max() <= 1 for x, _ in kept)
