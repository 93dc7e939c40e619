"""Shape bias from decisions on cue-conflict stimuli.

Source: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019. Of the images
whose shape and texture belong to different categories: shape bias = shape decisions / (shape +
texture decisions). The fractions also show how often an observer chose neither.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bvg.predictions.table import Predictions
from bvg.scores.decision_table import without_suffix
from bvg.scores.max_rule import ENDING, as_max, by_max_rule
from bvg.scores.metric import Metric, percentage, proportion, wilson

RESAMPLES = 10_000
SEED = 0  # of the bootstrap; fixed, so that a result can be recomputed to the last digit


@dataclass(frozen=True)
class CueDecisions:
    """Decisions on conflict images: how many followed the shape, the texture, or neither."""

    shape: int
    texture: int
    neither: int

    @property
    def total(self) -> int:
        """Return the number of conflict images."""
        return self.shape + self.texture + self.neither

    def bias(self) -> Metric:
        """Return the shape bias in [0, 1] with a 95 % bootstrap interval over images.

        Resampling n images with replacement makes the three counts multinomial, so they are drawn
        as such. Resamples without a shape or texture decision are excluded. If all decisions
        followed one cue, resamples do not vary, and the interval is Wilson's.
        """
        if self.shape + self.texture == 0:
            return Metric(None, n=self.total, note="no decision followed either cue")
        if not self.shape or not self.texture:
            low, high = wilson(self.shape, self.shape + self.texture)
            note = "Wilson's interval: all decisions followed one cue"
            return Metric(float(self.shape > 0), low, high, self.total, note)
        shares = np.array([self.shape, self.texture, self.neither]) / self.total
        draws = np.random.default_rng(SEED).multinomial(self.total, shares, RESAMPLES)
        decided = draws[:, 0] + draws[:, 1]
        ratios = draws[decided > 0, 0] / decided[decided > 0]
        low, high = np.percentile(ratios, (2.5, 97.5))
        value = self.shape / (self.shape + self.texture)
        return Metric(value, float(low), float(high), self.total)


def count_decisions(response, shape, texture) -> CueDecisions:
    """Return the counts over the images whose `shape` and `texture` differ.

    The three arguments are equally long arrays of categories (names or indices).
    """
    response, shape, texture = (np.asarray(values) for values in (response, shape, texture))
    conflict = shape != texture
    by_shape = int((conflict & (response == shape)).sum())
    by_texture = int((conflict & (response == texture)).sum())
    return CueDecisions(by_shape, by_texture, int(conflict.sum()) - by_shape - by_texture)


def texture_of(image_name: str) -> str:
    """Return the texture category in …<shape><n>-<texture><m>.png, in lower case."""
    return without_suffix(image_name.rpartition("-")[2]).rstrip("0123456789")


def count_table(table: pd.DataFrame) -> CueDecisions:
    """Return the counts of a decision table in the published format."""
    response, shape = (table[name].str.casefold() for name in ("object_response", "category"))
    return count_decisions(response, shape, table["imagename"].map(texture_of))


def shape_bias_metrics(predictions: Predictions) -> dict[str, Metric]:
    """Return shape bias, fractions, and accuracies, overall and by shape category.

    `shape-bias` is the study's, by the mean rule; `shape-bias/max`, and the other overall metrics
    with /max, are by the max rule (scores/max_rule.py). Fractions are of the conflict images;
    accuracies in percent.
    """
    shape, texture = predictions.labels, predictions.columns["texture"]
    response, congruent = predictions.answers[:, 0], shape == texture
    metrics = _overall(predictions)
    by_max = as_max(_overall(by_max_rule(predictions)))
    for label, category in enumerate(predictions.classes):
        rows = shape == label
        if (rows & ~congruent).any():
            counts = count_decisions(response[rows], shape[rows], texture[rows])
            metrics[f"shape-bias/category/{category}"] = counts.bias()
            metrics |= fractions(counts, f"/category/{category}")
    return metrics | by_max


def _overall(predictions: Predictions) -> dict[str, Metric]:
    """Return shape bias, fractions and accuracies over all images."""
    shape, texture = predictions.labels, predictions.columns["texture"]
    response = predictions.answers[:, 0]
    counts = count_decisions(response, shape, texture)
    right, congruent = response == shape, shape == texture
    return {
        "shape-bias": counts.bias().noted(_lacking(predictions)),
        **fractions(counts, ""),
        "top1_acc/cue-conflict": percentage(right),
        "top1_acc/cue-conflict/congruent": percentage(right[congruent]),
    }


def metrics_by_names(predictions: Predictions) -> dict[str, Metric]:
    """Return the metrics of answers that were chosen among the 16 names, with keys …/names.

    Those of single categories, and of the max rule, which is then the same, are left out.
    """
    metrics = shape_bias_metrics(predictions)
    return {
        f"{key}/names": metric
        for key, metric in metrics.items()
        if "/category/" not in key and not key.endswith(ENDING)
    }


def _lacking(predictions: Predictions) -> str:
    """Return which categories no image has the shape of, as a note; "" if there are none."""
    present = {int(label) for label in predictions.labels}
    missing = [name for label, name in enumerate(predictions.classes) if label not in present]
    return f"no image has the shape of {', '.join(missing)}" if missing else ""


def fractions(counts: CueDecisions, suffix: str) -> dict[str, Metric]:
    """Return the shares of conflict images decided by shape, by texture and by neither."""
    return {
        f"fraction-correct-shape{suffix}": proportion(counts.shape, counts.total),
        f"fraction-correct-texture{suffix}": proportion(counts.texture, counts.total),
        f"fraction-neither{suffix}": proportion(counts.neither, counts.total),
    }
