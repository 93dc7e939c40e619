"""Calibration: whether a model is right as often as it is confident.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. Images are put into 15
bins of equal width by the confidence of their best answer; the expected calibration error (ECE) is
the mean over all images of |mean confidence - accuracy| of their bin.

The ECE is biased upwards on few images: chance alone moves a bin's accuracy away from its
confidence, and the absolute value keeps that from cancelling out (Roelofs et al., "Mitigating Bias
in Calibration Error Estimation", AISTATS 2022). Hence a second value, corrected by the bootstrap's
estimate of that bias, and an interval that allows for it.
"""

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.accuracy import correct_in_top
from bvg.scores.bootstrap import CONSTANT, bootstrapped, draws, reflected_interval
from bvg.scores.metric import Metric, wilson

BINS = 15
ECE, DEBIASED = "calibration/ece", "calibration/ece/debiased"
OVERCONFIDENCE = "calibration/overconfidence"
_EDGES = np.linspace(0, 1, BINS + 1)


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """Return the bin, 0 to BINS - 1, of each confidence in [0, 1]; an edge is in the lower bin."""
    return np.searchsorted(_EDGES[1:-1], confidence)


def reliability(predictions: Predictions) -> dict[str, Metric]:
    """Return accuracy - mean confidence of the images in each bin that has any, by gap_key.

    The interval is the accuracy's, Wilson's.
    """
    bins, correct = bins_of(predictions.confidence), correct_in_top(predictions, 1)
    found = {}
    for k in np.unique(bins).tolist():
        rows = bins == k
        right, images = int(correct[rows].sum()), int(rows.sum())
        confidence = float(predictions.confidence[rows].mean(dtype=np.float64))
        low, high = wilson(right, images)
        found[gap_key(k)] = Metric(
            right / images - confidence, low - confidence, high - confidence, images
        )
    return found


def gap_key(number: int) -> str:
    """Return the key of a bin's accuracy - mean confidence."""
    return f"calibration/gap/{number}"


def calibration_metrics(predictions: Predictions, replicates: int = 1000) -> dict[str, Metric]:
    """Return calibration/ece, …/ece/debiased and calibration/overconfidence, all in [0, 1].

    Overconfidence is mean confidence - accuracy, negative for a model that is too cautious.
    The interval of the ECE is the basic bootstrap one, over images; it begins at 0 where a
    perfectly calibrated model with these confidences would score as much by chance, and is widened
    to hold the value itself. `debiased` is 2 ECE - the mean of the resampled ECEs (Efron &
    Tibshirani 1993, section 10.3), at least 0.
    """
    confidence = predictions.confidence.astype(np.float64)
    n = len(confidence)
    if not n:
        return dict.fromkeys((ECE, DEBIASED, OVERCONFIDENCE), Metric(None, note="no image"))
    gaps = confidence - correct_in_top(predictions, 1)
    bins = bins_of(predictions.confidence)
    mean_gaps = np.bincount(bins, gaps, BINS) / n
    resampled = _resampled(bins, gaps, replicates)
    ece, eces = float(np.abs(mean_gaps).sum()), np.abs(resampled).sum(axis=1)
    metrics = dict(zip((ECE, DEBIASED), _errors(ece, eces, confidence, bins), strict=True))
    over = float(mean_gaps.sum())
    return metrics | {OVERCONFIDENCE: bootstrapped(over, resampled.sum(axis=1), n, "")}


def _resampled(bins: np.ndarray, gaps: np.ndarray, replicates: int) -> np.ndarray:
    """Return each bin's share of the mean gap, of images drawn anew, (replicates, BINS)."""
    drawn = draws(len(gaps), replicates)
    return np.stack([np.bincount(bins[rows], gaps[rows], BINS) for rows in drawn]) / len(gaps)


def _errors(
    ece: float, eces: np.ndarray, confidence: np.ndarray, bins: np.ndarray
) -> tuple[Metric, Metric]:
    """Return the ECE as it is and without its bias, from the ECEs of resampled images."""
    n = len(confidence)
    unbiased = max(0.0, 2 * ece - float(eces.mean()))
    interval = reflected_interval(ece, eces)
    if interval is None:
        note = f"no interval: {CONSTANT}"
        return Metric(ece, n=n, note=note), Metric(unbiased, n=n, note=note)
    by_chance = _of_calibrated(confidence, bins, len(eces))
    high = max(interval[1], 0.0)
    low, note = min(max(interval[0], 0.0), ece), ""
    if ece <= np.percentile(by_chance, 97.5):
        low = 0.0
        note = f"a calibrated model would have {by_chance.mean():.4f} by chance on {n:,} images"
    return Metric(ece, low, max(high, ece), n, note), Metric(unbiased, low, high, n, note)


def _of_calibrated(confidence: np.ndarray, bins: np.ndarray, replicates: int) -> np.ndarray:
    """Return ECEs of a model that is right as often as it is confident, (replicates,).

    A bin's number of right answers then has the variance Σ p (1 - p); its distribution is taken as
    normal.
    """
    spread = np.sqrt(np.bincount(bins, confidence * (1 - confidence), BINS)) / len(confidence)
    normal = np.random.default_rng(0).standard_normal((replicates, BINS))
    return np.abs(normal * spread).sum(axis=1)
