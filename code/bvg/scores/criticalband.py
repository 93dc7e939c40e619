"""The channel of a model: the band of spatial frequencies in which noise impairs recognition.

Source: Subramanian, Sizikova, Majaj & Pelli, "Spatial-frequency channels, shape bias, and
adversarial robustness", NeurIPS 2023, in the form of Gavrikov & Keuper, CVPR 2024. The threshold of
an octave band is the first step j of noise, from the strongest on, at which the accuracy exceeds a
level: 0 for SD 0.16 … 3 for 0.02, 4 for no noise. So a high threshold means a high sensitivity. The
channel is the Gaussian that fits the thresholds over the bands.

There are four variants, by the suffix of their keys: the level is half of the images, or ("_norm")
half of those that are right without noise; and thresholds are whole steps as in the study, or
("_interpolated") interpolated where the accuracy crosses the level, on average half a step lower.
Models can be compared within a variant only.
"""

import re
from collections.abc import Iterable, Mapping
from math import nan

import numpy as np

from bvg.scores.bootstrap import bootstrapped, resampled_accuracies
from bvg.scores.channel import Channel, fit_channel
from bvg.scores.metric import Metric
from bvg.stimuli.criticalband import WITHOUT_NOISE

LEVEL = 0.5  # accuracy at the threshold; 50 % of 1000-way top-1 in the study
REPLICATES = 1000
_CONDITION = re.compile(r"criticalband/f=(?P<band>-?\d+)/sd=(?P<deviation>[\d.e-]+)")
# With fewer, three or four images decide whether half of them are right under noise.
FEWEST_RIGHT = 20


def noise_grid(conditions: Iterable[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the bands and the deviations of the noise in these conditions, both in rising order.

    Deviations are strings as in the conditions, without that of the images without noise.
    """
    found = [match for name in conditions if (match := _CONDITION.fullmatch(name))]
    noisy = [match for match in found if float(match["deviation"]) > 0]
    bands = sorted({int(match["band"]) for match in noisy})
    return tuple(bands), tuple(sorted({match["deviation"] for match in noisy}, key=float))


def accuracy_matrix(accuracy: Mapping[str, float]) -> np.ndarray:
    """Return accuracies by condition as a matrix (1 + deviations, bands), from no noise upwards.

    The study's is (5, 7): SD 0, 0.02, 0.04, 0.08, 0.16 by band 0 … 6. The accuracy without noise is
    repeated over the bands. Raises KeyError if one is missing.
    """
    bands, deviations = noise_grid(accuracy)
    rows = [[accuracy[WITHOUT_NOISE]] * len(bands)]
    rows += [[accuracy[f"criticalband/f={f}/sd={sd}"] for f in bands] for sd in deviations]
    return np.array(rows)


def nothing_passes(matrix: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Return whether the accuracy without noise does not exceed `level`, so there is no threshold.

    matrix: (…, 1 + deviations, bands); level in the same units, a number or (…).
    """
    return ~(matrix[..., 0, 0] > level)


def integer_thresholds(matrix: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Return per band the first step, from the strongest noise on, at which accuracy > level.

    matrix: (…, 1 + deviations, bands) as accuracy_matrix gives it; level in the same units, a
    number or (…). Returns (…, bands) integers in 0 … n for n deviations. n means "only without
    noise" or "not even without noise", which nothing_passes distinguishes.
    """
    passes = matrix[..., ::-1, :] > np.asarray(level)[..., None, None]
    return np.where(passes.any(axis=-2), passes.argmax(axis=-2), matrix.shape[-2] - 1)


def interpolated_thresholds(matrix: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Return per band the step at which accuracy crosses `level`, linear between steps.

    Arguments and shapes as for integer_thresholds; (…, bands) numbers in [0, n]. Steps are octaves
    of noise SD; no noise is at step n (the study's 4, where SD 0.01 would be). 0 if the accuracy
    exceeds the level even under the strongest noise; n if it never does.
    """
    step = integer_thresholds(matrix, level)
    level = np.asarray(level)[..., None]
    below, above = (
        np.take_along_axis(matrix[..., ::-1, :], at[..., None, :], axis=-2)[..., 0, :]
        for at in (np.maximum(step - 1, 0), step)
    )
    crosses = (step > 0) & (above > level)
    rise = np.where(crosses, above - below, 1)
    return np.where(crosses, step - 1 + (level - below) / rise, step)


def channels(
    conditions: tuple[str, ...], correct: np.ndarray, chance: float = 0.0
) -> dict[str, Channel]:
    """Return the channel of each variant, by suffix: "", "_interpolated", "_norm", ….

    conditions: the names of the columns of `correct` (N, C) bool, whether each image is right under
    each condition. chance: accuracy of guessing, in [0, 1]. Raises KeyError if a condition is
    missing.
    """
    accuracy = dict(zip(conditions, correct.mean(axis=0), strict=True))
    matrix = accuracy_matrix(accuracy)
    right = int(correct[:, conditions.index(WITHOUT_NOISE)].sum())
    invalid = {
        suffix: why_invalid(bool(nothing_passes(matrix, level)), right, float(level), chance)
        for suffix, level in _levels(matrix).items()
    }
    bands, deviations = noise_grid(conditions)
    return {
        suffix: fit_channel(thresholds, invalid[suffix], bands, len(deviations))
        for suffix, thresholds in _thresholds(matrix).items()
    }


def why_invalid(nothing_passes: bool, right: int, level: float, chance: float) -> str:
    """Return why the thresholds are meaningless, or an empty string.

    nothing_passes: whether not even images without noise do. right: how many of these are right.
    level, chance: accuracies in [0, 1], of the thresholds and of guessing.
    """
    if nothing_passes:
        return "the accuracy without noise does not exceed the level"
    if right < FEWEST_RIGHT:
        return f"only {right} image(s) are right without noise, {FEWEST_RIGHT} are needed"
    if level < 2 * chance:
        return f"the level, {level:.1%} of the images, is hardly above chance"
    return ""


def channel_metrics(
    conditions: tuple[str, ...],
    correct: np.ndarray,
    prefix: str = "metric/criticalband",
    replicates: int = REPLICATES,
    chance: float = 0.0,
) -> dict[str, Metric]:
    """Return bandwidth, centre frequency and peak sensitivity of each variant, with intervals.

    Keys: <prefix>/bw, /cf, /pns (octaves, cycles per image, 1/16 … 1), /r2 and /degenerate (1 or 0)
    with the variants' suffixes. 95 % percentile bootstrap over images. Degenerate fits have no
    value; the note has the reason, and the result of the formula. Arguments as for `channels`.
    """
    accuracies = resampled_accuracies(correct, replicates)
    numbers = accuracy_matrix({name: number for number, name in enumerate(conditions)})
    resampled = _thresholds(accuracies[:, numbers])
    bands, _ = noise_grid(conditions)
    metrics = {}
    for suffix, channel in channels(conditions, correct, chance).items():
        for name, metric in parameters(channel, resampled[suffix], bands, len(correct)).items():
            metrics[f"{prefix}/{name}{suffix}"] = metric
    return metrics


def _levels(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return the level of each variant, (…) for a matrix (…, 1 + deviations, bands)."""
    normalised = LEVEL * matrix[..., 0, 0]
    raw = np.full_like(normalised, LEVEL)
    return {
        "": raw,
        "_norm": normalised,
        "_interpolated": raw,
        "_norm_interpolated": normalised,
    }


def _thresholds(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return the thresholds (…, bands) of each variant."""
    return {
        suffix: (
            interpolated_thresholds(matrix, level)
            if suffix.endswith("_interpolated")
            else integer_thresholds(matrix, level)
        )
        for suffix, level in _levels(matrix).items()
    }


def parameters(
    channel: Channel, resampled: np.ndarray, bands: tuple[int, ...], n: int
) -> dict[str, Metric]:
    """Return bw, cf, pns, r2 and degenerate of one channel, as metrics of `n` images.

    resampled: the thresholds (R, bands) of resampled images, for the intervals.
    """
    reasons = "; ".join(channel.degenerate)
    unknown = "the thresholds are equal, or the fit did not converge"
    metrics = {
        "r2": Metric(channel.r_squared, n=n, note=unknown if channel.r_squared is None else ""),
        "degenerate": Metric(float(bool(reasons)), n=n, note=reasons),
    }
    values = _measures(channel)
    if reasons:
        for name, value in values.items():
            note = f"degenerate fit: {reasons} (the formula gives {value:.6g})"
            metrics[name] = Metric(None, n=n, note=note)
        return metrics
    # With whole steps, there are few distinct vectors; each is fitted once.
    vectors, which = np.unique(resampled, axis=0, return_inverse=True)
    fits = [fit_channel(vector, "", bands, channel.steps) for vector in vectors]
    for name, value in values.items():
        fitted = [nan if fit.degenerate else _measures(fit)[name] for fit in fits]
        metrics[name] = bootstrapped(
            value,
            np.array(fitted)[which.ravel()],
            n,
            "the fit is degenerate",
            "nearly all resamples have the same whole-step thresholds",
        )
    return metrics


def _measures(channel: Channel) -> dict[str, float]:
    """Return the channel's parameters by the study's short names."""
    return {"bw": channel.bandwidth, "cf": channel.centre, "pns": channel.peak_sensitivity}
