"""Mean reciprocal rank of the label, of stimuli of shape and of texture.

Source: Kim et al., "On the Reliability of Cue Conflict and Beyond", arXiv 2603.10834, 2026. The
rank is that among all classes of the model; where a class has several wnids, the best of theirs.
"""

import numpy as np

from bvg.data.refined_bias import CLASSES, Classes
from bvg.predictions.table import Predictions
from bvg.scores.bootstrap import bootstrapped
from bvg.scores.metric import Metric, percentage

RESAMPLES = 1000
SEED = 0  # of the bootstrap; fixed, so that a result can be recomputed to the last digit


def refined_bias_metrics(predictions: Predictions, classes: Classes = CLASSES) -> dict[str, Metric]:
    """Return the mean reciprocal rank in (0, 1] and top-1 accuracy in percent, by cue.

    classes: those of the stimuli, by cue, with the model's classes that belong to each.
    Named refined-bias/<cue>-mrr and top1_acc/refined-bias/<cue>, overall and by class
    (…/class/<name>). The 95 % intervals of the former are from a bootstrap over images.
    """
    metrics: dict[str, Metric] = {}
    for cue, own in classes.items():
        ranks = {}
        for name, members in own.items():
            rows = predictions.conditions == cue
            rows &= predictions.labels == predictions.classes.index(members[0])
            if rows.any():
                ranks[name] = predictions.columns[f"rank_{name}"][rows]
        if ranks:
            metrics |= _of_ranks(np.concatenate([*ranks.values()]), cue, "")
            for name, of_class in ranks.items():
                metrics |= _of_ranks(of_class, cue, f"/class/{name}")
    return metrics


def _of_ranks(ranks: np.ndarray, cue: str, suffix: str) -> dict[str, Metric]:
    return {
        f"refined-bias/{cue}-mrr{suffix}": mean_reciprocal(ranks),
        f"top1_acc/refined-bias/{cue}{suffix}": percentage(ranks == 1),
    }


def mean_reciprocal(ranks: np.ndarray) -> Metric:
    """Return the mean of 1 / rank with its 95 % bootstrap interval over images."""
    reciprocal = 1 / ranks.astype(float)
    n = len(reciprocal)
    generator = np.random.default_rng(SEED)
    means = np.array([reciprocal[generator.integers(n, size=n)].mean() for _ in range(RESAMPLES)])
    return bootstrapped(float(reciprocal.mean()), means, n, "there is no image", share=(1, n))
