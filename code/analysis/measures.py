"""What the study correlates: biases, single benchmarks, and the means it calls aggregates.

Source: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.spectral import PREFIX, spectral_measures

SHAPE_BIAS = "shape-bias"
CUTOFFS = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)  # of the published table
LPP, HPP, SPECTRAL = f"{PREFIX}/LPP", f"{PREFIX}/HPP", f"{PREFIX}/spectral-bias"
IMAGENET = "top1_acc/imagenet"
ADVERSARIAL = "top1_acc/PGD-40/low"  # 40 steps, L∞, ε = 0.5/255
BIASES = {
    SHAPE_BIAS: "shape bias",
    LPP: "low-frequency bias",
    HPP: "high-frequency bias",
    SPECTRAL: "spectral bias",
    "metric/criticalband/bw_norm": "critical band: bandwidth",
    "metric/criticalband/cf_norm": "critical band: centre",
    "metric/criticalband/pns_norm": "critical band: peak sensitivity",
}
BENCHMARKS = {
    IMAGENET: "ImageNet",
    "top1_acc/imagenet-v2": "V2",
    "top1_acc/imagenet-real": "ReaL",
    "top1_acc/imagenet-a": "A",
    "top1_acc/imagenet-c": "C",
    "top1_acc/imagenet-cbar": "C-bar",
    "top1_acc/imagenet-sketch": "Sketch",
    "top1_acc/imagenet-r": "R",
    "top1_acc/stylized": "Stylized",
    ADVERSARIAL: "PGD-40",
}
# Shown as single benchmarks where they are there; no part of the study's aggregates.
STAND_INS = {
    "top1_acc/imagenet-c/measured": "C, in part",
    "imagenet_c_generated/top1_acc/imagenet-c": "C, generated",
    "imagenet_c_generated/top1_acc/imagenet-c/measured": "C, generated, in part",
}
AGGREGATES = {
    "ID": (IMAGENET, "top1_acc/imagenet-v2", "top1_acc/imagenet-real"),
    "Robustness": ("top1_acc/imagenet-a", "top1_acc/imagenet-c", "top1_acc/imagenet-cbar"),
    "Concepts": ("top1_acc/imagenet-sketch", "top1_acc/imagenet-r", "top1_acc/stylized"),
    "Adversarial": (ADVERSARIAL,),
}
LABELS = {**BIASES, **BENCHMARKS, **STAND_INS}
RELATIVE = tuple(f"{PREFIX}/{band}/{cutoff}" for band in ("LFC", "HFC") for cutoff in CUTOFFS)
OUTCOMES = tuple(f"fraction-{name}" for name in ("correct-shape", "correct-texture", "neither"))
STUDY_COLUMNS = (*BIASES, *BENCHMARKS, *RELATIVE, *OUTCOMES, "top1_acc/cue-conflict")
PERCENT = (*BENCHMARKS, *STAND_INS, "top1_acc/cue-conflict")
FRACTIONS = (SHAPE_BIAS, *OUTCOMES)

ADVERSARIALLY_TRAINED = "adversarial_training"
# Trained like the robust models, with ε = 0: the study counts it among them, though it is not.
NOT_ROBUST = "robust_resnet50_l2_eps0"
TOTAL, AT, OTHER = "Total", "AT", "Other"


@dataclass(frozen=True)
class Measures:
    """What of the study a table has, a row per model.

    biases: by column name. targets: aggregates by name. benchmarks: single ones, by column name.
    components: the columns that each aggregate is the mean of. notes: what is not as in the study.
    """

    biases: pd.DataFrame
    targets: pd.DataFrame
    benchmarks: pd.DataFrame
    components: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def measures_of(values: pd.DataFrame) -> Measures:
    """Return biases, benchmarks and aggregates of a table of the published columns.

    An aggregate of which the table lacks some columns is the mean of the others, for all models
    alike, and its name says so: "ID (1 of 3)". A model that lacks one of the cells has no value.
    """
    values = with_spectral(values)
    biases = _there(values, BIASES)
    benchmarks = _there(values, {**BENCHMARKS, **STAND_INS})
    targets, components, notes = {}, {}, []
    for aggregate, wanted in AGGREGATES.items():
        used = tuple(name for name in wanted if name in benchmarks)
        if not used:
            notes.append(f"{aggregate} is missing: the table has none of {', '.join(wanted)}.")
            continue
        name = aggregate
        if len(used) < len(wanted):
            name = f"{aggregate} ({len(used)} of {len(wanted)})"
            missing = ", ".join(BENCHMARKS[column] for column in wanted if column not in used)
            notes.append(f"{name} is without {missing}, so it is not the study's {aggregate}.")
        targets[name] = benchmarks[list(used)].mean(axis=1, skipna=False)
        components[name] = used
    frame = pd.DataFrame(targets, index=values.index)
    return Measures(biases, frame, benchmarks, components, tuple(notes))


def with_spectral(values: pd.DataFrame) -> pd.DataFrame:
    """Return the table with LPP, HPP and spectral bias, where it has what they are made of."""
    if not set(RELATIVE) <= set(values):
        return values
    # Accuracies relative to the clean one: in units in which that is 1.
    accuracy: dict[str, float | np.ndarray] = {"clean": 1.0}
    for short, band in (("LFC", "lowpass"), ("HFC", "highpass")):
        for cutoff in CUTOFFS:
            accuracy[f"{band}/{cutoff}"] = values[f"{PREFIX}/{short}/{cutoff}"].to_numpy()
    measured = spectral_measures(accuracy)
    return values.assign(**{name: measured[name] for name in (LPP, HPP, SPECTRAL)})


def _there(values: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    return values[[name for name in names if name in values and values[name].notna().any()]]


def groups_of(categories: pd.Series) -> dict[str, np.ndarray]:
    """Return which models belong to Total, AT and Other, and, where it matters, further groups.

    The published AT holds a model that is not adversarially trained (NOT_ROBUST): the further
    groups count it among the others instead.
    """
    robust = (categories == ADVERSARIALLY_TRAINED).to_numpy()
    groups = {TOTAL: np.ones(len(categories), bool), AT: robust, OTHER: ~robust}
    plain = (categories.index == NOT_ROBUST) & robust
    if plain.any():
        groups[f"{AT} without ε = 0"] = robust & ~plain
        groups[f"{OTHER} with ε = 0"] = ~robust | plain
    return groups


def names_of(frame: pd.DataFrame) -> list[str]:
    """Return the names of a table's columns."""
    return [str(name) for name in frame]


def short(name: str) -> str:
    """Return how figures call a bias, a benchmark or an aggregate."""
    return LABELS.get(name, name)
