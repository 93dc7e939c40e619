"""Decisions by low or by high spatial frequencies, scored as those by shape or by texture.

Source: Gavrikov et al., "Can We Talk Models Into Seeing the World Differently?", ICLR 2025. Of the
images whose low and high frequencies belong to different categories: low-frequency bias =
low-frequency decisions / (low-frequency + high-frequency decisions). It is neither shape bias nor
the relative accuracy on low-pass filtered images (scores/spectral.py).
"""

from bvg.data.frequency_cue_conflict import HIGH
from bvg.predictions.table import Predictions
from bvg.scores.max_rule import as_max, by_max_rule
from bvg.scores.metric import Metric, proportion
from bvg.scores.shape_bias import count_decisions

PREFIX = "frequency-cue-conflict"
BIAS = f"{PREFIX}/low-frequency-bias"


def frequency_cue_conflict_metrics(predictions: Predictions) -> dict[str, Metric]:
    """Return the low-frequency bias and the fractions of decisions, all in [0, 1].

    frequency-cue-conflict/low-frequency-bias, overall and by …/category/<low>;
    frequency-cue-conflict/fraction-low, …-high and …-neither; overall ones also by the max rule
    (scores/max_rule.py), with /max. Images whose two categories are equal do not count.
    """
    low, high = predictions.labels, predictions.columns[HIGH]
    answers = predictions.answers[:, 0]
    metrics = _overall(predictions) | as_max(_overall(by_max_rule(predictions)))
    for label, category in enumerate(predictions.classes):
        own = low == label
        if (own & (high != label)).any():
            of_category = count_decisions(answers[own], low[own], high[own])
            metrics[f"{BIAS}/category/{category}"] = of_category.bias()
    return metrics


def _overall(predictions: Predictions) -> dict[str, Metric]:
    counts = count_decisions(
        predictions.answers[:, 0], predictions.labels, predictions.columns[HIGH]
    )
    by_answer = {"low": counts.shape, "high": counts.texture, "neither": counts.neither}
    return {BIAS: counts.bias()} | {
        f"{PREFIX}/fraction-{name}": proportion(count, counts.total)
        for name, count in by_answer.items()
    }
