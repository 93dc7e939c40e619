"""Many results → one table, in which each column is one measure under one protocol."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isclose
from typing import Any

from bvg.errors import UserError
from bvg.predictions.identity import PROBE, differences
from bvg.scores.metric import Metric
from bvg.table.columns import DECISIONS, column_of
from bvg.table.published_protocol import PUBLISHED, departures
from bvg.table.sources import Measured
from bvg.zoo.table import find

NO_WEIGHTS = hashlib.sha256().hexdigest()  # of models without weights registered with PyTorch
# Entries of a model's identity that may differ between results of the same weights.
_ORIGINS = {"spec", "file_sha256", "unstable"}
# What all results of one column have in common, whichever benchmarks they are of.
_SHARED = ("preprocessing", "precision", "limit", "seed")
_ROUNDING = 1e-9  # by which a value may be outside of its interval


@dataclass
class Table:
    """Cells by (model, column), and the result that each is from.

    protocols: by benchmark; with several protocols, by benchmark and number. Each has the number of
    its models, too.
    """

    cells: dict[tuple[str, str], Metric] = field(default_factory=dict)
    sources: dict[tuple[str, str], Measured] = field(default_factory=dict)
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Return the models, in alphabetical order, and the observers among them."""
        return sorted({model for model, _ in self.cells})

    @property
    def observers(self) -> list[str]:
        """Return the people and networks of which only tables of decisions are known."""
        evaluated = {m for (m, _), r in self.sources.items() if r.benchmark != DECISIONS}
        return [name for name in self.models if name not in evaluated]

    @property
    def columns(self) -> list[str]:
        """Return the columns, in the order of the results."""
        return list(dict.fromkeys(column for _, column in self.cells))


def merge(results: Iterable[Measured], split: bool = False, allowed: tuple[str, ...] = ()) -> Table:
    """Return the table of these results.

    split: results of a benchmark that differ in protocol or images get separate columns, whose
    names end in " [protocol 2]" etc. for the rarer ones. allowed: entries of the protocol that may
    differ. Raises UserError for conflicts: two protocols in one column, two sets of weights in one
    row, two values in one cell.
    """
    results = list(results)
    _check_models(results)
    table = Table()
    by_benchmark: dict[str, list[Measured]] = {}
    for result in results:
        by_benchmark.setdefault(result.benchmark, []).append(result)
    for benchmark, members in by_benchmark.items():
        kinds = _kinds(members, allowed)
        if len(kinds) > 1 and not split:
            raise _conflict(benchmark, kinds)
        for number, kind in enumerate(kinds, 1):
            suffix = f" [protocol {number}]" if number > 1 else ""
            how = _without_probes(_measured_how(kind[0]))
            table.protocols[benchmark + suffix] = how | {"models": len({r.model for r in kind})}
            for result in kind:
                _add(table, result, suffix)
    _check_shared(table, allowed)
    return table


def _measured_how(result: Measured) -> dict[str, Any]:
    how = {key: result.identity.get(key, {}) for key in ("protocol", "images")}
    return how | ({"scored_with": scored} if (scored := _scored_with(result)) else {})


def protocol_and_scoring(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a result's protocol, and of what it was scored with."""
    return {**identity.get("protocol", {}), **identity.get("scored_with", {})}


def _scored_with(result: Measured) -> dict[str, str]:
    """Return the data that the scores depend on besides the predictions, without None."""
    return {k: v for k, v in result.identity.get("scored_with", {}).items() if v is not None}


def _without_probes(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the record without the probes of models, which are not meaningful to readers."""
    return {
        key: _without_probes(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if key != PROBE
    }


def _kinds(members: list[Measured], allowed: tuple[str, ...]) -> list[list[Measured]]:
    """Return the results grouped by protocol and images, the most common kind first.

    They are also grouped by what scores depend on (human decisions, a reference); results that do
    not record it are grouped with those of the published constants or, of data, with the most
    common.
    """
    kinds: list[tuple[dict[str, Any], list[Measured]]] = []
    scored = Counter(pair for result in members for pair in _scored_with(result).items())
    usual: dict[str, str] = {}
    for (name, value), _ in scored.most_common():
        usual.setdefault(name, value)
    usual |= {k: v for k, v in PUBLISHED.get(members[0].benchmark, {}).items() if k in usual}
    for result in members:
        how = _measured_how(result)
        how["protocol"] = {k: v for k, v in how["protocol"].items() if k not in allowed}
        how["scored_with"] = {
            k: v for k, v in (usual | _scored_with(result)).items() if k not in allowed
        }
        for known, alike in kinds:
            if not differences(known, how):
                alike.append(result)
                break
        else:
            kinds.append((how, [result]))
    return sorted((alike for _, alike in kinds), key=len, reverse=True)


def _conflict(benchmark: str, kinds: list[list[Measured]]) -> UserError:
    first, second = kinds[0][0], kinds[1][0]
    if not first.identity or not second.identity:
        unknown = first if not first.identity else second
        reason = f"the protocol of {unknown.source} is not recorded"
    else:
        reason = "; ".join(differences(_measured_how(first), _measured_how(second)))
        reason = f"from {first.model} to {second.model}, {reason}"
    remedies = "evaluate all models alike, exclude results with --without, "
    remedies += "or put each protocol in separate columns with --split"
    if first.identity.get("images") == second.identity.get("images"):  # else nothing allows it
        remedies += "; if the difference does not matter, allow it with --allow"
    return UserError(f"{benchmark} was evaluated in {len(kinds)} ways ({reason}): {remedies}")


def _check_models(results: list[Measured]) -> None:
    """Raise UserError for two sets of weights, or of texts, under one model's name."""
    first: dict[str, Measured] = {}
    for result in results:
        if result.identity.get("model", {}).get("weights_sha256"):
            known = first.setdefault(result.model, result)
            if differing := _differences_of_models(known, result):
                raise UserError(
                    f"{result.model} is another model in {result.source} than in {known.source} "
                    f"({'; '.join(differing)}): re-run one with --overwrite, or exclude it with "
                    "--without"
                )


def _differences_of_models(one: Measured, other: Measured) -> list[str]:
    """Return how two results' models differ in what both record, but for where they come from."""
    both = one.identity["model"].keys() & other.identity["model"].keys() - _ORIGINS
    first, second = (
        {key: result.identity["model"][key] for key in sorted(both)} for result in (one, other)
    )
    return differences({"model": first}, {"model": second})


def apart(results: list[Measured]) -> tuple[list[Measured], list[str]]:
    """Return the results, observers that have a model's name under one of their own; and a note.

    A network whose decisions are in tables need not have the weights of the model of that name.
    """
    models = {result.model for result in results if result.benchmark != DECISIONS}
    separate = [
        replace(r, model=f"{r.model} ({DECISIONS})")
        if r.benchmark == DECISIONS and r.model in models
        else r
        for r in results
    ]
    names = [r.model for r, before in zip(separate, results, strict=True) if r is not before]
    note = (
        f"rows of their own: {', '.join(names)}, since decision tables do not tell whether they "
        "are of the same weights as the models of these names"
    )
    return separate, [note] if names else []


def same_models(results: Iterable[Measured]) -> list[str]:
    """Return a message for each set of weights that was evaluated under several names."""
    names: dict[str, set[str]] = {}
    for result in results:
        weights = result.identity.get("model", {}).get("weights_sha256")
        if weights and weights != NO_WEIGHTS:
            names.setdefault(weights, set()).add(result.model)
    return [
        f"{' and '.join(sorted(alike))} have the same weights: where their results agree, "
        "code/report.py counts them as one model; exclude one with --without"
        for alike in names.values()
        if len(alike) > 1
    ]


def remarks(results: Iterable[Measured], allowed: tuple[str, ...] = ()) -> list[str]:
    """Return what readers of a table need to know of its results, a sentence each.

    That is which benchmarks are of a part of their images, or have other constants than published
    in columns of published names, which differ from each other in precision, or in how they show
    images that are not published in their final size, and which results are doubtful.
    """
    results = list(results)
    by_benchmark: dict[str, list[Measured]] = {}
    doubts = _misnamed(results)
    for result in results:
        by_benchmark.setdefault(result.benchmark, []).append(result)
        doubts += [f"{result.source}: {doubt}" for doubt in _doubts(result)]
    notes = [note for name, members in by_benchmark.items() for note in _parts(name, members)]
    notes += [note for name, members in by_benchmark.items() for note in _unlike(name, members)]
    notes += doubts
    for name, of in (("precision", _precision), ("preprocessing", _view)):
        found: dict[str, list[str]] = {}
        for benchmark, (first, *_) in by_benchmark.items():
            if name not in allowed and (value := of(first)):
                found.setdefault(value, []).append(benchmark)
        if len(found) > 1:
            each = "; ".join(f"{value} in {', '.join(names)}" for value, names in found.items())
            notes.append(f"not all columns are of one {name}: {each}")
    return notes


def _doubts(result: Measured) -> Iterator[str]:
    """Yield why a result may not mean what it seems to."""
    if warning := result.record.get("warning"):
        yield str(warning)
    if "protocol" not in result.identity:
        yield "its protocol is not recorded"
    for name, metric in result.metrics.items():
        value, low, high = metric.value, metric.low, metric.high
        if value is None or low is None or high is None:
            continue
        if not low - _ROUNDING <= value <= high + _ROUNDING:
            yield (
                f"{name} is {value:g}, which is not in its interval from {low:g} to {high:g}; was "
                "summary.json edited?"
            )
            return


def _misnamed(results: Iterable[Measured]) -> list[str]:
    """Return a sentence for each model of the zoo that has the name of another one."""
    specs = {(r.model, str(r.identity.get("model", {}).get("spec"))) for r in results}
    return [
        f"the results of {name} are of {spec}, another model of the zoo"
        for name, spec in sorted(specs)
        if (known := find(name)) and (evaluated := find(spec)) and known != evaluated
    ]


def _parts(benchmark: str, members: list[Measured]) -> list[str]:
    """Return a sentence for each reason why a benchmark's results are not of all its images."""
    limits = {result.identity.get("protocol", {}).get("limit") for result in members} - {None}
    skipped = [len(found) for r in members if (found := r.record.get("images", {}).get("skipped"))]
    found = []
    if limits:
        found.append(f"is of a part of its images: --limit {', '.join(map(str, sorted(limits)))}")
    if any(map(_is_unlike_published, members)):
        found.append("does not have the published number of images (--partial)")
    if skipped:
        found.append(
            f"is of a part of its images: up to {max(skipped):,} were skipped for {len(skipped)} "
            "of the models"
        )
    return [f"{benchmark} {reason}" for reason in found]


def _unlike(benchmark: str, members: list[Measured]) -> list[str]:
    """Return a sentence if some of a benchmark's results have other constants than published."""
    found = [departures(benchmark, protocol_and_scoring(r.identity)) for r in members]
    phrases = dict.fromkeys(phrase for phrases in found for phrase in phrases)
    if not phrases:
        return []
    return [
        f"{benchmark} is not of the published protocol ({'; '.join(phrases)}): its columns are not "
        "comparable with published values of the same name"
    ]


def _is_unlike_published(result: Measured) -> bool:
    """Return whether a data set has another number of images than the published one.

    That of the miniature's always does, as it is another data set of the same name.
    """
    known = find(result.identity.get("model", {}).get("spec", result.model))
    of_another = known is not None and known.classes != "imagenet-1k"
    return bool(result.record.get("images", {}).get("partial")) and not of_another


def _precision(result: Measured) -> str:
    return str(result.identity.get("protocol", {}).get("precision", ""))


def _view(result: Measured) -> str:
    """Return how images were resized and cropped; nothing where the benchmark prescribes it."""
    view = result.identity.get("protocol", {}).get("preprocessing", {})
    if "crop" not in view or view.get("keep_ready") or view.get("squash"):
        return ""
    return f"{view['crop']} of {view.get('resize')} px {view.get('interpolation', '')}".strip()


def _add(table: Table, result: Measured, suffix: str) -> None:
    for name, metric in result.metrics.items():
        cell = result.model, column_of(result.benchmark, name, result.metrics) + suffix
        known = table.cells.get(cell)
        if known is None or known.value is None:
            table.cells[cell], table.sources[cell] = metric, result
        elif metric.value is not None and not isclose(known.value, metric.value, rel_tol=1e-9):
            raise UserError(
                f"{cell[1]} of {result.model} is {known.value:g} in {table.sources[cell].source} "
                f"and {metric.value:g} in {result.source}: exclude one with --without"
            )


def _check_shared(table: Table, allowed: tuple[str, ...]) -> None:
    """Raise UserError for a column from several benchmarks that were not evaluated alike.

    Those are other numbers of images, another precision or preprocessing, or other subsets.
    """
    benchmarks: dict[str, dict[str, tuple[int, Measured]]] = {}
    for cell, metric in table.cells.items():
        result = table.sources[cell]
        if metric.n:
            benchmarks.setdefault(cell[1], {})[result.benchmark] = metric.n, result
    for column, counts in benchmarks.items():
        (first, one), *others = counts.values()
        for n, other in others:
            if n != first:
                raise UserError(
                    f"{column} is of {first:,} images in {one.source} and of {n:,} in "
                    f"{other.source}: exclude one benchmark with --without"
                )
            known, now = (_shared(result, allowed) for result in (one, other))
            if differing := differences(known, now):
                raise UserError(
                    f"{column} was measured in two ways (from {one.source} to {other.source}, "
                    f"{'; '.join(differing)}): exclude one benchmark with --without, or, if the "
                    "difference does not matter, allow it with --allow"
                )


def _shared(result: Measured, allowed: tuple[str, ...]) -> dict[str, Any]:
    protocol = result.identity.get("protocol", {})
    return {key: protocol[key] for key in _SHARED if key in protocol and key not in allowed}


def chosen(
    results: list[Measured], models: list[str], benchmarks: list[str], without: list[str]
) -> list[Measured]:
    """Return the results of these models and benchmarks (empty: all), except excluded ones.

    without: models, benchmarks, benchmark/model, or sources. Raises UserError for unknown names.
    """
    names = Counter(r.model for r in results) + Counter(r.benchmark for r in results)
    pairs = {f"{r.benchmark}/{r.model}" for r in results} | {r.source for r in results}
    for name in [*models, *benchmarks, *without]:
        if name not in names and name not in pairs:
            raise UserError(f"no result is of {name!r}: there are {', '.join(sorted(names))}")
    kept = [
        result
        for result in results
        if (not models or result.model in models)
        and (not benchmarks or result.benchmark in benchmarks)
        and not _names_of(result) & {*without}
    ]
    if not kept:
        raise UserError("no results remain: exclude fewer names")
    return kept


def _names_of(result: Measured) -> set[str]:
    pair = f"{result.benchmark}/{result.model}"
    return {result.model, result.benchmark, pair, result.source}


def renamed(results: list[Measured], instead: dict[str, str]) -> list[Measured]:
    """Return the results with some benchmarks renamed."""
    return [replace(r, benchmark=instead.get(r.benchmark, r.benchmark)) for r in results]
