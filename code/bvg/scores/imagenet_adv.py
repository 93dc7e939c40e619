"""Robust accuracy, and diagnostics of whether to trust it.

Carlini et al., "On Evaluating Adversarial Robustness", 2019: robust accuracy should not rise with a
larger ε or more steps, and a model whose gradient is zero or not finite defeats attacks that follow
the gradient without being robust.
"""

import re
from itertools import pairwise
from statistics import median

import numpy as np

from bvg.predictions.table import Predictions
from bvg.scores.accuracy import by_condition, condition_accuracies, top1_by_condition
from bvg.scores.metric import Metric, percentage
from bvg.stimuli.attacks import NEVER
from bvg.stimuli.imagenet_adv import NOT_ATTACKED

ANY = "-any"
# PGD-40/eps=0.5_255; attacks of which the last iterate counts, so without -first and -targeted.
_LAST_ITERATE = re.compile(r"PGD-(\d+)(-l2|-decay)?(-step=[^/-]+)?/eps=([^/]+)")
_ATTACK = re.compile(r"(?P<attack>[^/]+)/eps=(?P<epsilon>[^/]+)(?P<source>/from=.+)?")
_STEPS = re.compile(r"^PGD-(\d+)")


def adversarial_metrics(predictions: Predictions) -> dict[str, Metric]:
    """Return the robust accuracy under each condition, in percent of all images, and diagnostics.

    top1_acc/<condition>: the adversarial image is classified correctly. An image whose clean
    version is misclassified is not attacked and counts as misclassified.
    top1_acc/<attack>-any/eps=<ε>, where the last iterate counts: every iterate, including the
    start, is classified correctly.
    metric/<condition>/median-steps: steps until the first misclassification, of the images on which
    the attack succeeded.
    …/masked-gradients: percentage of the attacked images with a step at which the gradient was zero
    or not finite.
    …/median-perturbation: norm of the perturbation, of the attacked images.
    """
    conditions, correct = top1_by_condition(predictions)
    columns = {
        name: by_condition(predictions, predictions.columns[name])
        for name in ("first_success", "masked_gradients", "perturbation")
    }
    metrics = condition_accuracies(conditions, correct)
    for number, condition in enumerate(conditions):
        parts = _ATTACK.fullmatch(condition)
        if not parts:
            continue
        first, masked, added = (column[:, number] for column in columns.values())
        attacked = first != NOT_ATTACKED
        if _LAST_ITERATE.fullmatch(condition):
            never = correct[:, number] & (first == NEVER)
            name = f"top1_acc/{parts['attack']}{ANY}/eps={parts['epsilon']}"
            metrics[name] = percentage(never)
        broken = first[first >= 0].tolist()
        metrics |= {
            f"metric/{condition}/median-steps": _median(broken, "no image was broken"),
            f"metric/{condition}/masked-gradients": percentage(masked[attacked] > 0),
            f"metric/{condition}/median-perturbation": _median(
                added[attacked].tolist(), "no image was attacked"
            ),
        }
    return metrics


def survival(predictions: Predictions) -> tuple[str, np.ndarray] | None:
    """Return the last PGD condition, and the percentage of images that survived 0, 1, … steps.

    Survived: classified correctly without an attack and at every iterate so far. None if steps were
    not counted.
    """
    counted = [name for name in predictions.condition_names if _STEPS.match(name)]
    if not counted or "/from=" in counted[-1]:
        return None
    steps = int(_STEPS.findall(counted[-1])[0])
    first = predictions.columns["first_success"][predictions.conditions == counted[-1]]
    first = np.where(first == NEVER, steps + 1, first)
    return counted[-1], 100 * (first[:, None] > np.arange(steps + 1)).mean(axis=0)


def _median(values: list[float], absent: str) -> Metric:
    if not values:
        return Metric(None, note=absent)
    return Metric(float(median(values)), n=len(values))


def warnings_of(metrics: dict[str, Metric]) -> list[str]:
    """Return warnings about a model's metrics that suggest a weak attack."""
    return [*_rising(metrics), *_weak_last_iterates(metrics), *_masked(metrics)]


def _rising(metrics: dict[str, Metric]) -> list[str]:
    """Return a sentence for each accuracy that is higher under a larger ε or after more steps."""
    series: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for key in metrics:
        parts = _ATTACK.fullmatch(key.removeprefix("top1_acc/"))
        if not key.startswith("top1_acc/") or not parts or ANY in parts["attack"]:
            continue
        attack, epsilon, source = parts.group("attack", "epsilon", "source")
        series.setdefault((attack, str(source)), []).append((epsilon_value(epsilon), key))
        if steps := _STEPS.match(attack):
            kind = _STEPS.sub("PGD", attack)
            series.setdefault((kind, f"{epsilon}{source}"), []).append((int(steps[1]), key))
    return [
        f"{stronger} ({_percent(metrics[stronger])}) is above {weaker} "
        f"({_percent(metrics[weaker])}): a stronger attack should not be survived more often; "
        "more --steps, --stop first or --attack autoattack may find what this one misses"
        for points in series.values()
        for (_, weaker), (_, stronger) in pairwise(sorted(points))
        if (metrics[stronger].value or 0) > (metrics[weaker].value or 0)
    ]


def _weak_last_iterates(metrics: dict[str, Metric]) -> list[str]:
    """Return a sentence for each attack whose last iterate is weaker than an earlier one."""
    sentences = []
    for key, least in metrics.items():
        last = metrics.get(key.replace(ANY, ""))
        if ANY in key and last and (last.value or 0) > (least.value or 0):
            images = round(((last.value or 0) - (least.value or 0)) * last.n / 100)
            sentences.append(
                f"{images:,} image(s) were misclassified at an earlier step and right again after "
                f"the last one, which {key.replace(ANY, '')} ({_percent(last)}) counts as robust; "
                f"{key} ({_percent(least)}) does not"
            )
    return sentences


def _masked(metrics: dict[str, Metric]) -> list[str]:
    return [
        f"{metric.value:.1f} % of the attacked images had a zero or non-finite gradient under "
        f"{key.split('/', 1)[1].removesuffix('/masked-gradients')}: the model may mask its "
        "gradients, and its robustness may be an artefact (--attack autoattack includes an attack "
        "without gradients)"
        for key, metric in metrics.items()
        if key.endswith("/masked-gradients") and metric.value
    ]


def _percent(metric: Metric) -> str:
    return "undefined" if metric.value is None else f"{metric.value:.2f} %"


def epsilon_value(name: str) -> float:
    """Return the ε in a condition's name: 0.5_255 is 0.5 / 255."""
    numerator, _, denominator = name.partition("_")
    return float(numerator) / float(denominator or 1)


def condition_order(condition: str) -> tuple[str, float]:
    """Return the key by which conditions are sorted: the attack, then ε."""
    parts = _ATTACK.fullmatch(condition)
    return (parts["attack"], epsilon_value(parts["epsilon"])) if parts else (condition, 0.0)
