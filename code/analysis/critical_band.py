"""The channel of a model: the band of spatial frequencies in which noise disturbs it.

Source: Subramanian, Sizikova, Majaj & Pelli, "Spatial-frequency channels, shape bias, and
adversarial robustness", NeurIPS 2023, in the form of Gavrikov & Keuper, CVPR 2024. Per octave band,
the threshold is a step j of noise: 0 for SD 0.16 … 3 for 0.02, 4 for no noise at all; the first at
which the model still recognises enough. So a large threshold is a high sensitivity, and the channel
is the Gaussian over the bands that fits the seven thresholds.

Four readings, by the suffix of their keys: "enough" is half of the images, or ("_norm") half of
those that are right without noise; and thresholds are whole steps as in the study, or
("_interpolated", beyond it) where the accuracy crosses that level, on average half a step lower.
Compare models within a reading, never across readings.
"""

from collections.abc import Mapping
from math import nan

import numpy as np

from analysis.channel import NO_NOISE, Channel, fit_channel
from scoring.bootstrap import bootstrapped, resampled_accuracies
from scoring.metric import Metric
from stimuli.critical_band import BANDS, CONDITIONS, DEVIATIONS, WITHOUT_NOISE, condition_name

ENOUGH = 0.5  # share of the images that must be right; 50 % of 1000-way top-1 in the study
REPLICATES = 1000
# With fewer, whether half of them are right under noise is a matter of three or four images.
FEWEST_RIGHT = 20


def accuracy_matrix(accuracy: Mapping[str, float]) -> np.ndarray:
    """Return accuracies by condition as a matrix (5, 7): SD 0, 0.02, 0.04, 0.08, 0.16 by band.

    The accuracy without noise is repeated over the bands. Raises KeyError if one is missing.
    """
    rows = [[accuracy[WITHOUT_NOISE]] * len(BANDS)]
    rows += [[accuracy[condition_name(f, deviation)] for f in BANDS] for deviation in DEVIATIONS]
    return np.array(rows)


def nothing_passes(matrix: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Return whether even without noise the accuracy is not above `level`: thresholds say nothing.

    matrix: (…, 5, 7); level in the same units, a number or (…).
    """
    return ~(matrix[..., 0, 0] > level)


def integer_thresholds(matrix: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Return per band the first step, from the strongest noise on, at which accuracy > level.

    matrix: (…, 5, 7) as accuracy_matrix gives it; level in the same units, a number or (…).
    Returns (…, 7) whole numbers in 0 … 4. 4 is both "only without noise" and "not even then":
    nothing_passes tells them apart.
    """
    passes = matrix[..., ::-1, :] > np.asarray(level)[..., None, None]
    return np.where(passes.any(axis=-2), passes.argmax(axis=-2), NO_NOISE)


def interpolated_thresholds(matrix: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Return per band the step at which accuracy crosses `level`, linear between steps.

    Arguments and shapes as for integer_thresholds; (…, 7) numbers in [0, 4]. Steps are octaves of
    noise SD, and no noise stands at step 4, where SD 0.01 would be. 0 where even the strongest
    noise leaves the accuracy above the level; 4 where nothing passes.
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
    """Return the channel under each reading, by suffix: "", "_interpolated", "_norm", ….

    conditions: the names of the columns of `correct` (N, C), bool: which images are right under
    which condition. chance: accuracy of a model that guesses, in [0, 1]. Raises KeyError when a
    condition is missing.
    """
    accuracy = dict(zip(conditions, correct.mean(axis=0), strict=True))
    matrix = accuracy_matrix(accuracy)
    right = int(correct[:, conditions.index(WITHOUT_NOISE)].sum())
    spoiled = {
        suffix: _spoiled(bool(nothing_passes(matrix, level)), right, float(level), chance)
        for suffix, level in _levels(matrix).items()
    }
    return {
        suffix: fit_channel(thresholds, spoiled[suffix])
        for suffix, thresholds in _thresholds(matrix).items()
    }


def _spoiled(nothing_passes: bool, right: int, level: float, chance: float) -> str:
    """Return why no threshold can mean anything, or nothing."""
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
    """Return bandwidth, centre frequency and peak sensitivity under each reading, with intervals.

    Keys: <prefix>/bw, /cf, /pns (octaves, cycles per image, 1/16 … 1), /r2 and /degenerate (1 or 0)
    with the readings' suffixes. 95 % percentile bootstrap over images. A degenerate fit has no
    value: its note says why, and what the formula gives. Arguments as for `channels`.
    """
    column = {name: number for number, name in enumerate(conditions)}
    correct = correct[:, [column[name] for name in CONDITIONS]]
    accuracies = resampled_accuracies(correct, replicates)
    numbers = accuracy_matrix({name: number for number, name in enumerate(CONDITIONS)})
    resampled = _thresholds(accuracies[:, numbers])
    metrics = {}
    for suffix, channel in channels(CONDITIONS, correct, chance).items():
        for name, metric in _parameters(channel, resampled[suffix], len(correct)).items():
            metrics[f"{prefix}/{name}{suffix}"] = metric
    return metrics


def _levels(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return the accuracy that is enough under each reading, (…) for a matrix (…, 5, 7)."""
    normalised = ENOUGH * matrix[..., 0, 0]
    raw = np.full_like(normalised, ENOUGH)
    return {
        "": raw,
        "_norm": normalised,
        "_interpolated": raw,
        "_norm_interpolated": normalised,
    }


def _thresholds(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return the thresholds (…, 7) under each reading of a matrix (…, 5, 7) of shares."""
    return {
        suffix: (
            interpolated_thresholds(matrix, level)
            if suffix.endswith("_interpolated")
            else integer_thresholds(matrix, level)
        )
        for suffix, level in _levels(matrix).items()
    }


def _parameters(channel: Channel, resampled: np.ndarray, n: int) -> dict[str, Metric]:
    """Return the metrics of one channel, from the thresholds (R, 7) of resampled images."""
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
    # Whole steps make the same few vectors again and again: each is fitted once.
    vectors, which = np.unique(resampled, axis=0, return_inverse=True)
    fits = [fit_channel(vector) for vector in vectors]
    for name, value in values.items():
        fitted = [nan if fit.degenerate else _measures(fit)[name] for fit in fits]
        metrics[name] = bootstrapped(
            value, np.array(fitted)[which.ravel()], n, "the fit is degenerate",
            "nearly all resamples have the same whole-step thresholds",
        )  # fmt: skip
    return metrics


def _measures(channel: Channel) -> dict[str, float]:
    """Return the channel's parameters by the study's short names."""
    return {"bw": channel.bandwidth, "cf": channel.centre, "pns": channel.peak_sensitivity}
