"""The part of the page about published models, among which are those of one's own table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bvg.analysis.beyond import BIASES, TARGETS
from bvg.analysis.standing import against, own_results, standing
from bvg.analysis.wording import number
from bvg.page.parts import Part
from bvg.published.names import with_names
from bvg.published.statistics import read_statistics
from bvg.published.tables import SOURCES, TABLES, read_published, read_sources
from bvg.table.measures import IMAGENET, LABELS, SHAPE_BIAS
from bvg.table.study_table import StudyTable

# Conditions of C and C-bar: thousands of values, whose means are shown.
_CONDITION = r"top1_acc/.+_[1-5]"
_FACTS = {"kind": "kind", "family": "family", "data": "training data"}
_DIGITS = 6  # significant ones; of 50,000 images an accuracy has five
_LABELS = {
    **LABELS,
    **BIASES,
    "top1_acc/imagenet-c/15": "C, 15 corruptions",
    "relative-acc/imagenet-c/15": "C, relative to clean",
    "relative-acc/ood": "OOD, relative to clean",
    "relative-acc/adversarial": "adversarial, relative to clean",
    "parameters": "parameters (millions)",
    "mfr": "mean flip rate on P",
    "top1_acc/imagenet-a-clean": "ImageNet, A's classes",
    "top1_acc/imagenet-r-clean": "ImageNet, R's classes",
    "top1_acc/objectnet": "ObjectNet",
    "top1_acc/objectnet-clean": "ImageNet, ObjectNet's classes",
    "top1_acc/stylized-imagenet": "Stylized-ImageNet",
    "top1_acc/imagenet-3dcc": "3D common corruptions",
    "top1_acc/imagenet-v2/threshold-0.7": "V2, threshold 0.7",
    "top1_acc/imagenet-v2/top-images": "V2, top images",
    "top1_acc/autoattack-linf-4": "AutoAttack, L∞ 4/255",
}
_SECTIONS = {
    "cloud": "Published models",
    "standing": "Yours among them",
    "forest": "Every table",
    "instruments": "Instruments",
    "published-models": "Values",
    "sources": "Sources",
}
_FILES = {
    "published.csv": "the values of the sources that may be passed on",
    "published_correlations.csv": "correlations of biases and benchmarks in every published table",
}
_OWN_FILES = {
    "standing.csv": "the place of your models among the published ones",
    "against_published.csv": "your values against the published ones",
}
_STANDING = {
    "texts": {"measure": "measure", "source": "source"},
    "columns": {"value": "value", "rank": "rank", "of": "of", "percentile": "percentile"},
    "remarks": {"nearest": "nearest"},
}
_AGAINST = {
    "texts": {"measure": "measure", "source": "source"},
    "columns": {
        "value": "yours",
        "published": "published",
        "difference": "difference",
        "least": "95 % from",
        "most": "95 % to",
    },
    "remarks": {"verdict": "sampling", "reason": "protocol", "flag": "published value"},
}
_WHOLE = {"rank", "of", "percentile"}


@dataclass(frozen=True)
class Published:
    """The published tables, and what was computed from them.

    rows: those of read_published, with each model's one name and what is known of it. sources: what
    sources.toml says. correlations, instruments: of analysis/beyond.py; agreement: of agreement.py.
    """

    rows: pd.DataFrame
    sources: Mapping[str, Any]
    correlations: pd.DataFrame
    instruments: pd.DataFrame
    agreement: pd.DataFrame


def read_all(folder: Path = TABLES) -> Published | None:
    """Return the published tables of a folder, and what was computed from them.

    None where the folder has no tables. Raises UserError where a part of them is missing.
    """
    if not (folder / SOURCES).is_file():
        return None
    rows, sources = with_names(read_published(folder)), read_sources(folder)
    names = ("correlations", "instruments", "agreement")
    return Published(rows, sources, *(read_statistics(name, folder) for name in names))


def label_of(measure: str) -> str:
    """Return a published measure's name in figures."""
    words = measure.removeprefix("top1_acc/").replace("/", ": ").replace("-", " ").replace("_", " ")
    return _LABELS.get(measure, words)


def published_part(published: Published, table: StudyTable | None = None) -> Part:
    """Return the part about published models; with a table, its models are placed among them."""
    rows = published.rows[~published.rows["measure"].str.fullmatch(_CONDITION)]
    data: dict[str, Any] = {"published": _payload(published, rows)}
    values: dict[str, Any] = {"own": table is not None}
    if table:
        own, others = own_results(table, {*rows["measure"]})
        places = standing(own, rows)
        data["own"] = {
            "cells": _cells(places),
            "standing": _listing(places[places["reason"] == ""], _STANDING),
            "against": _listing(_judged(against(own, rows)), _AGAINST),
        }
        values |= {"others": others, "any": len(own) > 0, "left_out": _left_out(places)}
    models, sources = rows["model"].nunique(), rows["source"].nunique()
    return Part(
        template="published.html",
        lead=f"{'And ' if table else ''}{models:,} models that others have published results "
        f"of, from {sources} sources.",
        sections={name: title for name, title in _SECTIONS.items() if table or name != "standing"},
        values=values
        | {
            "models": models,
            "sources": [_about(name, about, rows) for name, about in published.sources.items()],
            "agreement": _agreement(published.agreement),
        },
        data=data,
        script="published.js",
        files={
            name: (what, None)
            for name, what in (_FILES | (_OWN_FILES if values.get("any") else {})).items()
        },
        footer="Published values: raw-data/published of the repository has the file and row of "
        "each; docs/beyond_48.md tells what is computed from them.",
    )


def _payload(published: Published, rows: pd.DataFrame) -> dict[str, Any]:
    """Return what the cloud, the forest plots and the table of models are drawn from."""
    rows = _one_each(rows).fillna({"flag": "", "protocol": ""})
    models = (
        rows.drop_duplicates("model").set_index("model").sort_index(key=lambda m: m.str.lower())
    )
    rows["place"] = models.index.get_indexer(pd.Index(rows["model"]))
    words = {}
    for name in ("protocol", "flag"):
        rows[name], words[name] = pd.factorize(rows[name], sort=True)
    columns = [
        _column(measure, str(source), group)
        for measure in _ordered(rows["measure"].unique())
        for source, group in rows[rows["measure"] == measure].groupby("source", sort=False)
    ]
    computed = published.correlations["target"], published.agreement["measure"]
    measures = {*rows["measure"]}.union(*computed)
    facts = {}
    for name, title in _FACTS.items():
        of, names = pd.factorize(models[name], sort=True)
        facts[name] = {"title": title, "names": [*names], "of": of.tolist()}
    return {
        "models": [*models.index],
        "facts": facts,
        "labels": {measure: label_of(measure) for measure in sorted(measures)},
        "protocols": [*words["protocol"]],
        "flags": [*words["flag"]],
        "columns": columns,
        "start": _start(columns),
        "withheld": [name for name, about in published.sources.items() if not about["committed"]],
        "main": [SHAPE_BIAS, "object-focus", "css/72", IMAGENET],
        "biases": BIASES,
        "targets": TARGETS,
        "correlations": _rows(published.correlations),
        "instruments": _rows(published.instruments),
        "agreement": _rows(published.agreement),
    }


def _one_each(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per source, model and measure: that of the smallest images."""
    order = pd.to_numeric(rows["size"]).fillna(0).sort_values(kind="stable").index
    return rows.loc[order].drop_duplicates(["source", "model", "measure"])


def _ordered(measures: Iterable[str]) -> list[str]:
    """Return measures: biases, then benchmarks that have a label, then the others by name."""
    first = [*BIASES, *_LABELS]
    return sorted(measures, key=lambda m: (first.index(m) if m in first else len(first), m))


def _column(measure: str, source: str, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "measure": measure,
        "source": source,
        "models": rows["place"].tolist(),
        "values": _numbers(rows["value"]),
        "n": _brief([None if pd.isna(n) else int(n) for n in rows["n"]]),
        "protocols": _brief(rows["protocol"].tolist()),
        "flags": _brief(rows["flag"].tolist()),
    }


def _brief(values: list[Any]) -> Any:
    """Return the values, or the one that they all are."""
    return values[0] if len({*values}) == 1 else values


def _start(columns: list[dict[str, Any]]) -> list[list[str]]:
    """Return the axes, measure and source, that the cloud begins with."""
    sources = {
        name: [c["source"] for c in columns if c["measure"] == name]
        for name in (SHAPE_BIAS, IMAGENET)
    }
    both = [source for source in sources[SHAPE_BIAS] if source in sources[IMAGENET]]
    if both:
        sizes = {c["source"]: len(c["models"]) for c in columns if c["measure"] == SHAPE_BIAS}
        source = max(both, key=sizes.__getitem__)
        return [[SHAPE_BIAS, source], [IMAGENET, source]]
    return [[c["measure"], c["source"]] for c in (columns[0], columns[-1])]


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [None if pd.isna(value) else float(f"{value:.{_DIGITS}g}") for value in values]


def _rows(frame: pd.DataFrame) -> dict[str, Any]:
    """Return computed figures for JSON, which knows no NaN: the names of columns, and the rows."""

    def plain(value: Any) -> Any:
        if pd.isna(value):
            return None
        return float(f"{value:.4g}") if isinstance(value, float) else value

    rows = frame.itertuples(index=False, name=None)
    return {"keys": [*frame], "rows": [[plain(value) for value in row] for row in rows]}


def _cells(places: pd.DataFrame) -> dict[str, Any]:
    """Return the table's own values by measure, and why a source's cannot be compared, if so."""
    models = [*dict.fromkeys(places["model"])]
    measures = {}
    for measure, group in places.groupby("measure"):
        values = group.drop_duplicates("model").set_index("model")["value"].reindex(models)
        reasons = group.pivot(index="model", columns="source", values="reason").reindex(models)
        measures[str(measure)] = {
            "values": _numbers(values),
            "reasons": {str(s): [*reasons[s].fillna("")] for s in reasons},
        }
    return {"models": models, "measures": measures}


def _listing(frame: pd.DataFrame, columns: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return a table for the page's script; `columns` has the labels of each kind of columns."""
    frame = frame.assign(measure=frame["measure"].map(label_of))
    listing: dict[str, Any] = {"models": [*frame["model"]], "noun": "rows"}
    for kind, labels in columns.items():
        listing[kind] = [{"key": key, "label": label} for key, label in labels.items()]
        for column in listing[kind]:
            cells = frame[column["key"]]
            if kind == "columns":
                decimals = 0 if column["key"] in _WHOLE else None
                column |= {"values": _numbers(cells), "decimals": decimals, "shown": True}
            else:
                column["values"] = [*cells.fillna("").map(str)]
    return listing


def _judged(differences: pd.DataFrame) -> pd.DataFrame:
    """Return differences with what can be said of each in a word; the most remarkable first."""
    outside = differences["outside"].astype(bool)
    ranks = pd.DataFrame({"same": differences["reason"] == "", "outside": outside})
    order = ranks.sort_values(["same", "outside"], ascending=False, kind="stable").index
    verdict = outside.map({True: "outside", False: "within"})
    return differences.assign(
        verdict=verdict.where(differences["least"].notna(), "unknown"),
        reason=differences["reason"].replace("", "the same"),
    ).loc[order]


def _left_out(places: pd.DataFrame) -> list[list[str]]:
    """Return measure, source, why models have no place there, and how many, a row for each."""
    without = places[places["reason"] != ""]
    groups = without.groupby(["measure", "source", "reason"], sort=False)["model"].nunique()
    return [
        [label_of(row["measure"]), row["source"], row["reason"], str(row["model"])]
        for _, row in groups.reset_index().iterrows()
    ]


def _agreement(agreement: pd.DataFrame) -> list[list[str]]:
    """Return the differences between sources as text, a row for each measure and two sources."""
    numbers = ("mean", "sd", "rms", "sampling", "remainder")
    return [
        [
            label_of(row["measure"]),
            row["a_source"],
            row["b_source"],
            str(row["n"]),
            *(number(row[name], 3) for name in numbers),
            row["largest_models"],
        ]
        for _, row in agreement.iterrows()
    ]


def _about(name: str, about: Mapping[str, Any], rows: pd.DataFrame) -> dict[str, Any]:
    """Return what the page says of a source, and how much of it is here."""
    own = rows[rows["source"] == name]
    return {
        "unusable": {},
        **about,
        "name": name,
        "shown": own["model"].nunique(),
        "measures": [label_of(measure) for measure in _ordered(own["measure"].unique())],
    }
