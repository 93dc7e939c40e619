"""Configural Shape Score: how often both images of a visual anagram are recognised.

Source: Doshi et al., "Visual anagrams reveal hidden differences in holistic shape processing across
vision models", NeurIPS 2025. The images of a pair consist of the same pieces, so that only their
arrangement tells the classes apart. Chance is 1/81, and 1/9 for a single image.
"""

import numpy as np
import pandas as pd

from bvg.predictions.table import Predictions
from bvg.scores.bootstrap import bootstrapped_mean
from bvg.scores.metric import Metric, percentage, proportion

INCOMPLETE = "no pair has both of its images"


def css_metrics(predictions: Predictions, pairs: int) -> dict[str, Metric]:
    """Return the Configural Shape Score css/<pairs>, and what is behind it.

    css/<pairs>/one-right and …/none-right (fractions of pairs), …/pair-margin (the mean over pairs
    of the smaller margin, in logits) and …/margin/<class> (the mean over images), with 95 %
    intervals from a bootstrap over pairs (1,000 resamples); …/foil-rate (fraction of images whose
    answer is the other image's class) and top1_acc/anagrams/<pairs> (percent), overall and by class
    (…/class/<name>), with Wilson's intervals. Pairs count if both images were evaluated.
    """
    key, table = f"css/{pairs}", pair_table(predictions)
    right = table["right"].to_numpy(dtype=int)
    metrics = {
        key: bootstrapped_mean(right == 2, INCOMPLETE, is_share=True),
        f"{key}/one-right": bootstrapped_mean(right == 1, INCOMPLETE, is_share=True),
        f"{key}/none-right": bootstrapped_mean(right == 0, INCOMPLETE, is_share=True),
        f"{key}/pair-margin": bootstrapped_mean(table["margin"].to_numpy(dtype=float), INCOMPLETE),
    }
    answers, labels = predictions.answers[:, 0], predictions.labels
    foiled = answers == predictions.columns["foil"]
    metrics[f"{key}/foil-rate"] = proportion(int(foiled.sum()), len(foiled))
    accuracy = f"top1_acc/anagrams/{pairs}"
    metrics[accuracy] = percentage(answers == labels)
    for label, name in enumerate(predictions.classes):
        own = labels == label
        if own.any():
            metrics[f"{accuracy}/class/{name}"] = percentage((answers == labels)[own])
            # The pairs are all different, so that those of one class are independent, too.
            margins = predictions.columns["margin"][own].astype(float)
            metrics[f"{key}/margin/{name}"] = bootstrapped_mean(margins, INCOMPLETE)
    return metrics


def pair_table(predictions: Predictions) -> pd.DataFrame:
    """Return a row per complete pair: how many images are `right`, and the smaller `margin`."""
    rows = pd.DataFrame(
        {
            "pair": predictions.columns["pair"],
            "right": predictions.answers[:, 0] == predictions.labels,
            "margin": predictions.columns["margin"],
        }
    )
    table = rows.groupby("pair").agg(
        images=("right", "size"), right=("right", "sum"), margin=("margin", "min")
    )
    return table[table["images"] == 2]


def decisions_by_image(predictions: Predictions) -> pd.DataFrame:
    """Return the decisions in words, a row per image in the order of the published file."""
    names = np.array(predictions.classes, dtype=object)
    return pd.DataFrame(
        {
            "filename": predictions.images,
            "pair": predictions.columns["pair"],
            "position": predictions.columns["position"],
            "label": names[predictions.labels],
            "foil": names[predictions.columns["foil"]],
            "answer": names[predictions.answers[:, 0]],
            "confidence": predictions.confidence,
            "margin": predictions.columns["margin"],
        }
    )
