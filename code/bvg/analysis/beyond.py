"""Correlations of biases with generalisation in the published tables of many models.

The study's question beyond its 48 models. For each bias of a source and each benchmark of the same
source, or of another one that has the same models: Spearman's r, r given ImageNet accuracy, and r
with effective robustness, with intervals over families of models. The methods and their sources are
in families.py and given_accuracy.py; what comes out is in docs/beyond_48.md.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis.correlations import corrected
from bvg.analysis.families import FEWEST_MODELS, Sample, trust
from bvg.analysis.given_accuracy import REFERENCE, effective_robustness
from bvg.analysis.measures import names_of
from bvg.table.measures import IMAGENET

STUDY = "study"
BIASES = {
    "shape-bias": "shape bias",
    "object-focus": "object focus",
    "css/72": "configural shape (72 pairs)",
    "css/1440": "configural shape (1,440 pairs)",
    "critical-band/bandwidth": "critical band: bandwidth",
    "critical-band/centre": "critical band: centre",
    "critical-band/peak-sensitivity": "critical band: peak sensitivity",
}
# Measures of one benchmark share its label. Relative accuracies are divided by the clean one.
TARGETS = {
    "top1_acc/imagenet-v2": "V2",
    "top1_acc/imagenet-real": "ReaL",
    "top1_acc/imagenet-a": "A",
    "top1_acc/imagenet-r": "R",
    "top1_acc/imagenet-sketch": "Sketch",
    "top1_acc/imagenet-c/15": "C",
    "relative-acc/imagenet-c/15": "C, relative",
    "top1_acc/imagenet-cbar": "C-bar",
    "top1_acc/ood": "OOD",
    "relative-acc/ood": "OOD, relative",
    "top1_acc/PGD-40/low": "adversarial",
    "top1_acc/pgd-linf-0.5": "adversarial",
    "top1_acc/targeted-pgd-linf-0.06": "adversarial",
    "top1_acc/autoattack-linf-4": "adversarial",
    "top1_acc/adversarial": "adversarial",
    "relative-acc/adversarial": "adversarial, relative",
    "calibration-error": "calibration error",
}
_STUDY_NAMES = {
    "metric/criticalband/bw_norm": "critical-band/bandwidth",
    "metric/criticalband/cf_norm": "critical-band/centre",
    "metric/criticalband/pns_norm": "critical-band/peak-sensitivity",
}
LARGEST = "timm"  # its accuracies serve where neither source has any
STUDIED = (  # the study's categories
    *("baseline", "training_recipes", "augmentation", "stylized", "freezing"),
    *("adversarial_training", "contrastive"),
)
NO_NETWORKS = ("human", "no-network")
RELATIVE = "relative-acc/"
ALL = "all"
_RESNET50 = re.compile(r"(^|:|robust_)resnet-?50(?![\dA-Za-z]|_gn)", re.IGNORECASE)
KEYS = ["bias", "bias_source", "target", "target_source", "subset"]
# Statistics of a row of the table, by the suffix of their columns.
STATISTICS = ("", "_given", "_effective")
_NOT_COMPUTED = np.array([np.nan])


@dataclass(frozen=True)
class Tables:
    """Published tables whose models have one name each.

    values: by source, a row per model and a column per measure. images: by source and measure, of
    how many images a value is, where known. models: by that name, `family`, `kind`, `data`,
    `adversarial` (bool) and `training`, the kind of training of a ResNet-50.
    """

    values: Mapping[str, pd.DataFrame]
    images: Mapping[str, Mapping[str, float]]
    models: pd.DataFrame


def tables_of(rows: pd.DataFrame, categories: Mapping[str, str]) -> Tables:
    """Return published rows as tables whose models have one name each.

    rows: as bvg.published.names.with_names returns them, with `size`. categories: how the models of
    our zoo were trained, by that name; other models are a kind of training of their own.
    Of several sizes, the smallest counts; of several prompts or files, the mean. Of the study, the
    48 models that it compares; nothing of people, untrained networks, or methods without a network.
    """
    rows = rows[~rows["family"].isin(NO_NETWORKS) & (rows["data"] != "none")]
    rows = rows.assign(measure=rows["measure"].replace(_STUDY_NAMES))
    side = pd.to_numeric(rows["size"]).fillna(0)
    smallest = side.groupby([rows[name] for name in ("source", "model", "measure")])
    rows = rows[side == smallest.transform("min")]
    facts = rows.drop_duplicates("model").set_index("model").sort_index()
    training = pd.Series({name: categories.get(name, name) for name in facts.index}, dtype=object)
    models = facts[["family", "kind", "data"]].assign(
        adversarial=facts["adversarial"] == "yes", training=training
    )
    values = {
        str(source): _with_absolute(own.pivot_table("value", "model", "measure"))
        for source, own in rows.groupby("source")
    }
    if STUDY in values:
        values[STUDY] = _studied(values[STUDY], models)
    images = {
        str(source): {
            _absolute(str(name)): n for name, n in own.groupby("measure")["n"].max().items()
        }
        for source, own in rows.groupby("source")
    }
    return Tables(values, images, models)


def _absolute(measure: str) -> str:
    return measure.replace(RELATIVE, "top1_acc/")


def _with_absolute(values: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which relative accuracies are also accuracies: times the clean one."""
    relative = [name for name in names_of(values) if name.startswith(RELATIVE)]
    return values.assign(**{_absolute(name): values[name] * values[IMAGENET] for name in relative})


def _studied(values: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Return the study's own models: ResNet-50s of its categories that have all measures."""
    complete = values[_there(values, (*BIASES, *TARGETS))].notna().all(axis=1)
    return values[complete & models.loc[values.index, "training"].isin(STUDIED)]


def subsets_of(models: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which models are in each of the groups that are looked at, by the group's name."""
    robust = models["adversarial"].to_numpy(bool)
    return {
        ALL: np.ones(len(models), bool),
        "ImageNet-1k only": (models["data"] == "imagenet-1k").to_numpy(),
        "CNNs": (models["kind"] == "cnn").to_numpy(),
        "transformers": (models["kind"] == "transformer").to_numpy(),
        "not adversarially trained": ~robust,
        "adversarially trained": robust,
        "ResNet-50s": np.array([bool(_RESNET50.search(name)) for name in models.index]),
    }


def families_of(models: pd.DataFrame) -> tuple[str, np.ndarray]:
    """Return what is resampled as a whole, and to which of these each model belongs.

    Architecture families; the kinds of training where all models have one architecture.
    """
    if models["family"].nunique() > 1:
        return "architecture", models["family"].to_numpy(str)
    return "training", models["training"].to_numpy(str)


def correlations(tables: Tables) -> pd.DataFrame:
    """Return a row for each bias, benchmark and group with at least FEWEST_MODELS models.

    bias, bias_source, target, target_source, subset; unit: what is resampled; n, families and
    effective_families: how many models and of these. accuracy_source: whose ImageNet accuracy is
    given; reference: how many models the line of effective robustness is fitted to, 0 for none. r,
    low, high, p, least, most and turns_without: see families.trust; holm, bh and by: p corrected
    for all tests of the table. The same with _given for r given accuracy, and with _effective for r
    with effective robustness. Where a group is all of the models, it has no row of its own.
    """
    rows = [
        row
        for bias_source in tables.values
        for target_source in tables.values
        for row in _of_sources(tables, bias_source, target_source)
    ]
    table = pd.DataFrame(rows).sort_values(KEYS, ignore_index=True)
    return table.join([corrected(table[f"p{s}"]).add_suffix(s) for s in STATISTICS])


def instruments(tables: Tables) -> pd.DataFrame:
    """Return a row for each two measurements of biases, and each group with FEWEST_MODELS models.

    a, a_source, b, b_source and the columns of `correlations` from subset to by.
    """
    measured = [
        (source, name)
        for source, values in tables.values.items()
        for name in _there(values, BIASES)
    ]
    rows = []
    for (a_source, a), (b_source, b) in combinations(measured, 2):
        pair = pd.DataFrame({"a": tables.values[a_source][a], "b": tables.values[b_source][b]})
        named = {"a": a, "a_source": a_source, "b": b, "b_source": b_source}
        rows += [
            named | extent | trust(sample.correlation("a", "b"), sample)
            for extent, sample in _samples(tables.models, pair.dropna())
        ]
    table = pd.DataFrame(rows)
    return table.join(corrected(table["p"]))


def _of_sources(tables: Tables, bias_source: str, target_source: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one source's biases and another one's, or its own, benchmarks."""
    biases, targets = tables.values[bias_source], tables.values[target_source]
    accuracy_source, accuracy = _accuracy(tables, target_source, bias_source)
    residuals, reference = _effective(tables, target_source, accuracy)
    values = biases[_there(biases, BIASES)].join(
        [targets[_there(targets, TARGETS)], residuals, accuracy.rename("accuracy")], how="left"
    )
    control = ["accuracy"] if accuracy_source else []
    # Biases and benchmarks that the same models have share their resamples and ranks.
    together: dict[bytes, list[tuple[str, str]]] = {}
    for pair in product(_there(biases, BIASES), _there(targets, TARGETS)):
        complete = values[[*pair, *control]].notna().all(axis=1)
        together.setdefault(complete.to_numpy().tobytes(), []).append(pair)
    for members, pairs in together.items():
        complete_values = values[np.frombuffer(members, bool)]
        for extent, sample in _samples(tables.models, complete_values):
            for bias, target in pairs:
                yield {
                    "bias": bias,
                    "bias_source": bias_source,
                    "target": target,
                    "target_source": target_source,
                    **extent,
                    "accuracy_source": accuracy_source,
                    "reference": reference.get(target, 0),
                    **_statistics(sample, bias, target),
                }


def _there(values: pd.DataFrame, names: Iterable[str]) -> list[str]:
    return [name for name in names if name in values]


def _accuracy(tables: Tables, *sources: str) -> tuple[str, pd.Series]:
    """Return the first of these sources, or LARGEST, that has ImageNet accuracies, and these."""
    for source in (*sources, LARGEST):
        if IMAGENET in tables.values.get(source, ()):
            return source, tables.values[source][IMAGENET]
    return "", pd.Series(dtype=float, name=IMAGENET)


def _effective(
    tables: Tables, source: str, accuracy: pd.Series
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return effective robustness by benchmark, `effective <name>`, and of how many the lines are.

    A line is that of the source's ordinary models: trained on ImageNet-1k alone and not
    adversarially; in the study, those that it calls baseline and training recipes. There is none
    for fewer than FEWEST_MODELS of them, nor for what is not an accuracy.
    """
    values, models = tables.values[source], tables.models.loc[tables.values[source].index]
    ordinary = (
        models["training"].isin(REFERENCE)
        if source == STUDY
        else (models["data"] == "imagenet-1k") & ~models["adversarial"]
    )
    accuracies = [name for name in _there(values, TARGETS) if name.startswith("top1_acc/")]
    found = effective_robustness(
        values[accuracies], accuracy.reindex(values.index), ordinary.to_numpy()
    )
    fitted = zip(found.lines["target"], found.lines["n"], strict=True)
    lines = {name: n for name, n in fitted if n >= FEWEST_MODELS}
    return found.residuals[[*lines]].add_prefix("effective "), lines


def _samples(models: pd.DataFrame, values: pd.DataFrame) -> Iterator[tuple[dict[str, Any], Sample]]:
    """Yield each large enough group of the models, with what it is; none that is all again."""
    facts = models.loc[values.index]
    for subset, members in subsets_of(facts).items():
        n = int(members.sum())
        if n < FEWEST_MODELS or (n == len(facts) and subset != ALL):
            continue
        unit, families = families_of(facts[members])
        sample = Sample(values[members], families)
        extent = {"subset": subset, "unit": unit, "n": n, "families": len(sample.names)}
        yield extent | {"effective_families": sample.effective}, sample


def _statistics(sample: Sample, bias: str, target: str) -> dict[str, Any]:
    """Return the computed columns of a row; NaN without accuracies, or without a line over them."""
    found = {"": sample.correlation(bias, target)}
    if sample.values["accuracy"].notna().all():
        found["_given"] = sample.partial_correlation(bias, target, "accuracy")
    if f"effective {target}" in sample.values:
        found["_effective"] = sample.correlation(bias, f"effective {target}")
    return {
        f"{name}{suffix}": value
        for suffix in STATISTICS
        for name, value in trust(found.get(suffix, _NOT_COMPUTED), sample).items()
    }
