from math import nan

import numpy as np
import pytest

from bvg.scores.bootstrap import resampled_accuracies
from bvg.scores.channel import fit_channel
from bvg.scores.criticalband import (
    accuracy_matrix,
    channel_metrics,
    channels,
    integer_thresholds,
    interpolated_thresholds,
    nothing_passes,
)

READINGS = ("", "_norm", "_interpolated", "_norm_interpolated")
NAMES = (
    "criticalband/f=0/sd=0",
    *(f"criticalband/f={f}/sd={sd}" for f in range(7) for sd in (0.02, 0.04, 0.08, 0.16)),
)


def slow_integer(matrix, level) -> list[int]:
    """Return the thresholds of one matrix (5, 7) straight from the specification."""
    thresholds = []
    for band in range(7):
        found = 4
        for j in (4, 3, 2, 1, 0):  # the last that is found is the first of the scan
            if matrix[4 - j][band] > level:
                found = j
        thresholds.append(found)
    return thresholds


def slow_interpolated(matrix, level) -> list[float]:
    thresholds = []
    for band, j in enumerate(slow_integer(matrix, level)):
        after = matrix[4 - j][band]
        if j == 0 or not after > level:
            thresholds.append(float(j))
        else:
            before = matrix[4 - (j - 1)][band]
            thresholds.append((j - 1) + (level - before) / (after - before))
    return thresholds


def some_matrices(count: int, seed: int = 0) -> np.ndarray:
    """Return matrices of accuracies, some not monotonic, some on the level, some too low."""
    generator = np.random.default_rng(seed)
    matrices = np.sort(generator.integers(0, 11, (count, 5, 7)), axis=1)[:, ::-1] / 10
    matrices[::3] = generator.permuted(matrices[::3], axis=1)
    matrices[:, 0] = matrices[:, 0, :1]
    return matrices


def column(*accuracies: float) -> np.ndarray:
    """Return a matrix of equal bands, from no noise to the strongest."""
    return np.repeat(np.array(accuracies, float)[:, None], 7, axis=1)


def test_the_matrix_by_name():
    matrix = accuracy_matrix({name: number for number, name in enumerate(NAMES)})
    assert matrix.shape == (5, 7)
    assert (matrix[0] == 0).all()
    assert matrix[1].tolist() == [1, 5, 9, 13, 17, 21, 25]  # SD 0.02
    assert matrix[:, 6].tolist() == [0, 25, 26, 27, 28]
    with pytest.raises(KeyError):
        accuracy_matrix(dict.fromkeys(NAMES[:-1], 0.5))


@pytest.mark.parametrize(
    ("accuracies", "step", "interpolated"),
    [
        ((0.9, 0.8, 0.4, 0.3, 0.2), 3, 2.25),  # from 0.4 to 0.8, a quarter of the way
        ((0.9, 0.4, 0.4, 0.3, 0.2), 4, 3.2),
        ((0.9, 0.9, 0.9, 0.9, 0.2), 1, 0.3 / 0.7),
        ((0.9, 0.9, 0.9, 0.9, 0.6), 0, 0),
        ((0.9, 0.9, 0.5, 0.5, 0.5), 3, 2),  # exactly on the level is not above it
        ((0.5, 0.4, 0.4, 0.3, 0.2), 4, 4),
        ((0.9, 0.2, 0.7, 0.1, 0.1), 2, 1 + 0.4 / 0.6),  # the strongest noise that passes counts
        ((nan, nan, nan, nan, nan), 4, 4),
    ],
)
def test_thresholds_by_hand(accuracies, step, interpolated):
    matrix = column(*accuracies)
    assert integer_thresholds(matrix, 0.5).tolist() == [step] * 7
    assert interpolated_thresholds(matrix, 0.5).tolist() == pytest.approx([interpolated] * 7)


def test_thresholds_are_the_slow_ones_also_of_many_matrices():
    matrices = some_matrices(60)
    levels = np.linspace(0.1, 0.9, 60)
    fast = integer_thresholds(matrices, levels)
    between = interpolated_thresholds(matrices, levels)
    assert fast.shape == between.shape == (60, 7)
    for number, (matrix, level) in enumerate(zip(matrices, levels, strict=True)):
        assert fast[number].tolist() == slow_integer(matrix, level)
        assert between[number].tolist() == pytest.approx(slow_interpolated(matrix, level))
        assert integer_thresholds(matrix, level).tolist() == fast[number].tolist()
    assert set(fast.ravel()) == {0, 1, 2, 3, 4}
    assert (fast - between).min() == 0
    assert 0 < (fast - between).max() <= 1


def test_only_no_noise_and_nothing_are_told_apart():
    only, nothing = column(0.6, 0.1, 0.1, 0.1, 0.1), column(0.5, 0.1, 0.1, 0.1, 0.1)
    both = np.stack([only, nothing])
    assert (integer_thresholds(both, 0.5) == 4).all()
    assert nothing_passes(both, 0.5).tolist() == [False, True]
    assert nothing_passes(both, np.array([0.7, 0.4])).tolist() == [True, False]
    assert not nothing_passes(only, 0.5)
    assert nothing_passes(column(nan, nan, nan, nan, nan), nan)


def planted(clean: float, a: float, mu: float, sigma: float) -> dict[str, float]:
    """Return accuracies that fall to 1/2 where the noise reaches the step of a known channel.

    Straight lines in the step, of one slope: no noise, at step 4, is on none of them.
    """
    accuracy = [clean]
    for f in range(7):
        threshold = a * np.exp(-((f - mu) ** 2) / (2 * sigma**2))
        accuracy += [min(clean, 0.5 + 0.1 * (j - threshold)) for j in (3, 2, 1, 0)]
    return dict(zip(NAMES, accuracy, strict=True))


def drawn(probability: dict[str, float], n: int, seed: int) -> np.ndarray:
    """Return answers (n, 29); an image that is easy is easy under all conditions."""
    generator = np.random.default_rng(seed)
    ease = (generator.random((n, 1)) + generator.random((n, len(probability)))) / 2
    p = np.array(list(probability.values()))
    return ease < np.where(p < 0.5, np.sqrt(p / 2), 1 - np.sqrt((1 - p) / 2))


def test_a_planted_channel_is_recovered_and_covered():
    a, mu, sigma = 2.9, 3.6, 1.4
    probability = planted(0.85, a, mu, sigma)
    fit = fit_channel(interpolated_thresholds(accuracy_matrix(probability), 0.5))
    assert (fit.amplitude, fit.mu, fit.sigma) == pytest.approx((a, mu, sigma), rel=1e-4)

    # Whole steps read the width of 3.30 octaves as 4.22, however many images there are.
    coarse = fit_channel(integer_thresholds(accuracy_matrix(probability), 0.5))
    assert (fit.bandwidth, coarse.bandwidth) == pytest.approx((3.297, 4.22), abs=0.005)

    correct = drawn(probability, 4000, seed=0)
    metrics = channel_metrics(NAMES, correct, replicates=300)
    truth = {"bw": 2 * np.sqrt(np.log(4)) * sigma, "cf": 1.75 * 2**mu, "pns": 2 ** (a - 4)}
    for name, value in truth.items():
        metric = metrics[f"metric/criticalband/{name}_interpolated"]
        assert metric.value == pytest.approx(value, rel=0.1)
        assert metric.low < value < metric.high
        assert metric.high - metric.low < 0.4 * value
        assert (metric.n, metric.note) == (4000, "")
    assert metrics["metric/criticalband/r2_interpolated"].value > 0.95


def test_intervals_of_a_planted_channel_cover_it_as_often_as_they_say():
    probability = planted(0.85, 2.9, 3.6, 1.4)
    truth = 2 * np.sqrt(np.log(4)) * 1.4
    covered = 0
    for seed in range(15):
        matrices = resampled_matrices(drawn(probability, 3000, seed), 60, seed)
        widths = [fit_channel(row).bandwidth for row in interpolated_thresholds(matrices, 0.5)]
        low, high = np.percentile(widths, (2.5, 97.5))
        covered += low <= truth <= high
    assert covered >= 12  # of 15; 95 % would be 14, and 60 replicates narrow it a little


def resampled_matrices(correct: np.ndarray, replicates: int, seed: int = 0) -> np.ndarray:
    accuracies = resampled_accuracies(correct, replicates, seed)
    return np.array([accuracy_matrix(dict(zip(NAMES, row, strict=True))) for row in accuracies])


def test_the_four_readings_and_their_intervals_are_the_slow_ones():
    correct = drawn(planted(0.7, 3.1, 3.5, 1.6), 400, seed=2)
    metrics = channel_metrics(NAMES, correct, prefix="here", replicates=80)
    matrix = accuracy_matrix(dict(zip(NAMES, correct.mean(0), strict=True)))
    fits = channels(NAMES, correct)
    for suffix in READINGS:
        slow = slow_interpolated if suffix.endswith("_interpolated") else slow_integer
        relative = "_norm" in suffix
        fit = fit_channel(slow(matrix, 0.5 * matrix[0, 0] if relative else 0.5))
        assert fits[suffix] == fit
        assert not fit.degenerate
        widths = []
        for other in resampled_matrices(correct, 80):
            resampled = fit_channel(slow(other, 0.5 * other[0, 0] if relative else 0.5))
            widths.append(nan if resampled.degenerate else resampled.bandwidth)
        metric = metrics[f"here/bw{suffix}"]
        assert metric.value == fit.bandwidth
        assert (metric.low, metric.high) == pytest.approx(
            tuple(np.nanpercentile(widths, (2.5, 97.5)))
        )


def test_few_images_leave_values_without_intervals():
    correct = drawn(planted(0.7, 3.1, 3.5, 1.6), 40, seed=0)
    metric = channel_metrics(NAMES, correct, replicates=30)["metric/criticalband/bw"]
    assert 1 < metric.value < 7
    assert metric.low is metric.high is None
    assert metric.note.endswith("of 30 resamples, the fit is degenerate")


@pytest.mark.parametrize(("right", "sound"), [(19, False), (20, True)])
def test_a_handful_of_images_has_no_channel(right, sound):
    correct = np.zeros((500, len(NAMES)), bool)
    correct[:right] = drawn(planted(1.0, 3, 3, 1.5), right, 0)
    correct[:right, NAMES.index("criticalband/f=0/sd=0")] = True
    metric = channel_metrics(NAMES, correct, replicates=3)["metric/criticalband/bw_norm"]
    assert (metric.value is not None) == sound
    if not sound:
        assert "only 19 image(s) are right without noise, 20 are needed" in metric.note


@pytest.mark.parametrize(("chance", "sound"), [(1 / 1000, True), (1 / 10, True), (1 / 5, False)])
def test_a_level_near_chance_has_no_channel(chance, sound):
    correct = drawn(planted(0.6, 3, 3, 1.5), 400, 0)
    metrics = channel_metrics(NAMES, correct, replicates=3, chance=chance)
    metric = metrics["metric/criticalband/bw_norm"]
    assert (metric.value is not None) == sound
    assert ("is hardly above chance" in metric.note) != sound
    assert metrics["metric/criticalband/bw"].value is not None  # half of the images is far above


def test_all_keys_of_the_study_and_ours():
    metrics = channel_metrics(NAMES, drawn(planted(0.8, 3, 3, 1.5), 500, 0), replicates=3)
    assert metrics.keys() == {
        f"metric/criticalband/{name}{suffix}"
        for name in ("bw", "cf", "pns", "r2", "degenerate")
        for suffix in READINGS
    }


def test_columns_may_come_in_any_order():
    correct = drawn(planted(0.8, 3, 3, 1.5), 300, 0)
    reordered = np.hstack([np.ones((300, 1), bool), correct[:, ::-1]])
    names = ("clean", *NAMES[::-1])
    assert channels(names, reordered) == channels(NAMES, correct)
    same = channel_metrics(names, reordered, replicates=5)
    assert same == channel_metrics(NAMES, correct, replicates=5)


def test_a_weak_model_is_degenerate_in_raw_accuracy_only():
    probability = {name: p * 0.4 for name, p in planted(0.95, 3, 3.2, 1.5).items()}
    metrics = channel_metrics(NAMES, drawn(probability, 3000, 1), replicates=20)
    for suffix in ("", "_interpolated"):
        metric = metrics[f"metric/criticalband/bw{suffix}"]
        assert (metric.value, metric.low, metric.high, metric.n) == (None, None, None, 3000)
        assert metric.note == (
            "degenerate fit: the accuracy without noise does not exceed the level "
            "(the formula gives 11295.3)"
        )
        assert metrics[f"metric/criticalband/degenerate{suffix}"].value == 1
        assert metrics[f"metric/criticalband/r2{suffix}"].value is None
        assert metrics[f"metric/criticalband/r2{suffix}"].note
        assert metrics[f"metric/criticalband/bw_norm{suffix}"].value is not None
        assert metrics[f"metric/criticalband/degenerate_norm{suffix}"].value == 0


def test_a_model_that_is_never_right_has_no_channel():
    metrics = channel_metrics(NAMES, np.zeros((10, 29), bool), replicates=5)
    for name, metric in metrics.items():
        assert metric.value == (1 if "degenerate" in name else None), name
        assert metric.note


def test_whole_steps_that_do_not_move_say_so():
    steps = np.array([0, 1, 2, 3, 4, 3, 1])
    correct = np.ones((400, 29), bool)
    for f, step in enumerate(steps):
        correct[:, 1 + 4 * f : 5 + 4 * f] = [j >= step for j in (3, 2, 1, 0)]
    metric = channel_metrics(NAMES, correct, replicates=20)["metric/criticalband/bw"]
    assert metric.value == fit_channel(steps).bandwidth
    assert metric.low is metric.high is None
    assert "whole-step" in metric.note
