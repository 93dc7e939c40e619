"""The channel of a model or of humans from trials that show each image in one noise only.

Source: Subramanian, Sizikova, Majaj & Pelli, "Spatial-frequency channels, shape bias, and
adversarial robustness", NeurIPS 2023. Their 1,050 trials are about 30 for each octave and strength
of noise, and 210 without noise: accuracies of different conditions are of different images. The
channel is that of the whole-step thresholds at 50 %.
"""

from collections.abc import Mapping

import numpy as np

from bvg.data.categories import CATEGORIES
from bvg.data.critical_band_masking import BANDS, CONDITIONS, DEVIATIONS, condition_of
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import correct_in_top
from bvg.scores.channel import Channel, fit_channel
from bvg.scores.criticalband import (
    LEVEL,
    REPLICATES,
    accuracy_matrix,
    integer_thresholds,
    nothing_passes,
    parameters,
    why_invalid,
)
from bvg.scores.metric import Metric, percentage
from bvg.stimuli.criticalband import WITHOUT_NOISE

PREFIX = "critical-band"
BANDWIDTH, CENTRE, SENSITIVITY = (
    f"{PREFIX}/{name}" for name in ("bandwidth", "centre", "peak-sensitivity")
)
# From the names in channel_metrics to those of the published networks (raw-data/published).
_NAMES = {"bw": BANDWIDTH, "cf": CENTRE, "pns": SENSITIVITY}
CHANCE = 1 / len(CATEGORIES)
SEED = 0  # of the bootstrap; fixed, so that a result can be recomputed to the last digit
# The 14 human observers' thresholds, of their mean accuracies: analysis/human_analysis.ipynb in
# https://github.com/ajaysub110/critical-band-masking, which prints this channel for them.
HUMAN_THRESHOLDS = (0, 0, 0, 0, 2, 2, 0)
HUMANS = (
    "humans (published; 14 observers, 16 categories): bandwidth 1.00 octave, centre 39.60 "
    "cycles/image, peak sensitivity 1.00; single observers 1.43 ± 0.54, 39.13 ± 2.98, 0.80 ± 0.28"
)

Trials = Mapping[str, np.ndarray]
"""By condition (bvg.stimuli.criticalband), whether each of its images is right, (n,) bool."""


def human_channel() -> Channel:
    """Return the published channel of the human observers.

    Degenerate by our criteria: two distinct thresholds do not determine three parameters, and the
    amplitude is at its bound.
    """
    return fit_channel(HUMAN_THRESHOLDS)


def trials_of(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the trials of a model: whether its best answer is right, by condition."""
    right = correct_in_top(predictions, 1)
    return {name: right[predictions.conditions == name] for name in predictions.condition_names}


def by_condition(trials: Mapping[tuple[str, int], np.ndarray]) -> dict[str, np.ndarray]:
    """Return published trials, by SD and octave, by condition: those without noise as one."""
    found: dict[str, list[np.ndarray]] = {}
    for (sd, band), right in trials.items():
        found.setdefault(condition_of(sd, band), []).append(right)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def channel_of(trials: Trials) -> Channel:
    """Return the channel; raises KeyError if a condition has no trial."""
    matrix = accuracy_matrix({name: float(trials[name].mean()) for name in CONDITIONS})
    right = int(trials[WITHOUT_NOISE].sum())
    invalid = why_invalid(bool(nothing_passes(matrix, LEVEL)), right, LEVEL, CHANCE)
    return fit_channel(integer_thresholds(matrix, LEVEL), invalid, BANDS, len(DEVIATIONS))


def masking_metrics(predictions: Predictions) -> dict[str, Metric]:
    """Return accuracies in percent by condition, and the channel's parameters with intervals.

    Keys: top1_acc/critical-band/f=<octave>/sd=<SD>; critical-band/bandwidth (octaves), /centre
    (cycles per image), /peak-sensitivity (1/16 … 1), /r2 and /degenerate (1 or 0). 95 % percentile
    bootstrap over the images of each condition.
    """
    trials = trials_of(predictions)
    metrics = {
        f"top1_acc/{name.replace('criticalband', PREFIX)}": percentage(trials[name])
        for name in CONDITIONS
        if name in trials
    }
    n = len(predictions.labels)
    if missing := [name for name in CONDITIONS if name not in trials]:
        note = f"no image was evaluated under {len(missing)} of the {len(CONDITIONS)} conditions"
        return metrics | {key: Metric(None, n=n, note=note) for key in _NAMES.values()}
    found = parameters(channel_of(trials), _resampled_thresholds(trials), BANDS, n)
    return metrics | {
        _NAMES.get(name, f"{PREFIX}/{name}"): metric for name, metric in found.items()
    }


def _resampled_thresholds(trials: Trials) -> np.ndarray:
    """Return the thresholds (R, bands) of images resampled within each condition.

    The number of right ones among n resampled images has a binomial distribution.
    """
    generator = np.random.default_rng(SEED)
    counts = np.array([len(trials[name]) for name in CONDITIONS])
    share = np.array([trials[name].mean() for name in CONDITIONS])
    accuracies = generator.binomial(counts, share, (REPLICATES, len(counts))) / counts
    numbers = accuracy_matrix({name: number for number, name in enumerate(CONDITIONS)})
    return integer_thresholds(accuracies[:, numbers], LEVEL)
