"""The part of the page about published models, among which are those of one's own table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bvg.analysis.beyond import BIASES, TARGETS
from bvg.analysis.measures import IMAGENET, LABELS, SHAPE_BIAS
from bvg.analysis.standing import against, own_results, standing
from bvg.analysis.wording import number
from bvg.page.parts import Part
from bvg.published.names import with_names
from bvg.published.tables import TABLES, read_published, read_sources
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
}
_SECTIONS = {
    "cloud": "Published models",
    "standing": "Where yours stand",
    "forest": "Every table",
    "instruments": "Instruments",
    "published-models": "Published values",
    "sources": "Sources",
}
_FILES = {
    "published.csv": "the published values that the page shows",
    "published_correlations.csv": "correlations of biases and benchmarks in every published table",
}
_OWN_FILES = {
    "standing.csv": "the place of your models among the published ones",
    "against_published.csv": "your values against the published ones",
}


@dataclass(frozen=True)
class Published:
    """The published tables, and what was computed from them.

    rows: those of read_published, with each model's one name and what is known of it. sources: what
    sources.toml says. correlations, instruments, agreement: see analysis/beyond.py and agreement.py.
    """

    rows: pd.DataFrame
    sources: Mapping[str, Any]
    correlations: pd.DataFrame
    instruments: pd.DataFrame
    agreement: pd.DataFrame


def read_all(folder: Path = TABLES) -> Published:
    """Return the published tables of a folder, and what was computed from them."""
    names = ("correlations.csv", "instruments.csv", "agreement.csv")
    computed = (pd.read_csv(folder / name) for name in names)
    return Published(with_names(read_published(folder)), read_sources(folder), *computed)


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
            "standing": _standing(places[places["reason"] == ""]),
            "against": _against(against(own, rows)),
        }
        values |= {"others": others, "any": len(own) > 0, "left_out": _left_out(places)}
    models, sources = rows["model"].nunique(), rows["source"].nunique()
    return Part(
        template="published.html",
        lead=f"{models:,} published models, measured by {sources} sources.",
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
            name: (what, None) for name, what in (_FILES | (_OWN_FILES if table else {})).items()
        },
        footer="Published values: raw-data/published of the repository has the file and row of each, "
        "docs/beyond_48.md what is computed from them.",
    )


def _payload(published: Published, rows: pd.DataFrame) -> dict[str, Any]:
    """Return what the cloud, the forest plots and the table of models are drawn from."""
    rows = _one_each(rows).fillna({"flag": "", "protocol": ""})
    models = (
        rows.drop_duplicates("model").set_index("model").sort_index(key=lambda m: m.str.lower())
    )
    rows["place"] = models.index.get_indexer(rows["model"])
    words = {}
    for name in ("protocol", "flag"):
        rows[name], words[name] = pd.factorize(rows[name], sort=True)
    columns = [
        _column(measure, str(source), group)
        for measure in _ordered(rows["measure"].unique())
        for source, group in rows[rows["measure"] == measure].groupby("source", sort=False)
    ]
    facts = {}
    for name, title in _FACTS.items():
        of, names = pd.factorize(models[name], sort=True)
        facts[name] = {"title": title, "names": [*names], "of": of.tolist()}
    return {
        "models": [*models.index],
        "facts": facts,
        "labels": {measure: label_of(measure) for measure in rows["measure"].unique()},
        "protocols": [*words["protocol"]],
        "flags": [*words["flag"]],
        "columns": columns,
        "start": _start(columns),
        "main": [SHAPE_BIAS, "object-focus", "css/72", IMAGENET],
        "biases": [*BIASES],
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
        "n": [None if pd.isna(n) else int(n) for n in rows["n"]],
        "protocols": rows["protocol"].tolist(),
        "flags": rows["flag"].tolist(),
    }


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


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of computed figures for JSON, which knows no NaN."""
    return [
        {
            str(key): None
            if pd.isna(value)
            else float(f"{value:.4g}")
            if isinstance(value, float)
            else value
            for key, value in row.items()
        }
        for row in frame.to_dict("records")
    ]


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


def _listing(
    frame: pd.DataFrame, words: Mapping[str, str], numbers: Mapping[str, tuple[str, int | None]]
) -> dict[str, Any]:
    """Return a table for the page's script: columns of words, and of numbers with their decimals."""
    texts = [
        {"key": key, "label": label, "values": [*frame[key].fillna("").map(str)]}
        for key, label in words.items()
    ]
    columns = [
        {
            "key": key,
            "label": label,
            "decimals": digits,
            "shown": True,
            "values": _numbers(frame[key]),
        }
        for key, (label, digits) in numbers.items()
    ]
    return {"models": [*frame["model"]], "texts": texts, "columns": columns, "noun": "rows"}


def _standing(places: pd.DataFrame) -> dict[str, Any]:
    return _listing(
        places.assign(measure=places["measure"].map(label_of)),
        {"measure": "measure", "source": "among those of", "nearest": "nearest"},
        {
            "value": ("value", None),
            "rank": ("rank", 0),
            "of": ("of", 0),
            "percentile": ("percentile", 0),
        },
    )


def _against(differences: pd.DataFrame) -> dict[str, Any]:
    outside = differences["outside"].map({True: "outside", False: "", None: ""})
    return _listing(
        differences.assign(
            measure=differences["measure"].map(label_of),
            outside=outside,
            reason=differences["reason"].replace("", "the same protocol"),
        ),
        {
            "measure": "measure",
            "source": "source",
            "outside": "sampling",
            "reason": "protocol",
            "flag": "on the published value",
        },
        {
            "value": ("yours", None),
            "published": ("published", None),
            "difference": ("difference", None),
            "least": ("from", None),
            "most": ("to", None),
        },
    )


def _left_out(places: pd.DataFrame) -> list[list[str]]:
    """Return why values have no place among a source's: measure, source, how many models, reason."""
    without = places[places["reason"] != ""]
    groups = without.groupby(["measure", "source", "reason"], sort=False)["model"].nunique()
    return [
        [label_of(measure), source, str(count), reason]
        for (measure, source, reason), count in groups.items()
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
        "name": name,
        "models": own["model"].nunique(),
        "measures": [label_of(measure) for measure in _ordered(own["measure"].unique())],
        **about,
    }
