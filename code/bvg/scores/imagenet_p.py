"""Stability of a model's answers over the frames of a sequence: flips and top-5 distances.

Source: Hendrycks & Dietterich, ICLR 2019, sections 3.3 and 4.2, and their test.py. The metrics are
the paper's FP, uT5D, FR, T5D, mFR and mT5D.
"""

import json
from dataclasses import asdict, dataclass
from functools import reduce
from hashlib import sha256
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.data.imagenet import are_imagenet
from bvg.data.imagenet_p import FRAMES, PERTURBATIONS
from bvg.errors import UserError
from bvg.files import write_text
from bvg.predictions.table import Predictions
from bvg.scores.metric import Z95, Metric

_USUAL = 3  # frames more or less than most published sequences have
TOP = 5  # ranks in the distance
FLIPS, DISTANCE = "flip_prob", "top5_distance"
MEASURES = (FLIPS, DISTANCE)
RELATIVE = {FLIPS: "FR", DISTANCE: "T5D"}
RELATIVE_FILE = "relative.csv"
OVERALL = "imagenet-p"
# AlexNet's flip probabilities. No source for them could be read; what corroborates them is in
# docs/fidelity.md. Its top-5 distances are not known.
ALEXNET = "alexnet"
ALEXNET_FLIPS = {
    f"{FLIPS}/gaussian_noise": 0.2365,
    f"{FLIPS}/shot_noise": 0.3006,
    f"{FLIPS}/motion_blur": 0.0930,
    f"{FLIPS}/zoom_blur": 0.0594,
    f"{FLIPS}/snow": 0.1193,
    f"{FLIPS}/brightness": 0.0489,
    f"{FLIPS}/translate": 0.1101,
    f"{FLIPS}/rotate": 0.1310,
    f"{FLIPS}/tilt": 0.0705,
    f"{FLIPS}/scale": 0.2353,
}
UNSOURCED = "AlexNet's flip probabilities are corroborated, but not from a source that was read"
_MOST = {FLIPS: 1.0, DISTANCE: 18.0}  # 5 + 4 + 3 + 3 + 3: ranks 1 2 3 drop out, 4 5 become 1 2


@dataclass(frozen=True)
class Stability:
    """The sequences of one perturbation that have at least two frames.

    names: (N,) of the sequences.
    values: by measure, (N,) float64: the mean over the sequence's pairs of frames.
    single: the number of excluded sequences, which have one frame.
    frames: the median number of frames.
    """

    names: np.ndarray
    values: dict[str, np.ndarray]
    single: int
    frames: int


def compares_with_first(perturbation: str) -> bool:
    """Return whether frames are compared with the first one instead of the one before.

    True for noise, which is drawn independently for each frame; the first frame is the clean image.
    """
    return "noise" in perturbation


def pairs_of(frames: np.ndarray, with_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the earlier and the later frame of each pair, views of (N, F, …): (N, F - 1, …)."""
    later = frames[:, 1:]
    earlier = np.broadcast_to(frames[:, :1], later.shape) if with_first else frames[:, :-1]
    return earlier, later


def top5_distances(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return the distance between ranked answers (…, K), (…,) int64 in 0 to 18.

    The sum over i = 1 … 5 of |i - min(s(i), 6)|, s(i) being the rank in the later frame of the
    class ranked i in the earlier one (so it is not symmetric). Classes beyond the fifth rank count
    as sixth, so that only the five best answers are needed; for models of K < 5 classes, the sum
    ends at K.
    """
    ranks = earlier.shape[-1]
    total = np.full(earlier.shape[:-1], sum(TOP + 1 - i for i in range(1, ranks + 1)))
    for i in range(1, ranks + 1):
        for s in range(1, ranks + 1):
            change = abs(i - s) - (TOP + 1 - i)  # relative to a class that dropped out
            total += change * (earlier[..., i - 1] == later[..., s - 1])
    return total


def stability(predictions: Predictions) -> dict[str, Stability]:
    """Return, by perturbation, the stability of each sequence.

    Predictions have F frames with K answers each, (N, F * K); the column `frames` has their number.
    (In the published evaluation, all sequences of a perturbation must have the same length.)
    """
    ranks = min(TOP, len(predictions.classes))
    result = {}
    for name in predictions.condition_names:
        rows = predictions.conditions == name
        count = predictions.columns["frames"][rows].astype(np.int64)
        answers = predictions.answers[rows].reshape(len(count), -1, ranks)
        several = count > 1
        names, count, answers = predictions.images[rows][several], count[several], answers[several]
        exists = np.arange(1, answers.shape[1]) < count[:, None]
        earlier, later = pairs_of(answers, compares_with_first(name))
        flips = earlier[..., 0] != later[..., 0]
        distances = top5_distances(earlier, later)
        values = {
            FLIPS: (flips & exists).sum(axis=1) / (count - 1),
            DISTANCE: (distances * exists).sum(axis=1) / (count - 1),
        }
        frames = int(np.median(count)) if len(count) else 0
        result[name] = Stability(names, values, int((~several).sum()), frames)
    return result


def stability_metrics(
    predictions: Predictions, reference: dict[str, float] | None = None, name: str = ""
) -> dict[str, Metric]:
    """Return flip_prob/… (in [0, 1]) and top5_distance/… by perturbation and as imagenet-p.

    imagenet-p is the mean over the ten perturbations, undefined unless all were evaluated. The
    paper reports flip probabilities in percent. With a reference, also `relative_metrics`. For
    ImageNet's classes, numbers of frames that are not about the published ones are noted: with
    another frame rate, frames that are compared differ more, or less.
    """
    found = stability(predictions)
    unusual = are_imagenet(predictions.classes) and [
        f"{name} {one.frames}"
        for name, one in found.items()
        if one.frames and abs(one.frames - FRAMES) > _USUAL
    ]
    relative = relative_metrics(predictions, reference, name) if reference else {}
    own = {
        f"{measure}/{name}": metric
        for measure in MEASURES
        for name, metric in _of_measure(found, measure).items()
    }
    if unusual:
        note = f"not about {FRAMES} frames as published: {', '.join(unusual)}"
        own = {name: metric.noted(note) for name, metric in own.items()}
    return own | relative


def relative_metrics(
    predictions: Predictions, reference: dict[str, float], name: str
) -> dict[str, Metric]:
    """Return FR/… and T5D/… by perturbation, and their means mFR and mT5D, in percent.

    reference: the values of the reference model (AlexNet in the paper) by metric name, such as
    `flip_prob/snow`, taken as exact in the intervals. name: of the reference, for notes.
    """
    found = stability(predictions)
    metrics: dict[str, Metric] = {}
    for measure, short in RELATIVE.items():
        ratios = {}
        for perturbation in found:
            base = reference.get(f"{measure}/{perturbation}")
            if base:
                ratios[perturbation] = 100 / base
                key = f"{short}/{perturbation}"
                metrics[key] = _weighted(found, measure, {perturbation: 100 / base})
        lacking = [p for p in PERTURBATIONS if p not in ratios]
        if lacking:
            note = f"{name} or this result has no {measure} above 0 for {', '.join(lacking)}"
            metrics[f"m{short}"] = Metric(None, note=note)
        else:
            weights = {p: ratios[p] / len(PERTURBATIONS) for p in PERTURBATIONS}
            metrics[f"m{short}"] = _weighted(found, measure, weights)
    if reference != ALEXNET_FLIPS:
        return metrics
    return {key: metric.noted(UNSOURCED) for key, metric in metrics.items()}


def read_reference(path: Path) -> dict[str, float]:
    """Return a reference model's values by metric name, such as `flip_prob/snow`.

    path: a result of this benchmark (its folder or summary.json), or a CSV with the columns
    perturbation, flip_prob (in [0, 1]) and top5_distance; or "alexnet", where no such file exists,
    for ALEXNET_FLIPS. Raises UserError for anything else.
    """
    if str(path) == ALEXNET and not path.exists():
        return ALEXNET_FLIPS
    file = path / "summary.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"the reference {file} is not a file: give the folder of a finished result")
    try:
        if file.suffix == ".json":
            metrics = json.loads(file.read_text(encoding="utf-8"))["metrics"]
            values = {name: metric["value"] for name, metric in metrics.items()}
        else:
            table = pd.read_csv(file).set_index("perturbation")
            values = {f"{m}/{p}": float(table.loc[p, m]) for m in MEASURES for p in table.index}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"the reference {file} is neither a summary.json of this benchmark nor a CSV with the "
            f"columns perturbation, {FLIPS} and {DISTANCE}"
        ) from error
    known = {
        name: value
        for name, value in values.items()
        if name.startswith(tuple(f"{measure}/" for measure in MEASURES)) and value is not None
    }
    most = max((known[name] for name in known if name.startswith(FLIPS)), default=None)
    if most is None:
        raise UserError(f"the reference {file} has no {FLIPS}: give a result of this benchmark")
    if most > 1:
        raise UserError(
            f"the reference {file} has a {FLIPS} of {most:g}: give it in [0, 1], not in percent"
        )
    return known


def reference_fingerprint(reference: dict[str, float] | None) -> str | None:
    """Return a fingerprint of the values of a reference, or None without one."""
    if not reference:
        return None
    marked = "AlexNet, corroborated but unsourced, " if reference == ALEXNET_FLIPS else ""
    values = json.dumps(reference, sort_keys=True).encode()
    return f"{marked}sha256 {sha256(values).hexdigest()[:16]}"


def write_relative(metrics: dict[str, Metric], folder: Path, reference: str) -> Path:
    """Write the metrics that relate to the reference to `folder`/relative.csv; return its path."""
    path = folder / RELATIVE_FILE
    short = tuple(RELATIVE.values())
    rows = [
        {"metric": key, **asdict(metric), "reference": reference}
        for key, metric in metrics.items()
        if key.removeprefix("m").startswith(short)
    ]
    write_text(path, pd.DataFrame(rows).to_csv(index=False))
    return path


def _of_measure(found: dict[str, Stability], measure: str) -> dict[str, Metric]:
    metrics = {name: _weighted(found, measure, {name: 1.0}) for name in found}
    lacking = [name for name in PERTURBATIONS if name not in found]
    if lacking:
        metrics[OVERALL] = Metric(None, note=f"not measured: {', '.join(lacking)}")
    else:
        mean = dict.fromkeys(PERTURBATIONS, 1 / len(PERTURBATIONS))
        metrics[OVERALL] = _weighted(found, measure, mean)
    return metrics


def _weighted(found: dict[str, Stability], measure: str, weights: dict[str, float]) -> Metric:
    """Return the weighted sum of perturbations' means, with a 95 % interval over sequences.

    The sum of means is linear in the sequences, so its standard error needs no resampling: each
    sequence (of one image, under all perturbations) contributes its weighted deviations from the
    means. The interval is the normal one, clipped to the possible range.
    """
    chosen = [(found[name], weight) for name, weight in weights.items()]
    single = sum(one.single for one, _ in chosen)
    notes = [f"{single:,} sequence(s) of one frame left out"] if single else []
    if any(not len(one.names) for one, _ in chosen):
        return Metric(None, note="; ".join(["no sequence has two frames", *notes]))
    value = sum(weight * one.values[measure].mean() for one, weight in chosen)
    shares = [
        pd.Series(
            weight * (one.values[measure] - one.values[measure].mean()) / len(one.names), one.names
        )
        for one, weight in chosen
    ]
    by_sequence = reduce(lambda a, b: a.add(b, fill_value=0), shares)
    n = len(by_sequence)
    half = Z95 * sqrt((by_sequence**2).sum() * n / (n - 1)) if n > 1 else 0.0
    if half <= 1e-9 * abs(value):  # a width of 0 would be misleading
        why = "all sequences agree" if n > 1 else "one sequence"
        return Metric(float(value), n=n, note="; ".join([*notes, f"no interval: {why}"]))
    low, high = max(0.0, float(value - half)), float(value + half)
    most = _MOST[measure] * sum(weights.values())
    return Metric(float(value), low, min(most, high), n, "; ".join(notes))
