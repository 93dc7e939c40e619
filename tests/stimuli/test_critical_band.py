from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bvg.stimuli.batch import Batch
from bvg.stimuli.criticalband import clip_noise, condition_name, low_contrast_grey, octave_bands
from bvg.stimuli.randomness import keyed_generator, keyed_normal
from conftest import refusal
from eval_criticalband import BANDS, DEVIATIONS
from eval_criticalband import stimuli as critical_band
from oracles import critical_band as oracle
from stimulus_helpers import NOISE_CONDITIONS as CONDITIONS
from stimulus_helpers import batch_of, photo_like

UNLUCKY, UNLUCKY_SEED = "image 0", 52  # 44 pixels of its band f = 3 at SD 0.16 are lost


def by_condition(batch: Batch) -> dict[str, np.ndarray]:
    return {name: x.numpy().copy() for name, x in critical_band(batch)}


def draws_of(seed: int, condition: str, name: str) -> Iterator[np.ndarray]:
    generator = keyed_generator(seed, condition, name)
    while True:
        yield torch.randn((224, 224), generator=generator).numpy().astype(np.float64)


def defined(image: np.ndarray, name: str, seed: int) -> dict[str, np.ndarray]:
    """Return every condition from the definition, given the image's field of noise."""
    grey = oracle.low_contrast_grey(image)
    batch = batch_of(image, names=(name,), seed=seed)
    field = keyed_normal(batch, "criticalband", (224, 224))[0].numpy().astype(np.float64)
    levels = oracle.levels(field)
    stimuli = {condition_name(0, 0): grey}
    for f in BANDS:
        for sd in DEVIATIONS:
            condition = condition_name(f, sd)
            noise = sd * oracle.band(levels, f)
            draws = lambda condition=condition: draws_of(seed, condition, name)  # noqa: E731
            stimuli[condition] = oracle.masked(grey, noise, sd, draws)
    return stimuli


def test_conditions_are_the_studys():
    assert CONDITIONS[:3] == (
        "criticalband/f=0/sd=0",
        "criticalband/f=0/sd=0.02",
        "criticalband/f=0/sd=0.04",
    )
    assert len(set(CONDITIONS)) == 29 and CONDITIONS[-1] == "criticalband/f=6/sd=0.16"
    assert set(by_condition(batch_of(photo_like(0)))) == set(CONDITIONS)


@pytest.mark.parametrize(("name", "seed"), [("image 0", 0), (UNLUCKY, UNLUCKY_SEED)])
def test_every_condition_is_the_definition(name, seed):
    image = photo_like(4)
    stimuli = by_condition(batch_of(image, names=(name,), seed=seed))
    for condition, expected in defined(image, name, seed).items():
        for channel in range(3):
            difference = np.abs(stimuli[condition][0, channel] - expected)
            assert difference.max() < 5e-6, condition


def test_an_unlucky_image_needs_new_noise():
    """The case above is worth its name: without redraws a pixel would be out of reach."""
    batch = batch_of(photo_like(4), names=(UNLUCKY,), seed=UNLUCKY_SEED)
    grey = low_contrast_grey(batch.pixels)
    field = keyed_normal(batch, "criticalband", (224, 224))
    bands = [0.16 * noise for _, noise in octave_bands(field, BANDS)]
    lost = sum(int(clip_noise(grey + noise, noise).sum()) for noise in bands)
    assert lost == 44


def test_luma_is_pillows_for_every_kind_of_colour():
    colours = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    colours[0, :8] = [[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    colours[1] = np.arange(224)[:, None]
    ours = low_contrast_grey(batch_of(colours).pixels)[0].numpy()
    assert np.abs(ours - oracle.low_contrast_grey(colours)).max() < 2e-7
    levels = (ours - ours.min()) / 0.2 * 255
    assert np.abs(levels - levels.round()).max() < 1e-3  # whole steps of 8 bits, nothing between


def test_out_of_bounds_pixels_follow_the_rule_on_hand_made_cases():
    grey = torch.tensor([[[0.45, 0.45, 0.45, 0.30, 0.60, 0.45, 0.45]]])
    noise = torch.tensor([[[0.10, -0.50, 0.60, -0.95, 0.95, -0.90, 0.90]]])
    masked = grey + noise
    lost = clip_noise(masked, noise)
    expected = torch.tensor([[[0.55, 0.10, 0.90, 0.10, 0.90, 0.10, 0.90]]])
    assert torch.allclose(masked, expected)
    # Only noise beyond 0.9 cannot be met: p = 0.1 + 0.95 > 1, and p = 0.9 - 0.95 < 0.
    assert lost.tolist() == [[[False, False, False, True, True, False, False]]]


def test_pixels_on_the_bounds_are_within_them():
    inside = torch.tensor([[[0.0, 1.0, 1e-30, 1 - 2**-24, 0.5]]])
    outside = torch.tensor([[[-1e-30, -(2.0**-30), 1 + 2**-23, 1.5, -0.5]]])
    kept, moved = inside.clone(), outside.clone()
    assert clip_noise(kept, None) is None and clip_noise(moved, None) is None
    assert torch.equal(kept, inside)
    assert torch.equal(moved, torch.tensor([[[0.1, 0.1, 0.9, 0.9, 0.1]]]))


def test_masking_is_what_a_pixel_by_pixel_loop_does_with_strong_noise():
    random = np.random.default_rng(5)
    grey = random.uniform(0.25, 0.65, (1, 40, 40))
    noise = random.normal(0, 0.5, (1, 40, 40))
    masked = torch.from_numpy(grey + noise).float()
    lost = clip_noise(masked, torch.from_numpy(noise))
    draws = [random.normal(size=(40, 40)) for _ in range(60)]
    expected = oracle.masked(grey[0], noise[0], 0.2, lambda: iter(draws))
    kept = ~lost[0].numpy()
    assert 20 < lost.sum() < 400
    assert np.abs(masked[0].numpy() - expected)[kept].max() < 1e-6


def test_bands_sum_to_the_field_and_are_equally_strong():
    field = torch.randn(2, 224, 224, generator=torch.Generator().manual_seed(1))
    strengths = torch.stack(
        [noise.square().mean((1, 2)).sqrt() for _, noise in octave_bands(field, BANDS)]
    )
    assert [f for f, _ in octave_bands(field, BANDS)] == [6, 5, 4, 3, 2, 1, 0]
    assert (strengths - strengths[0]).abs().max() < 1e-5
    assert strengths[0].tolist() == pytest.approx([0.9425, 0.9425], abs=0.005)


def test_bands_follow_each_other_by_an_octave():
    field = torch.randn(32, 224, 224, generator=torch.Generator().manual_seed(2))
    cycles = torch.fft.fftfreq(224, 1 / 224)
    radius = (cycles[:, None] ** 2 + cycles[None, :] ** 2).sqrt().clamp(min=0.5)
    middles = {}
    for band, noise in octave_bands(field, BANDS):
        power = torch.fft.fft2(noise).abs().square().mean(0)
        middles[band] = float((power * radius.log2()).sum() / power.sum())
    steps = [middles[band + 1] - middles[band] for band in BANDS[:-1]]
    assert all(0.7 < step < 1.2 for step in steps[:-1]) and 1.2 < steps[-1] < 1.8
    # White noise has more power above an octave's centre than below it, but a level of the
    # pyramid fades slowly towards low frequencies: the middle lies about an octave lower.
    assert 2 ** middles[4] == pytest.approx(0.47 * 1.75 * 2**4, rel=0.05)


def test_an_images_stimuli_do_not_depend_on_its_batch():
    images = [photo_like(seed) for seed in range(5)]
    names = ("a", UNLUCKY, "c", "d", "e")
    whole = by_condition(batch_of(*images, names=names, seed=UNLUCKY_SEED))
    for start in range(0, 5, 2):
        part = slice(start, start + 2)
        batch = batch_of(*images[part], names=names[part], seed=UNLUCKY_SEED)
        for condition, stimuli in by_condition(batch).items():
            assert np.abs(stimuli - whole[condition][part]).max() < 1e-6


def test_another_seed_and_another_name_give_other_noise():
    image = photo_like(0)
    condition = condition_name(3, 0.08)
    versions = [
        by_condition(batch_of(image, names=(name,), seed=seed))[condition]
        for name, seed in (("a", 0), ("b", 0), ("a", 1))
    ]
    assert np.abs(versions[0] - versions[1]).max() > 0.05
    assert np.abs(versions[0] - versions[2]).max() > 0.05


def test_greys_stay_in_bounds_and_inputs_stay_as_they_are():
    image = np.zeros((224, 224, 3), np.uint8)
    image[:, :3] = 255  # almost black: the mean shifts the white lines up
    batch = batch_of(image)
    before = batch.pixels.clone()
    for _, x in critical_band(batch):
        assert x.shape == (1, 3, 224, 224) and x.dtype == torch.float32
        assert x.min() >= 0 and x.max() <= 1
    assert torch.equal(batch.pixels, before)


@pytest.mark.parametrize(("height", "width"), [(288, 288), (224, 200), (64, 64)])
def test_another_size_is_refused_with_the_reason(height, width):
    batch = batch_of(photo_like(0, height, width))
    sentence = refusal(lambda: next(critical_band(batch)))
    assert "224 x 224" in sentence and "--preprocess study" in sentence
