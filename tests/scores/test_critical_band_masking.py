"""Channels from trials that show each image in one noise only, against plain Python."""

from functools import cache

import numpy as np
import pytest

from bvg.data.categories import CATEGORIES
from bvg.data.critical_band_masking import BANDS, CONDITIONS, DEVIATIONS, TRIALS, condition_of
from bvg.predictions.table import Predictions
from bvg.scores.channel import LOWEST_CENTRE, fit_channel
from bvg.scores.critical_band_masking import (
    BANDWIDTH,
    CENTRE,
    SENSITIVITY,
    by_condition,
    human_channel,
    masking_metrics,
    trials_of,
)
from bvg.stimuli.criticalband import condition_name

# A network of a band of noise: how many steps of the four it does not withstand, by octave.
STEPS = (0, 0, 1, 3, 4, 2, 0)


def predictions_of(trials: dict[str, list[bool]], seed: int = 0) -> Predictions:
    """Return predictions whose best answer is right in these trials, in random order."""
    rows = [(name, right) for name, values in trials.items() for right in values]
    order = np.random.default_rng(seed).permutation(len(rows))
    labels = np.arange(len(rows)) % len(CATEGORIES)
    right = np.array([rows[k][1] for k in order])
    answers = np.stack([np.where(right, labels, (labels + 1) % 16), (labels + 2) % 16], axis=1)
    return Predictions(
        CATEGORIES,
        np.array([f"{k}" for k in range(len(rows))], object),
        np.array([rows[k][0] for k in order], object),
        labels.astype(np.int16),
        answers.astype(np.int16),
        np.zeros(len(rows), np.float32),
        {},
    )


def planted(steps=STEPS, high: float = 0.9, low: float = 0.1) -> dict[str, list[bool]]:
    """Return trials, as many as published: `high` right in noise that is withstood, else `low`."""
    trials: dict[str, list[bool]] = {}
    for strength, (sd, counts) in enumerate(TRIALS.items()):
        for band, count in enumerate(counts):
            right = round(count * (high if strength <= 4 - steps[band] else low))
            trials.setdefault(condition_of(sd, band), []).extend(k < right for k in range(count))
    return trials


def test_conditions_are_those_of_noise_that_is_added_here():
    noisy = [condition_name(f, float(sd)) for f in BANDS for sd in DEVIATIONS]
    assert [*CONDITIONS] == [condition_name(0, 0), *noisy]
    assert sum(map(sum, TRIALS.values())) == 1_050


def test_a_planted_channel_is_found():
    metrics = masking_metrics(predictions_of(planted()))
    # The least squares of a grid, without derivatives.
    grid = [np.linspace(3, 4, 41), np.linspace(3, 4.5, 61), np.linspace(0.5, 1.5, 41)]
    a, m, s = np.meshgrid(*grid, indexing="ij")
    squares = sum((a * np.exp(-((f - m) ** 2) / (2 * s**2)) - STEPS[f]) ** 2 for f in BANDS)
    best = np.unravel_index(np.argmin(squares), squares.shape)
    amplitude, mu, sigma = a[best], m[best], s[best]
    assert metrics[BANDWIDTH].value == pytest.approx(2 * np.sqrt(np.log(4)) * sigma, abs=0.06)
    assert np.log2(metrics[CENTRE].value / LOWEST_CENTRE) == pytest.approx(mu, abs=0.03)
    assert np.log2(metrics[SENSITIVITY].value) == pytest.approx(amplitude - 4, abs=0.03)
    assert metrics["critical-band/degenerate"].value == 0
    for key in (BANDWIDTH, CENTRE):
        metric = metrics[key]
        assert metric.n == 1_050
        assert metric.low is None or metric.low <= metric.value <= metric.high


def test_accuracies_are_of_each_condition_s_own_images():
    trials = planted()
    metrics = masking_metrics(predictions_of(trials))
    for name, right in trials.items():
        metric = metrics[f"top1_acc/{name.replace('criticalband', 'critical-band')}"]
        assert metric.value == pytest.approx(100 * sum(right) / len(right))
        assert metric.n == len(right)
    assert metrics["top1_acc/critical-band/f=0/sd=0"].n == sum(TRIALS["0"])
    assert not any(key.startswith(("metric/", "top1_acc/criticalband")) for key in metrics)


def thresholds_of(trials: dict[str, list[bool]]) -> tuple[int, ...]:
    """Return the first step, from the strongest noise on, at which most are right; 4 for none."""
    return tuple(
        next(
            (
                step
                for step, sd in enumerate(reversed(DEVIATIONS))
                if np.mean(trials[f"criticalband/f={f}/sd={sd}"]) > 0.5
            ),
            4,
        )
        for f in BANDS
    )


def test_intervals_are_those_of_images_drawn_within_their_conditions():
    """Resampled one condition at a time, in plain Python."""
    trials = planted(high=0.75, low=0.3)
    metrics = masking_metrics(predictions_of(trials))
    generator = np.random.default_rng(5)
    fitted = cache(fit_channel)
    drawn = []
    for _ in range(600):
        sample = {name: generator.choice(right, len(right)) for name, right in trials.items()}
        channel = fitted(thresholds_of(sample))
        drawn.append(np.nan if channel.degenerate else channel.bandwidth)
    metric = metrics[BANDWIDTH]
    least, low, high, most = np.nanpercentile(drawn, [1, 4, 96, 99])
    assert least <= metric.low <= low < high <= metric.high <= most


def test_nothing_is_fitted_where_a_condition_has_no_image():
    trials = planted()
    del trials["criticalband/f=3/sd=0.08"]
    metrics = masking_metrics(predictions_of(trials))
    for key in (BANDWIDTH, CENTRE, SENSITIVITY):
        assert metrics[key].value is None and metrics[key].note
    assert "top1_acc/critical-band/f=3/sd=0.04" in metrics
    assert "top1_acc/critical-band/f=3/sd=0.08" not in metrics


def test_a_network_at_chance_has_no_channel():
    metrics = masking_metrics(predictions_of(planted(high=0.4)))
    assert metrics[BANDWIDTH].value is None
    assert metrics["critical-band/degenerate"].value == 1


def test_trials_come_back_from_predictions():
    trials = planted()
    found = trials_of(predictions_of(trials))
    assert {name: sorted(right) for name, right in found.items()} == {
        name: sorted(right) for name, right in trials.items()
    }


def test_published_trials_without_noise_are_one_condition():
    cells = {(sd, f): np.array([f == 2]) for sd in TRIALS for f in BANDS}
    found = by_condition(cells)
    assert {*found} == {*CONDITIONS}
    assert found[CONDITIONS[0]].tolist() == [False, False, True, False, False, False, False]
    assert found["criticalband/f=2/sd=0.16"].tolist() == [True]


def test_the_human_thresholds_give_the_human_channel():
    channel = human_channel()
    assert channel.bandwidth == pytest.approx(1.00, abs=0.005)
    assert channel.centre == pytest.approx(39.60, abs=0.005)
    assert channel.peak_sensitivity == pytest.approx(1.00, abs=0.005)
    assert (channel.amplitude, channel.mu, channel.sigma) == pytest.approx(
        (4.00, 4.50, 0.42), abs=0.005
    )
    assert channel.degenerate  # by our criteria
