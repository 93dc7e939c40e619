"""What the study correlates: biases, single benchmarks, and the means it calls aggregates.

Source: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bvg.scores.spectral import MEAN_CUTOFFS, PREFIX
from bvg.table.columns import CORRUPTIONS
from bvg.table.measures import (
    ADVERSARIAL,
    ADVERSARIALLY_TRAINED,
    BENCHMARKS,
    BIASES,
    CUES,
    HPP,
    IMAGENET,
    LABELS,
    LPP,
    SHAPE_BIAS,
    SPECTRAL,
    STAND_INS,
)

# Which of them measure shape, and whether a higher value is more of it (1) or less (-1): accuracy
# that is left without shape does not rely on it. The others are about colour, frequencies or
# backgrounds, or, as the rank of texture, about an ability that does not exclude that of shape.
TOWARDS_SHAPE = {
    SHAPE_BIAS: 1,
    "shape-bias/blur=2.5": 1,
    "metric/suppression/global-shape/relative": -1,
    "metric/suppression/local-shape/relative": -1,
    "metric/suppression/texture/relative": 1,
    "refined-bias/shape-mrr": 1,
    "css/72": 1,
    "css/1440": 1,
}
AGGREGATES = {
    "ID": (IMAGENET, "top1_acc/imagenet-v2", "top1_acc/imagenet-real"),
    "Robustness": ("top1_acc/imagenet-a", "top1_acc/imagenet-c", "top1_acc/imagenet-cbar"),
    "Concepts": ("top1_acc/imagenet-sketch", "top1_acc/imagenet-r", "top1_acc/stylized"),
    "Adversarial": (ADVERSARIAL,),
}
_RELATIVE = re.compile(rf"{PREFIX}/(LFC|HFC)/(\d*\.?\d+)")
_ATTACKED = re.compile(r"top1_acc/[^/]+/eps=.+")
_EQUAL_MEANS = 0.01  # percentage points by which a mean may differ from that of its conditions
_EQUAL_RATIOS = 0.01  # the same for means of relative accuracies, perhaps of two digits
# Trained like the robust models, with ε = 0: the study counts it among them, though it is not.
NOT_ROBUST = "robust_resnet50_l2_eps0"
TOTAL, AT, OTHER = "Total", "AT", "Other"
_SHOWN = 3  # of a long list


@dataclass(frozen=True)
class Measures:
    """The study's measures in a table, a row per model, and later ones that it has.

    biases: by column name, those of CUES last. targets: aggregates by name. benchmarks: single
    ones, by column name. components: the columns that each aggregate is the mean of. notes: what is
    not as in the study.
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
    What cannot be formed from the table's columns is named in the notes.
    """
    notes = _doubtful_means(values)
    values = with_derived(values)
    biases = values[_filled(values, [*BIASES, *CUES])]
    benchmarks = values[_filled(values, [*BENCHMARKS, *STAND_INS])]
    targets, components = {}, {}
    for aggregate, wanted in AGGREGATES.items():
        used = tuple(name for name in wanted if name in benchmarks)
        if not used:
            there = _instead(values, wanted)
            notes.append(
                f"{aggregate} is missing: the table has none of {', '.join(wanted)}{there}."
            )
            continue
        name = aggregate
        if len(used) < len(wanted):
            name = f"{aggregate} ({len(used)} of {len(wanted)})"
            absent = [column for column in wanted if column not in used]
            missing = ", ".join(BENCHMARKS[column] for column in absent) + _instead(values, absent)
            notes.append(f"{name} lacks {missing}, so it is not the study's {aggregate}.")
        targets[name] = benchmarks[list(used)].mean(axis=1, skipna=False)
        components[name] = used
    if absent := [name for name in BIASES if name not in biases]:
        missing = ", ".join(BIASES[name] for name in absent) + _instead(values, absent)
        notes.append(f"These biases are missing: {missing}.")
    frame = pd.DataFrame(targets, index=values.index)
    return Measures(biases, frame, benchmarks, components, tuple(notes))


def _instead(values: pd.DataFrame, wanted: Sequence[str]) -> str:
    """Return what the table has of the parts or kin of missing columns, in brackets; or nothing."""
    has = []
    for name, corruptions in CORRUPTIONS.items():
        if name in wanted and (there := _filled(values, _conditions(corruptions))):
            count = len(_conditions(corruptions))
            has.append(f"{len(there)} of the {count} conditions of {BENCHMARKS[name]}")
    if ADVERSARIAL in wanted:
        attacks = [name for name in names_of(values) if _ATTACKED.fullmatch(name)]
        has += [f"{name.removeprefix('top1_acc/')}" for name in attacks[:_SHOWN]]
        has += ["…"] * (len(attacks) > _SHOWN)
    for name, band in ((LPP, "LFC"), (HPP, "HFC")):
        if name in wanted and (columns := cutoffs_of(values, band)):
            at = ", ".join(f"{cutoff:g}" for cutoff in MEAN_CUTOFFS)
            had = ", ".join(f"{cutoff:g}" for cutoff in sorted(columns))
            has.append(f"{band} at the cutoffs {had}, but {BIASES[name]} needs {at}")
    return f" (the table has {'; '.join(has)})" if has else ""


def with_derived(values: pd.DataFrame) -> pd.DataFrame:
    """Return the table with what its columns allow: see with_means and with_spectral."""
    return with_spectral(with_means(values))


def with_means(values: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the means of C and C-bar where it has only all their conditions."""
    made = {}
    for name, corruptions in CORRUPTIONS.items():
        conditions = _conditions(corruptions)
        if not _filled(values, [name]) and len(_filled(values, conditions)) == len(conditions):
            made[name] = values[conditions].mean(axis=1, skipna=False)
    return values.assign(**made) if made else values


def _doubtful_means(values: pd.DataFrame) -> list[str]:
    """Return a sentence for each mean that is not the mean of the conditions beside it."""
    notes = []
    for name, corruptions in CORRUPTIONS.items():
        conditions = _conditions(corruptions)
        if name not in values or not set(conditions) <= set(values):
            continue
        off = (values[name] - values[conditions].mean(axis=1, skipna=False)).abs()
        if count := int((off > _EQUAL_MEANS).sum()):
            notes.append(
                f"{name} of {count} model{'s' * (count != 1)} is up to {off.max():.2g} points off "
                f"the mean of the {len(conditions)} conditions of {BENCHMARKS[name]} in the table: "
                "it may average other corruptions."
            )
    for name, band in ((LPP, "LFC"), (HPP, "HFC")):
        columns = _mean_columns(values, band)
        if not columns or name not in values:
            continue
        off = (values[name] - values[columns].mean(axis=1, skipna=False)).abs()
        if count := int((off > _EQUAL_RATIOS).sum()):
            at = ", ".join(f"{cutoff:g}" for cutoff in MEAN_CUTOFFS)
            notes.append(
                f"{name} of {count} model{'s' * (count != 1)} is up to {off.max():.2g} off the "
                f"mean of {band} at the cutoffs {at} in the table: it may average other cutoffs."
            )
    return notes


def _conditions(corruptions: Sequence[str]) -> list[str]:
    return [f"top1_acc/{name}_{severity}" for name in corruptions for severity in range(1, 6)]


def _filled(values: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return those of the columns that the table has and that are not empty."""
    return [name for name in names if name in values and values[name].notna().any()]


def with_spectral(values: pd.DataFrame) -> pd.DataFrame:
    """Return the table with LPP, HPP and spectral bias wherever it lacks them but has their parts.

    Those that a table has stay, since they may be of other cutoffs, on purpose.
    """
    for name, band in ((LPP, "LFC"), (HPP, "HFC")):
        if columns := _mean_columns(values, band):
            means = np.mean([values[column].to_numpy() for column in columns], axis=0)
            values = _completed(values, name, pd.Series(means, values.index))
    if LPP in values and HPP in values:
        both = values[LPP] + values[HPP]
        return _completed(values, SPECTRAL, values[HPP] / both.where(both > 0))
    return values


def _completed(values: pd.DataFrame, name: str, cells: pd.Series) -> pd.DataFrame:
    """Return the table with these cells of a column where it has none."""
    return values.assign(**{name: values[name].fillna(cells) if name in values else cells})


def _mean_columns(values: pd.DataFrame, band: str) -> list[str]:
    """Return the columns of which LPP ("LFC") or HPP ("HFC") is the mean; none if one lacks."""
    columns = cutoffs_of(values, band)
    return [columns[c] for c in MEAN_CUTOFFS] if {*MEAN_CUTOFFS} <= {*columns} else []


def cutoffs_of(values: pd.DataFrame, band: str) -> dict[float, str]:
    """Return the columns of a band ("LFC" or "HFC") that are not empty, by cutoff."""
    found = [_RELATIVE.fullmatch(name) for name in _filled(values, names_of(values))]
    return {float(match[2]): match[0] for match in found if match and match[1] == band}


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
    """Return the name of a bias, a benchmark or an aggregate in figures."""
    return LABELS.get(name, name)
