import numpy as np
import pytest
import torch
from scipy import stats

from bvg.stimuli.corruptions import noise
from bvg.stimuli.corruptions.noise import (
    gaussian_noise,
    impulse_noise,
    poisson_quantiles,
    shot_noise,
    speckle_noise,
)
from bvg.stimuli.randomness import keyed_generator
from oracles import corruptions_noise_blur as oracle
from stimulus_helpers import batch_of, photo_like

DRAWS = {
    gaussian_noise: torch.randn,
    shot_noise: torch.rand,
    impulse_noise: torch.rand,
    speckle_noise: torch.randn,
}
SEVERITIES = (1, 2, 3, 4, 5)
NOISES = pytest.mark.parametrize("corruption", DRAWS, ids=lambda function: function.__name__)


def draws_of(corruption, severity: int, name: str, seed: int, shape=(3, 224, 224)) -> np.ndarray:
    generator = keyed_generator(seed, f"{corruption.__name__}_{severity}", name)
    drawn = DRAWS[corruption](shape, generator=generator)
    return drawn.permute(1, 2, 0).double().numpy()


def test_parameters_are_the_papers():
    assert list(noise.GAUSSIAN_NOISE) == oracle.GAUSSIAN_NOISE
    assert list(noise.SHOT_NOISE) == oracle.SHOT_NOISE
    assert list(noise.IMPULSE_NOISE) == oracle.IMPULSE_NOISE
    assert list(noise.SPECKLE_NOISE) == oracle.SPECKLE_NOISE


@NOISES
@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_is_the_definition(corruption, severity):
    image, name, seed = photo_like(severity), "a/b.JPEG", 7
    image[:4], image[4:8] = 0, 255
    ours = corruption(batch_of(image, names=(name,), seed=seed), severity)
    assert ours.shape == (1, 3, 224, 224) and ours.dtype == torch.float32
    draws = draws_of(corruption, severity, name, seed)
    expected = getattr(oracle, corruption.__name__)(image / 255, severity, draws)
    assert np.abs(ours[0].permute(1, 2, 0).numpy() - expected).max() < 1e-6


@NOISES
def test_an_images_noise_does_not_depend_on_its_batch(corruption):
    images = [photo_like(seed, 48, 56) for seed in range(5)]
    names = tuple("abcde")
    whole = corruption(batch_of(*images, names=names), 3)
    for start in range(0, 5, 2):
        part = slice(start, start + 2)
        assert torch.equal(corruption(batch_of(*images[part], names=names[part]), 3), whole[part])
    other = corruption(batch_of(*images[::-1], names=names[::-1]), 3)
    assert torch.equal(other.flip(0), whole)


@NOISES
def test_another_seed_name_or_severity_gives_other_noise(corruption):
    grey = np.full((32, 32, 3), 128, np.uint8)
    patterns = [
        corruption(batch_of(grey, names=(name,), seed=seed), severity) - 128 / 255
        for name, seed, severity in (("a", 0, 4), ("b", 0, 4), ("a", 1, 4), ("a", 0, 5))
    ]
    for number, pattern in enumerate(patterns):
        for other in patterns[:number]:
            correlation = np.corrcoef(pattern.flatten(), other.flatten())[0, 1]
            assert abs(correlation) < 0.1  # 5.5 standard errors of 3072 values


@NOISES
def test_threads_draw_what_one_thread_draws(corruption):
    batch = batch_of(*[photo_like(seed, 40, 40) for seed in range(6)])
    alone = corruption(batch, 2)
    torch.set_num_threads(3)
    assert torch.equal(corruption(batch, 2), alone)


@NOISES
def test_severities_are_in_order(corruption):
    batch = batch_of(photo_like(1, 64, 64))
    spread = [(corruption(batch, severity) - batch.pixels).std() for severity in SEVERITIES]
    assert spread == sorted(spread) and spread[4] > 1.5 * spread[0]


@pytest.mark.parametrize("photons", noise.SHOT_NOISE)
@pytest.mark.parametrize("level", [0, 1, 100, 255])
def test_counts_follow_the_poisson_distribution(photons, level):
    generator = torch.Generator().manual_seed(level)
    draws = torch.rand(200_000, generator=generator)
    levels = torch.full(draws.shape, level, dtype=torch.int32)
    counts = poisson_quantiles(draws, levels, photons).numpy()
    rate = level / 255 * photons
    assert counts.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate / len(counts)) + 1e-9)
    for k in range(int(rate) + 4):
        chance = stats.poisson.cdf(k, rate)
        allowed = 5 * np.sqrt(chance * (1 - chance) / len(counts)) + 1e-9
        assert (counts <= k).mean() == pytest.approx(chance, abs=allowed)


def test_the_rarest_draws_have_counts_too():
    draws = torch.tensor([0.0, 1 - 2**-24] * 256)
    levels = torch.arange(256, dtype=torch.int32).repeat_interleave(2)
    counts = poisson_quantiles(draws, levels, 60).view(256, 2)
    assert counts[0].tolist() == [0, 0]
    assert counts[255].tolist() == [
        np.searchsorted(stats.poisson.cdf(np.arange(200), 60), u, side="right")
        for u in (0, 1 - 2**-24)
    ]
    assert (counts[:, 0] <= counts[:, 1]).all() and (counts.diff(dim=0) >= 0).all()


@pytest.mark.parametrize("photons", noise.SHOT_NOISE)
def test_counts_are_the_same_by_bisection(photons):
    levels = torch.arange(256, dtype=torch.int32).repeat_interleave(2000)
    draws = torch.rand(len(levels), generator=torch.Generator().manual_seed(photons))
    draws[::1000], draws[1::1000] = 0, 1 - 2**-24
    _, cumulative = noise._tables_on(photons, draws.device)
    probabilities = cumulative.flatten()[::7]
    probabilities = probabilities[probabilities < 1]
    draws[500 : 500 + len(probabilities)] = probabilities  # as large as a probability: beyond it
    counts = noise.bisected(draws, levels, cumulative)
    assert torch.equal(counts, poisson_quantiles(draws, levels, photons))


def test_lost_values_are_black_or_white_and_as_many_as_said():
    grey = np.full((224, 224, 3), 100, np.uint8)
    for severity, share in enumerate(noise.IMPULSE_NOISE, start=1):
        x = impulse_noise(batch_of(grey), severity)
        parts = [(x == value).float().mean().item() for value in (0, 1, np.float32(100 / 255))]
        assert sum(parts) == pytest.approx(1)
        allowed = 5 * np.sqrt(share / x.numel())
        assert parts[:2] == pytest.approx([share / 2] * 2, abs=allowed)
