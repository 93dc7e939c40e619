"""Spectral bias: whether what a model knows is in an image's low or high spatial frequencies.

Source: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024,
section on spectral biases. LFC/<c> and HFC/<c> are accuracies under low-pass and high-pass filters
at cutoff c, relative to the accuracy without a filter (they may exceed 1). LPP and HPP are their
means over the cutoffs up to a half; spectral bias = HPP / (LPP + HPP).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from scoring.bootstrap import bootstrapped, resampled_accuracies
from scoring.metric import Metric
from stimuli.spectral import CLEAN, CONDITIONS, CUTOFFS

PREFIX = "metric/bandpass"
MEAN_CUTOFFS = (0.1, 0.2, 0.3, 0.4, 0.5)  # of LPP and HPP
_BIAS = f"{PREFIX}/spectral-bias"


def spectral_measures(
    accuracy: Mapping[str, float | np.ndarray], cutoffs: Sequence[float] = CUTOFFS
) -> dict[str, np.ndarray]:
    """Return LFC/<c>, HFC/<c>, LPP, HPP and spectral-bias, each named metric/bandpass/….

    accuracy: by condition of stimuli.spectral, in any one unit; numbers or equally shaped arrays
    (of replicates), whose shape the measures have too. NaN where no image is right without a
    filter, for the bias also where none is right under any of its filters, and for the means and
    the bias where `cutoffs` lack one of theirs. Raises KeyError when a condition is missing.
    """
    clean = np.asarray(accuracy[CLEAN], dtype=float)
    measures = {}
    for short, band in (("LFC", "lowpass"), ("HFC", "highpass")):
        for cutoff in cutoffs:
            measures[f"{PREFIX}/{short}/{cutoff}"] = _ratio(accuracy[f"{band}/{cutoff}"], clean)
    low, high = (
        np.mean(
            [
                measures.get(f"{PREFIX}/{short}/{cutoff}", np.full_like(clean, np.nan))
                for cutoff in MEAN_CUTOFFS
            ],
            axis=0,
        )
        for short in ("LFC", "HFC")
    )
    return measures | {
        f"{PREFIX}/LPP": low,
        f"{PREFIX}/HPP": high,
        _BIAS: _ratio(high, low + high),
    }


def spectral_metrics(conditions: tuple[str, ...], correct: np.ndarray) -> dict[str, Metric]:
    """Return the spectral measures with 95 % percentile bootstrap intervals over images.

    conditions: the names of the columns of `correct` (N, C), bool: which images are right under
    which condition. Raises KeyError when a condition is missing, ValueError when there is no image.
    """
    column = {name: number for number, name in enumerate(conditions)}
    correct = correct[:, [column[name] for name in CONDITIONS]]
    resampled = resampled_accuracies(correct)
    measured = spectral_measures(dict(zip(CONDITIONS, correct.mean(axis=0), strict=True)))
    replicates = spectral_measures(dict(zip(CONDITIONS, resampled.T, strict=True)))
    return {
        name: bootstrapped(float(value), replicates[name], len(correct), _undefined(name))
        for name, value in measured.items()
    }


def _ratio(part: float | np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where there is no whole."""
    return np.asarray(part, dtype=float) / np.where(whole > 0, whole, np.nan)


def _undefined(name: str) -> str:
    if not {*MEAN_CUTOFFS} <= {*CUTOFFS} and name in (f"{PREFIX}/LPP", f"{PREFIX}/HPP", _BIAS):
        return f"it needs the cutoffs {', '.join(map(str, MEAN_CUTOFFS))}"
    if name == _BIAS:
        return "no image is right without a filter, or none is right under the bias's filters"
    return "no image is right without a filter"
