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
    """Return calibration/ece and …/ece/debiased, in [0, 1], and calibration/overconfidence.

    Overconfidence is mean confidence - accuracy, below 0 for a model that is too cautious.
    The interval of the ECE ends where the basic bootstrap interval over images does. It begins at
    the ECE less what a calibrated model with these confidences would score by chance (97.5th
    percentile), but not below 0, nor below the interval of |overconfidence|, and holds the value.
    `debiased` is 2 ECE - the mean of the resampled ECEs (Efron & Tibshirani 1993, section 10.3), at
    least 0.
    """
    confidence = predictions.confidence.astype(np.float64)
    n = len(confidence)
    if not n:
        return dict.fromkeys((ECE, DEBIASED, OVERCONFIDENCE), Metric(None, note="no image"))
    gaps = confidence - correct_in_top(predictions, 1)
    bins = bins_of(predictions.confidence)
    mean_gaps = np.bincount(bins, gaps, BINS) / n
    resampled = _resampled(bins, gaps, replicates)
    over = bootstrapped(float(mean_gaps.sum()), resampled.sum(axis=1), n, "")
    ece, eces = float(np.abs(mean_gaps).sum()), np.abs(resampled).sum(axis=1)
    unbiased = max(0.0, 2 * ece - float(eces.mean()))
    low, high, note = _interval(ece, eces, over, confidence, bins)
    metrics = {
        name: Metric(value, low and min(low, value), high and max(high, value), n, note)
        for name, value in ((ECE, ece), (DEBIASED, unbiased))
    }
    return metrics | {OVERCONFIDENCE: over}


def _resampled(bins: np.ndarray, gaps: np.ndarray, replicates: int) -> np.ndarray:
    """Return each bin's share of the mean gap, of images drawn anew, (replicates, BINS)."""
    drawn = draws(len(gaps), replicates)
    return np.stack([np.bincount(bins[rows], gaps[rows], BINS) for rows in drawn]) / len(gaps)


def _interval(
    ece: float, eces: np.ndarray, over: Metric, confidence: np.ndarray, bins: np.ndarray
) -> tuple[float | None, float | None, str]:
    """Return the ends of the ECE's interval, and a note, from the ECEs of resampled images."""
    interval = reflected_interval(ece, eces)
    if interval is None or over.low is None or over.high is None:
        return None, None, f"no interval: {CONSTANT}"
    high = max(interval[1], 0.0)
    by_chance = _of_calibrated(confidence, bins, len(eces))
    # The error is at least |mean confidence - accuracy|; and by the triangle inequality, at least
    # what is left when chance has moved every bin away from its confidence.
    low = max(over.low, -over.high, ece - float(np.percentile(by_chance, 97.5)))
    if low > 0:
        return low, high, ""
    mean, n = by_chance.mean(), len(confidence)
    return 0.0, high, f"a calibrated model would have {mean:.4f} by chance on {n:,} images"


def _of_calibrated(confidence: np.ndarray, bins: np.ndarray, replicates: int) -> np.ndarray:
    """Return ECEs of a model that is right as often as it is confident, (replicates,).

    A bin's number of right answers then has the variance Σ p (1 - p); its distribution is taken as
    normal.
    """
    spread = np.sqrt(np.bincount(bins, confidence * (1 - confidence), BINS)) / len(confidence)
    normal = np.random.default_rng(0).standard_normal((replicates, BINS))
    return np.abs(normal * spread).sum(axis=1)
