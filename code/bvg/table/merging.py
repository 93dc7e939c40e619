"""Many results → one table, in which each column is one measure under one protocol."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import isclose
from typing import Any

from bvg.errors import UserError
from bvg.predictions.identity import PROBE, differences, same_outputs
from bvg.scores.metric import Metric
from bvg.table.columns import column_of
from bvg.table.sources import Measured

NO_WEIGHTS = hashlib.sha256().hexdigest()  # of models without weights registered with PyTorch


@dataclass
class Table:
    """Cells by (model, column), and the result that each is from.

    protocols: by benchmark; with several protocols, by benchmark and number.
    """

    cells: dict[tuple[str, str], Metric] = field(default_factory=dict)
    sources: dict[tuple[str, str], Measured] = field(default_factory=dict)
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Return the models, in alphabetical order."""
        return sorted({model for model, _ in self.cells})

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
    _check_weights(results)
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
            table.protocols[benchmark + suffix] = _without_probes(_measured_how(kind[0]))
            for result in kind:
                _add(table, result, suffix)
    _check_counts(table)
    return table


def _measured_how(result: Measured) -> dict[str, Any]:
    how = {key: result.identity.get(key, {}) for key in ("protocol", "images")}
    return how | ({"scored_with": scored} if (scored := _scored_with(result)) else {})


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

    They are also grouped by the data that scores depend on (human decisions, a reference); results
    without such scores are grouped with the most common data.
    """
    kinds: list[tuple[dict[str, Any], list[Measured]]] = []
    scored = Counter(pair for result in members for pair in _scored_with(result).items())
    usual: dict[str, str] = {}
    for (name, value), _ in scored.most_common():
        usual.setdefault(name, value)
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
    return UserError(
        f"{benchmark} was evaluated in {len(kinds)} ways ({reason}): evaluate all models alike, "
        "exclude results with --without, put each protocol in separate columns with --split, or, "
        "if the difference does not matter, allow it with --allow"
    )


def _check_weights(results: list[Measured]) -> None:
    """Raise UserError for two sets of weights under one model's name."""
    first: dict[str, Measured] = {}
    for result in results:
        weights = result.identity.get("model", {}).get("weights_sha256")
        known = first.setdefault(result.model, result) if weights else None
        if known and not _same_model(known.identity["model"], result.identity["model"]):
            raise UserError(
                f"{result.model} has other weights in {result.source} than in {known.source}: "
                "re-run one with --overwrite, or exclude it with --without"
            )


def _same_model(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["weights_sha256"] != other["weights_sha256"]:
        return False
    return PROBE not in one or PROBE not in other or same_outputs(one[PROBE], other[PROBE])


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


def _check_counts(table: Table) -> None:
    """Raise UserError for a column from several benchmarks with different numbers of images."""
    benchmarks: dict[str, dict[str, tuple[int, str]]] = {}
    for cell, metric in table.cells.items():
        column, result = cell[1], table.sources[cell]
        if metric.n:
            benchmarks.setdefault(column, {})[result.benchmark] = metric.n, result.source
    for column, counts in benchmarks.items():
        (first, where), *others = counts.values()
        for n, elsewhere in others:
            if n != first:
                raise UserError(
                    f"{column} is of {first:,} images in {where} and of {n:,} in {elsewhere}: "
                    "exclude one benchmark with --without"
                )


def chosen(
    results: list[Measured], models: list[str], benchmarks: list[str], without: list[str]
) -> list[Measured]:
    """Return the results of these models and benchmarks (empty: all), except excluded ones.

    without: models, benchmarks, or benchmark/model. Raises UserError for unknown names.
    """
    names = Counter(r.model for r in results) + Counter(r.benchmark for r in results)
    pairs = {f"{r.benchmark}/{r.model}" for r in results}
    for name in [*models, *benchmarks, *without]:
        if name not in names and name not in pairs:
            raise UserError(f"no result is of {name!r}: there are {', '.join(sorted(names))}")
    kept = [
        result
        for result in results
        if (not models or result.model in models)
        and (not benchmarks or result.benchmark in benchmarks)
        and not {result.model, result.benchmark, f"{result.benchmark}/{result.model}"}
        & set(without)
    ]
    if not kept:
        raise UserError("no results remain: exclude fewer names")
    return kept


def renamed(results: list[Measured], instead: dict[str, str]) -> list[Measured]:
    """Return the results with some benchmarks renamed."""
    return [replace(r, benchmark=instead.get(r.benchmark, r.benchmark)) for r in results]
