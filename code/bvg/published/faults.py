"""Faults of published tables, recognised in their numbers; corrected where that is exact.

Each function returns the values that are left, those of a known fault corrected or flagged, and a
sentence about each fault that it found. What is worthless is dropped, and counted in the sentence.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

import numpy as np
import pandas as pd

from bvg.analysis.published_faults import LAST_BATCH, PADDED, WIDEST, real_of_last_batch
from bvg.errors import UserError
from bvg.published.reading import NEWER, TOP1, Value
from bvg.table.measures import ADVERSARIAL

Found = tuple[list[Value], list[str]]

# Softmax of probabilities is nearly uniform: calibration error and class balance are then large
# together. Of logits, no model has both.
_CALIBRATION, _BALANCE = 0.01, 0.86
_ATTACKED = "relative-acc/adversarial"
_OF_LOGITS = ("calibration-error", "class-balance", _ATTACKED)
# The least relative accuracy on ImageNet-C of 200 networks of the testbed and 69 of the study with
# an accuracy of 60 % or more is 0.35.
_ACCURATE, _COLLAPSED = 60.0, 0.25
_ROBUSTNESS = ("relative-acc/imagenet-c/15", "relative-acc/ood", _ATTACKED)
_NORMALISATION = (
    "doubtful: the attacks clamp images to [0, 1] after their normalisation, of which torchattacks "
    "was not told"
)
IMAGES = 50_000
UNTRAINED = 1.0  # percent, of 1000 classes
_KNOWS = 10.0  # percent, of 16 categories
_WHOLE = 1e-3  # of an image
# Standard deviation, over perturbations, of the logarithm of flip probability / the median's.
_ODD = 0.45
# Both were loaded from one file, that of 0.1, says the publisher's README; yet their scores differ.
_SAME_FILE = ("robust_resnet50_l2_eps_0_1", "robust_resnet50_l2_eps_0_25")
_WEIGHTS = "doubtful: the weights of eps 0.1 and 0.25 were confused"
OWN_SIZE = "size=own"
# Files of ImageNet-C differ from corruptions in memory by JPEG's quality; resized ones lose more.
_RESIZED = 1.0  # points of accuracy
_RESIZED_FLAG = "doubtful: the files of 224 pixels were resized to 256 and cropped again"
# Between accuracies that are equal but for rounding; and of networks that draw random numbers.
_EQUAL, _NEARLY = 0.0045, 1.5  # points
ON_DISK, IN_MEMORY = "on-disk", "in-memory"


def names(models: Iterable[str]) -> str:
    """Return models' names for a sentence, sorted."""
    return ", ".join(sorted(set(models)))


def probabilities_as_logits(values: Sequence[Value]) -> Found:
    """Return QUBA's values without what was computed from probabilities taken for logits."""
    by_model: dict[str, dict[str, float]] = defaultdict(dict)
    for value in values:
        by_model[value.model][value.measure] = value.value
    wrong = {
        model
        for model, of in by_model.items()
        if of["calibration-error"] > _CALIBRATION and of["class-balance"] > _BALANCE
    }
    kept = [
        replace(value, flag=_NORMALISATION) if value.measure == _ATTACKED else value
        for value in values
        if not (value.model in wrong and value.measure in _OF_LOGITS)
    ]
    sentences = ["Adversarial accuracies are flagged: " + _NORMALISATION.partition(": ")[2] + "."]
    if wrong:
        sentences.append(
            f"Probabilities were taken for logits of {len(wrong)} models (calibration error above "
            f"{_CALIBRATION} and class balance above {_BALANCE}): {len(values) - len(kept)} values "
            f"of calibration, class balance and attacks are dropped, of {names(wrong)}."
        )
    return kept, sentences


def other_images(values: Sequence[Value]) -> Found:
    """Return QUBA's values without the robustness of models that were not shown the same images.

    Their accuracy is right, but on corrupted images they have a few percent: so many as no accurate
    network in other tables. What went wrong is not known, so what else was measured on changed
    images is dropped, too.
    """
    of = {(value.model, value.measure): value.value for value in values}
    wrong = {
        model
        for model, measure in of
        if of[model, TOP1] > _ACCURATE and of[model, _ROBUSTNESS[0]] < _COLLAPSED
    }
    kept = [v for v in values if not (v.model in wrong and v.measure in _ROBUSTNESS)]
    if not wrong:
        return kept, []
    sentence = (
        f"{len(wrong)} models with more than {_ACCURATE:g} % accuracy have less than "
        f"{_COLLAPSED:.0%} of it on corrupted images, as no accurate network of other tables: "
        f"{len(values) - len(kept)} values of their corruption, OOD and adversarial robustness are "
        f"dropped, of {names(wrong)}."
    )
    return kept, [sentence]


def incomplete(values: Sequence[Value]) -> list[str]:
    """Return a sentence for each set that lacks a model of the first, or has one more."""
    rows: dict[str, set[str]] = defaultdict(set)
    for value in values:
        if value.measure != "parameters":
            rows[value.measure].add(f"{value.model} at {value.protocol.split()[0].split('=')[1]}")
    (_, first), *others = rows.items()
    found = []
    for measure, there in others:
        if there != first:
            lacks, adds = names(first - there), names(there - first)
            found.append(f"{measure} lacks {lacks or 'nothing'} and adds {adds or 'nothing'}.")
    return found


def of_testbed(values: Sequence[Value], means: Mapping[str, Sequence[str]]) -> Found:
    """Return imagenet-testbed's values without corrupted sets that were not what they should be.

    Of the files of ImageNet-C, which were resized again, only the means are kept, flagged. Of the
    sets corrupted in memory, those are dropped that were not corrupted at all. means: the measures
    that each is the mean of.
    """
    on_disk = {(v.model, v.measure): v for v in values if v.protocol == ON_DISK}
    in_memory = {(v.model, v.measure): v for v in values if v.protocol == IN_MEMORY}
    clean = {v.model: v.value for v in values if v.measure == TOP1}
    wrong, sentence = _as_clean(in_memory, clean)
    kept = [v for v in values if v.protocol == OWN_SIZE]
    kept += [value for key, value in in_memory.items() if key not in wrong]
    losses = [in_memory[key].value - on_disk[key].value for key in in_memory if key in on_disk]
    is_resized = bool(losses) and median(losses) > _RESIZED
    for model in clean:
        for mean, measures in means.items():
            of = [on_disk[model, name] for name in measures if (model, name) in on_disk]
            if len(of) == len(measures):
                average = fmean(value.value for value in of)
                flag = _RESIZED_FLAG if is_resized else ""
                kept.append(replace(of[0], measure=mean, value=average, flag=flag))
    about = f"Of the files of ImageNet-C, {len(on_disk):,} accuracies are replaced by their means"
    if is_resized:
        about += (
            ", which are flagged: the files were resized again, as they cost a median of "
            f"{median(losses):.1f} points more than the same corruption in memory"
        )
    return kept, [*sentence, f"{about}."]


def _as_clean(
    in_memory: Mapping[tuple[str, str], Value], clean: Mapping[str, float]
) -> tuple[set[tuple[str, str]], list[str]]:
    """Return the models and sets of severity 1 that are as easy as clean images, and a sentence.

    They equal the accuracy on clean images to the image, or, for networks that draw random numbers,
    nearly, where most networks on the set, or the network on most sets, do.
    """
    gaps: dict[str, dict[str, float]] = defaultdict(dict)
    for (model, measure), value in in_memory.items():
        if measure.endswith("_1") and model in clean:
            gaps[measure][model] = abs(clean[model] - value.value)
    frame = pd.DataFrame(gaps)
    equal = frame <= _EQUAL
    share_of_set = equal.sum() / frame.notna().sum()
    share_of_model = equal.sum(axis=1) / frame.notna().sum(axis=1)
    mostly = np.logical_or.outer((share_of_model > 0.5).to_numpy(), (share_of_set > 0.5).to_numpy())
    wrong = equal | ((frame < _NEARLY) & mostly)
    keys = {(str(model), str(name)) for name in wrong for model in wrong.index[wrong[name]]}
    if not keys:
        return keys, []
    most = wrong.sum().sort_values(ascending=False)
    several = int((wrong.sum(axis=1) > 1).sum())
    return keys, [
        f"{len(keys)} accuracies of severity 1 in memory equal those on clean images, which were "
        f"not corrupted: they are dropped, of {int(most.iloc[0])} networks on "
        f"{str(most.index[0]).removeprefix('top1_acc/')}, and of {several} networks on several "
        "corruptions."
    ]


def whole_images(accuracies: np.ndarray, where: str) -> tuple[np.ndarray, bool]:
    """Return accuracies in percent, (rows, severities), and whether they had been divided.

    Those of 50,000 images are whole 50,000ths. If they were divided by the severity's number (a
    counter of images that was not reset), only their product with it is; then that is returned,
    rounded to the 50,000th that it is. Raises UserError where neither is whole.
    """
    severities = np.arange(1, accuracies.shape[1] + 1)
    for factors in (np.ones_like(severities), severities):
        images = accuracies * factors * IMAGES / 100
        if np.abs(images - images.round()).max() < _WHOLE:
            return images.round() * 100 / IMAGES, factors is severities
    raise UserError(
        f"{where} holds accuracies that are no whole {IMAGES:,}ths, with or without the severity "
        f"as a factor: {NEWER}"
    )


def untrained(
    accuracies: Mapping[tuple[str, str], Mapping[str, Sequence[float]]],
    flips: Mapping[str, Mapping[str, Sequence[float]]],
) -> tuple[set[str], list[str]]:
    """Return which networks of CorruptionBenchCV have no trained weights, and sentences.

    accuracies: percent, by (set, model) and corruption. On C and C-bar they are never right. flips:
    flip probability and top-5 distance by model and perturbation. On ImageNet-P, their flip
    probabilities, relative to the median network's, vary between perturbations as no trained
    network's do: brightness, say, changes their answer more often than noise.
    """
    wrong = {
        model
        for (_, model), table in accuracies.items()
        if max(max(row) for row in table.values()) < UNTRAINED
    }
    sentences = []
    if wrong:
        sentences.append(
            f"Networks whose accuracy is below {UNTRAINED:g} % have no trained weights and are "
            f"dropped: {names(wrong)}."
        )
    odd: set[str] = set()
    if flips:
        frame = pd.DataFrame({m: {k: v[0] for k, v in of.items()} for m, of in flips.items()}).T
        logarithms = pd.DataFrame(np.log(frame + 1e-6), frame.index, frame.columns)
        spread = (logarithms - logarithms.median()).std(axis=1, ddof=0)
        odd = {str(model) for model in spread.index[spread > _ODD]} - wrong
    if odd:
        sentences.append(
            "Networks whose flip probabilities on ImageNet-P vary between perturbations as no "
            f"trained network's do are dropped: {names(odd)}."
        )
    return wrong | odd, sentences


def of_css(values: Sequence[Value]) -> Found:
    """Return configural shape scores without untrained networks, those of wrong weights flagged."""
    kept = [value for value in values if not value.model.endswith("_untrained")]
    sentences = []
    if dropped := {value.model for value in values} - {value.model for value in kept}:
        sentences.append(f"Untrained networks are dropped: {names(dropped)}.")
    return [
        replace(value, flag=_WEIGHTS) if value.model in _SAME_FILE else value for value in kept
    ], sentences


def of_critical_band(values: Sequence[Value], without: Sequence[str]) -> Found:
    """Return the critical-band networks once each, and without those that know no category.

    without: the networks whose thresholds no channel fits.
    Raises UserError where two results of a network differ.
    """
    once: dict[tuple[str, str], Value] = {}
    twice = set()
    for value in values:
        first = once.setdefault((value.model, value.measure), value)
        if first.value != value.value:
            raise UserError(f"two results of {value.model} differ in {value.measure}: remove one")
        if first is not value:
            twice.add(value.model)
    broken = {
        model
        for (model, measure), value in once.items()
        if measure == "top1_acc/critical-band/clean" and value.value < _KNOWS
    }
    sentences = []
    if twice:
        sentences.append(f"{names(twice)} is there twice, with the same numbers, and counts once.")
    if broken:
        sentences.append(f"Networks below {_KNOWS:g} % without noise are dropped: {names(broken)}.")
    if unfitted := {*without} - broken:
        sentences.append(
            f"No channel fits the thresholds of {len(unfitted)} networks (fewer than three are "
            "distinct, or the bandwidth exceeds the seven octaves), so only their accuracy and "
            f"fraction of shape decisions are imported: {names(unfitted)}."
        )
    return [value for value in once.values() if value.model not in broken], sentences


def adaptively_attacked(value: Value, lower: float) -> Value:
    """Return a robust accuracy, flagged where an adaptive attack left less, in percent."""
    if lower >= value.value:
        return value
    return replace(value, flag=f"doubtful: an adaptive attack left {lower:g}")


def of_robustbench(values: Sequence[Value]) -> Found:
    """Return RobustBench's values, with one clean accuracy for a model under two threats."""
    once = {(value.model, value.measure): value for value in reversed(values)}
    sentences = flagged(values)
    if twice := [value for value in values if once[value.model, value.measure] is not value]:
        sentences.append(
            f"Of two clean accuracies, on other images, the first is kept: "
            f"{names(value.model for value in twice)}."
        )
    return [value for value in values if once[value.model, value.measure] is value], sentences


def flagged(values: Sequence[Value]) -> list[str]:
    """Return a sentence for each flag, with the number of values that have it."""
    counts = Counter(value.flag for value in values if value.flag)
    return [
        f"Flagged, {count:,} of {len(values):,} values: {flag}." for flag, count in counts.items()
    ]


def of_study(values: Sequence[Value], table: pd.DataFrame) -> Found:
    """Return the study's values, those of its known faults corrected or flagged.

    table: the study's, by which they are recognised.
    """
    last_batch = {str(model) for model in table.index[real_of_last_batch(table)]}
    kept = []
    for value in values:
        if value.measure == "top1_acc/imagenet-real" and value.model in last_batch:
            kept.append(replace(value, flag=f"doubtful: of the last {LAST_BATCH} images only"))
        elif value.measure == ADVERSARIAL:
            robust = value.value / 100 * PADDED - (PADDED - IMAGES)  # padding counted as robust
            if abs(robust - round(robust)) > _WHOLE or robust < 0:
                raise UserError(f"{ADVERSARIAL} of {value.model} is no share of {PADDED}: {NEWER}")
            corrected = round(robust) * 100 / IMAGES
            kept.append(replace(value, value=corrected, flag=_PADDING))
        elif value.measure == "metric/criticalband/bw_norm" and value.value > WIDEST:
            kept.append(replace(value, flag=f"doubtful: beyond the {WIDEST:g} octaves tested"))
        else:
            kept.append(value)
    return kept, flagged(kept)


_PADDING = "corrected: divided by 50,000 images, without the 48 of padding"
