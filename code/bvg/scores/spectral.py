"""Spectral bias: whether a model relies on low or high spatial frequencies.

Source: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024,
section on spectral biases. LFC/<c> and HFC/<c> are accuracies under low-pass and high-pass filters
at cutoff c, relative to the accuracy without a filter (they may exceed 1). LPP and HPP are their
means over the cutoffs up to 0.5; spectral bias = HPP / (LPP + HPP).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bvg.scores.bootstrap import bootstrapped, resampled_accuracies
from bvg.scores.metric import Metric
from bvg.stimuli.batch import CLEAN
from bvg.stimuli.spectral import HIGHPASS, LOWPASS

PREFIX = "metric/bandpass"
MEAN_CUTOFFS = (0.1, 0.2, 0.3, 0.4, 0.5)  # of LPP and HPP
_BANDS = {"LFC": LOWPASS, "HFC": HIGHPASS}
_BIAS = f"{PREFIX}/spectral-bias"


def spectral_measures(
    accuracy: Mapping[str, float | np.ndarray], mean_cutoffs: Sequence[float] = MEAN_CUTOFFS
) -> dict[str, np.ndarray]:
    """Return LFC/<c>, HFC/<c>, LPP, HPP and spectral-bias, each named metric/bandpass/….

    accuracy: under `clean`, lowpass/<c> and highpass/<c>, in any unit; numbers or arrays of equal
    shape (replicates), which is also that of the measures. mean_cutoffs: of LPP and HPP, which are
    omitted, like the bias, if one of them is missing. NaN if no image is right without a filter,
    and for the bias also if none is right under any of its filters. Raises KeyError without
    `clean`.
    """
    clean = np.asarray(accuracy[CLEAN], dtype=float)
    measures = {
        f"{PREFIX}/{short}/{cutoff}": _ratio(accuracy[f"{band}/{cutoff}"], clean)
        for short, band in _BANDS.items()
        for cutoff in sorted(
            (name.removeprefix(f"{band}/") for name in accuracy if name.startswith(f"{band}/")),
            key=float,
        )
    }
    parts = [[f"{PREFIX}/{short}/{cutoff}" for cutoff in mean_cutoffs] for short in _BANDS]
    for name, keys in zip(("LPP", "HPP"), parts, strict=True):
        if set(keys) <= set(measures):
            measures[f"{PREFIX}/{name}"] = np.mean([measures[key] for key in keys], axis=0)
    low, high = measures.get(f"{PREFIX}/LPP"), measures.get(f"{PREFIX}/HPP")
    if low is not None and high is not None:
        measures[_BIAS] = _ratio(high, low + high)
    return measures


def spectral_metrics(
    conditions: tuple[str, ...], correct: np.ndarray, mean_cutoffs: Sequence[float] = MEAN_CUTOFFS
) -> dict[str, Metric]:
    """Return the spectral measures with 95 % percentile bootstrap intervals over images.

    conditions: the names of the columns of `correct` (N, C) bool, whether each image is right under
    each condition. LPP, HPP and the bias are undefined if one of mean_cutoffs is missing. Raises
    KeyError without `clean`, ValueError if there is no image.
    """
    resampled = resampled_accuracies(correct)
    accuracies = correct.mean(axis=0)
    measured = spectral_measures(dict(zip(conditions, accuracies, strict=True)), mean_cutoffs)
    replicates = spectral_measures(dict(zip(conditions, resampled.T, strict=True)), mean_cutoffs)
    note = f"it needs low-pass and high-pass at {', '.join(map(str, mean_cutoffs))}"
    metrics = {
        name: Metric(None, n=len(correct), note=f"{note}, which this run did not measure")
        for name in (f"{PREFIX}/LPP", f"{PREFIX}/HPP", _BIAS)
        if name not in measured
    }
    return metrics | {
        name: bootstrapped(float(value), replicates[name], len(correct), _undefined(name))
        for name, value in measured.items()
    }


def _ratio(part: float | np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where whole is 0."""
    return np.asarray(part, dtype=float) / np.where(whole > 0, whole, np.nan)


def _undefined(name: str) -> str:
    if name == _BIAS:
        return "no image is right without a filter, or none is right under the bias's filters"
    return "no image is right without a filter"
