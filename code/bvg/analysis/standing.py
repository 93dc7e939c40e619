"""Where a table's own models stand among published ones, and where their values differ.

Only results of one protocol are compared: images of one size, crop and interpolation, the same
classes, and as many images. Otherwise a rank would tell as much about the protocol as about the
model.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from math import floor, hypot, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis.agreement import sampling_error
from bvg.analysis.wording import listed
from bvg.data.model_vs_human import CUE_CONFLICT
from bvg.data.preprocessing import STUDY
from bvg.errors import UserError, reason_of
from bvg.published.names import own_model
from bvg.scores.metric import Z95
from bvg.table.merging import protocol_and_scoring
from bvg.table.published_protocol import departures
from bvg.table.study_table import StudyTable
from bvg.zoo.table import find

NEIGHBOURS = 3
DOUBTFUL = "doubtful"  # how the flags of values begin that cannot be relied on
# What is compared of a protocol; other words, and other values, are a protocol of their own.
_WORDS = {
    "size": r"\d+|own",
    "crop": r"[\d.]+",
    "interpolation": r"\w+",
    "precision": r"\w+",
    "classes": r"\d+",
}
# Words of protocols that say what the measure is, and nothing that we do otherwise.
_NOTHING_ELSE = {"cue-conflict", "difficulty=1", "threshold=0.5"}
_AS_MANY = 0.01  # by which share numbers of images may differ: some cannot be decoded
# How published measures begin that begin otherwise in our table.
_OUR_NAMES = {"flip-probability/": "flip_prob/", "top5-distance/": "top5_distance/"}
# The benchmarks that a measure can come from, by how its name begins.
_BENCHMARKS = {
    "top1_acc/imagenet-real": ("imagenet_real",),
    "top1_acc/imagenet-v2": ("imagenet_v2",),
    "top1_acc/imagenet-a": ("imagenet_a",),
    "top1_acc/imagenet-r": ("imagenet_r",),
    "top1_acc/imagenet-sketch": ("imagenet_sketch",),
    "top1_acc/imagenet-cbar": ("imagenet_cbar",),
    "top1_acc/imagenet-c": ("imagenet_c",),
    "top1_acc/imagenet": ("imagenet",),
    "flip-probability/": ("imagenet_p",),
    "top5-distance/": ("imagenet_p",),
    "metric/bandpass/": ("imagenet_spectral",),
    "metric/criticalband/": ("imagenet_criticalband",),
    "critical-band/": ("critical_band_masking",),
    "top1_acc/PGD-40/": ("imagenet_adv_pgd",),
    "shape-bias": ("imagenet_shape_bias", "imagenet_model_vs_human"),
    "fraction-": ("imagenet_shape_bias", "imagenet_model_vs_human"),
    "top1_acc/": ("imagenet_model_vs_human",),
}


@dataclass(frozen=True)
class View:
    """How images were shown, as far as is known.

    size: of the crop, in pixels; resize: of the shorter side before it; None where unknown.
    ready: images that are published in that size, and were not resized. own: each model's own view.
    other: further words of the protocol.
    """

    size: int | None = None
    resize: int | None = None
    interpolation: str | None = None
    classes: int | None = None
    ready: bool = False
    own: bool = False
    other: str = ""

    def __str__(self) -> str:
        if self.ready:
            return f"images of {self.size} px as they are published"
        whole = f" of {self.resize}" if self.resize else ""
        size = f"{self.size}{whole} px" if self.size else ""
        classes = f"{self.classes} classes" if self.classes else ""
        return ", ".join(word for word in (size, self.interpolation, classes) if word)

    def unknown_in(self, other: "View") -> list[str]:
        """Return which of the things that matter another view does not tell."""
        told = {
            "size": other.size is not None,
            "crop": other.resize is not None,
            "interpolation": self.ready or other.interpolation is not None,
            "classes": self.classes in (None, 1000) or other.classes is not None,
        }
        return [name for name, known in told.items() if not known]

    def is_same(self, other: "View") -> bool:
        """Return whether another view, of which all is known, is of the same pixels and classes."""
        classes = self.classes is None or (other.classes or 1000) == self.classes
        interpolation = self.ready or self.interpolation == other.interpolation
        rest = (self.size, self.resize, self.other) == (other.size, other.resize, other.other)
        return classes and interpolation and rest and not self.unknown_in(other)


def view_of(protocol: str) -> View:
    """Return what a published table's protocol says about the images."""
    known, other = {}, []
    for word in protocol.split():
        key, _, value = word.partition("=")
        if key in _WORDS and re.fullmatch(_WORDS[key], value):
            known[key] = value
        elif word not in _NOTHING_ELSE:
            other.append(word)
    size, crop = known.get("size", ""), known.get("crop")
    return View(
        size=int(size) if size.isdigit() else None,
        resize=floor(int(size) / float(crop)) if size.isdigit() and crop else None,  # as timm does
        interpolation=known.get("interpolation"),
        classes=int(known["classes"]) if "classes" in known else None,
        own=size == "own",
        other=" ".join(other),
    )


def own_results(table: StudyTable, measures: set[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the table's values of published measures, and its models that are not ImageNet's.

    A row per value: model, as the table calls it; name, its one name among published models, empty
    for weights that none of these can have;
    measure, value, low, high, n; view: see View, None where it is unknown; part: the number of
    images where only some of them were evaluated, else 0.
    """
    record = _results_beside(table.path)
    columns = {_published_name(str(column)): str(column) for column in table.values}
    rows, others = [], []
    for model in map(str, table.values.index):
        results = record.get(model, {})
        recorded = _spec(results)  # what a model was given another name for
        spec = recorded or model
        known = find(spec)
        if known and known.classes != "imagenet-1k":
            others.append(model)
            continue
        # Weights of one's own are not the published ones, whatever name they were given.
        name = own_model(spec) or ("" if recorded else model)
        for measure in sorted(measures & {*columns}):
            cell = model, columns[measure]
            value = float(table.values[columns[measure]][model])
            if not isnan(value):
                row = {"model": model, "name": name, "measure": measure}
                rows.append(
                    row | {"value": value} | _interval(table, cell) | _how(measure, results)
                )
    keys = ["model", "name", "measure", "value", "low", "high", "n", "view", "part"]
    return pd.DataFrame(rows, columns=keys), others


def _published_name(column: str) -> str:
    for theirs, ours in _OUR_NAMES.items():
        if column.startswith(ours):
            return theirs + column.removeprefix(ours)
    return column


def _results_beside(table: Path) -> dict[str, dict[str, Any]]:
    """Return the record of each model's results, by benchmark, from the file beside the table."""
    path = table.with_name("provenance.json")
    found: dict[str, dict[str, Any]] = {}
    if not path.is_file():
        return found
    try:
        for result in json.loads(path.read_text(encoding="utf-8"))["results"].values():
            found.setdefault(result["model"], {})[result["benchmark"]] = result
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read ({reason_of(error)}): write it again with code/collect.py"
        ) from error
    return found


def _spec(results: Mapping[str, Any]) -> str | None:
    """Return what --model was given, where it is recorded."""
    specs = (result.get("identity", {}).get("model", {}).get("spec") for result in results.values())
    return next((str(spec) for spec in specs if spec), None)


def _interval(table: StudyTable, cell: tuple[str, str]) -> dict[str, float]:
    ends = ("low", "high", "n")
    if cell not in table.intervals.index:
        return dict.fromkeys(ends, nan)
    return {name: float(table.intervals[name][cell]) for name in ends}


def _how(measure: str, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a measure's images were shown, and how many where they are only a part."""
    beginning = next((name for name in _BENCHMARKS if measure.startswith(name)), "")
    used = [results[name] for name in _BENCHMARKS.get(beginning, ()) if name in results]
    try:
        identity = used[0]["identity"]
        protocol, images = identity["protocol"], identity["images"]
        shown = protocol["preprocessing"]
        other = departures(identity["benchmark"], protocol_and_scoring(identity))
        if identity["benchmark"].endswith("_generated"):
            other.append("images generated here")
        view = View(
            size=shown["crop"],
            resize=shown["crop"] if shown["keep_ready"] else shown["resize"],
            interpolation=None if shown["keep_ready"] else shown["interpolation"],
            classes=None if shown["keep_ready"] else len(images.get("restricted_to", range(1000))),
            ready=shown["keep_ready"],
            other="; ".join(other),
        )
        of_a_part = protocol.get("limit") or _is_partial(used[0])
        return {"view": view, "part": images["count"] if of_a_part else 0}
    except (IndexError, KeyError, TypeError):  # not recorded, or otherwise than today
        return {"view": None, "part": 0}


def _is_partial(result: Mapping[str, Any]) -> bool:
    """Return whether a result is of a data set of which images were missing (--partial).

    model-vs-human lists its data sets that were: of these, only the cue conflicts are compared by
    anything but accuracies, whose numbers of images are known.
    """
    images = result.get("images", {})
    missing = images.get("partial") or {}
    return CUE_CONFLICT in missing if "data_sets" in images else bool(missing)


@dataclass(frozen=True)
class Results:
    """The published results of one source and measure, an element per result.

    views: the different ones; which: the number of each result's view.
    """

    source: str
    models: np.ndarray
    values: np.ndarray
    n: np.ndarray
    flags: np.ndarray
    views: list[View]
    which: np.ndarray


def _results_of(rows: pd.DataFrame) -> Results:
    which, protocols = pd.factorize(rows["protocol"])
    return Results(
        rows["source"].iloc[0],
        rows["model"].to_numpy(object),
        rows["value"].to_numpy(float),
        rows["n"].to_numpy(float),
        rows["flag"].fillna("").to_numpy(str),
        [view_of(protocol) for protocol in protocols],
        which,
    )


def standing(own: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each own value and each source that has its measure.

    own: see own_results. published: a row per value: source, model (its one name), measure,
    protocol, value, n, flag. Added to own's columns: source; of: the number of other models with a
    comparable result; rank: 1 is the highest value; percentile: the percentage of these models with
    a lower value, ties counting half; nearest: the models with the nearest values, the nearest
    first; reason: why there are none, else empty. A model with several results counts once, with
    the first of them.
    """
    rows = []
    for (source, measure), group in published.groupby(["source", "measure"], sort=False):
        results = _results_of(group)
        for cell in _cells(own[own["measure"] == measure]):
            mask, reason = comparable(cell, results)
            mask &= results.models != cell["name"]
            if not reason and not mask.any():
                reason = f"{source} has no other model with this protocol"
            place = _place(cell["value"], results, np.flatnonzero(mask))
            rows.append(cell | {"source": source, "reason": reason} | place)
    added = ["source", "of", "rank", "percentile", "nearest", "reason"]
    return pd.DataFrame(rows, columns=[*own.columns, *added])


def _cells(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _place(value: float, results: Results, others: np.ndarray) -> dict[str, Any]:
    """Return the place of a value among the results with these numbers."""
    if not len(others):
        return {"of": 0, "rank": nan, "percentile": nan, "nearest": ""}
    first = ~pd.Series(results.models[others]).duplicated().to_numpy()
    models, values = results.models[others[first]], results.values[others[first]]
    order = np.argsort(np.abs(values - value), kind="stable")
    below = (values < value).sum() + (values == value).sum() / 2
    return {
        "of": len(values),
        "rank": 1 + int((values > value).sum()),
        "percentile": 100 * float(below) / len(values),
        "nearest": ", ".join(models[order[:NEIGHBOURS]]),
    }


def comparable(cell: Mapping[str, Any], results: Results) -> tuple[np.ndarray, str]:
    """Return which of a source's results can be compared with one's own, and why none can, if so.

    cell: of own_results. A source that shows each model images as that model's own preprocessing
    has them is comparable as a whole with a model that was evaluated with its own, too.
    """
    ours: View | None = cell["view"]
    none = np.zeros(len(results.which), bool)
    if ours is None:
        return none, "the protocol of this value is not recorded"
    if cell["part"]:
        return none, f"only {cell['part']:,.0f} of the images were evaluated"
    if ours.other:
        return none, f"it is not of the published protocol ({ours.other})"
    same = np.array([_same(ours, view) for view in results.views])[results.which]
    if _is_own(ours, same[results.models == cell["name"]]) and _each_own(results.views):
        same = np.array([not view.other for view in results.views])[results.which]
    if not same.any():
        return none, _difference(ours, results)
    as_many = _as_many(cell, results.n)
    if not (same & as_many).any():
        n = results.n[same][0]
        return none, f"{cell['n']:,.0f} images here, {n:,.0f} in {results.source}"
    trusted = ~np.char.startswith(results.flags, DOUBTFUL)
    if not (same & as_many & trusted).any():
        return none, f"the results of {results.source} are {results.flags[same & as_many][0]}"
    return same & as_many & trusted, ""


@cache
def _same(ours: View, theirs: View) -> bool:
    return ours.is_same(theirs)


def _difference(ours: View, results: Results) -> str:
    """Return why none of a source's views is ours."""
    views, source = results.views, results.source
    if others := sorted({view.other for view in views if view.other}):
        return f"{source} evaluates otherwise ({'; '.join(others)})"
    if any(view.own for view in views):
        return f"{source} evaluates each model with its own preprocessing"
    if missing := {word: None for view in views for word in ours.unknown_in(view)}:
        return f"{source} does not state {listed(missing)}"
    theirs = f"{views[0]} in {source}" if len(views) == 1 else f"not in {source}"
    return f"{ours} here; {theirs}"


def _is_own(ours: View, same_as_published: np.ndarray) -> bool:
    """Return whether a model was shown images as its own preprocessing has them."""
    studys = (ours.size, ours.resize, ours.interpolation) == (
        STUDY.crop,
        STUDY.resize,
        STUDY.interpolation,
    )
    return not ours.ready and (not studys or bool(same_as_published.any()))


def _each_own(views: Collection[View]) -> bool:
    sizes = {(view.size, view.resize, view.interpolation) for view in views}
    return len(sizes) > 1 or any(view.own for view in views)


def _as_many(cell: Mapping[str, Any], n: np.ndarray) -> np.ndarray:
    """Return which results are of as many images, where both numbers are known."""
    if not cell["measure"].startswith("top1_acc/") or isnan(cell["n"]):
        return np.ones(len(n), bool)
    return np.isnan(n) | (np.abs(n - cell["n"]) <= _AS_MANY * n)


def against(own: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each own value and each published value of the same model and measure.

    Added to own's columns: source; protocol, published and flag, its value and what is known of it;
    difference: ours minus the published value; least, most: its 95 % interval from the numbers of
    images, as if the two were of different images: NaN where a number is unknown; outside: whether
    0 is outside of it; reason: why the two protocols cannot be compared, else empty.
    """
    rows = []
    places = published.groupby(["model", "measure"]).indices
    for cell in _cells(own):
        for place in places.get((cell["name"], cell["measure"]), ()):
            theirs = published.iloc[[place]]
            reason = comparable(cell, _results_of(theirs))[1]
            (row,) = _cells(theirs)
            rows.append(cell | _differing(cell, row) | {"reason": reason})
    added = ["source", "protocol", "published", "flag", "difference", "least", "most", "outside"]
    return pd.DataFrame(rows, columns=[*own.columns, *added, "reason"])


def _differing(cell: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    difference = cell["value"] - theirs["value"]
    error = (cell["high"] - cell["low"]) / (2 * Z95)
    if isnan(error):
        error = _error(cell["measure"], cell)
    half = Z95 * hypot(error, _error(cell["measure"], theirs))
    return {
        "source": theirs["source"],
        "protocol": theirs["protocol"],
        "published": theirs["value"],
        "flag": theirs["flag"],
        "difference": difference,
        "least": difference - half,
        "most": difference + half,
        "outside": abs(difference) > half,
    }


def _error(measure: str, row: Mapping[str, Any]) -> float:
    return sampling_error(pd.Series([row["value"]]), measure, row["n"])
