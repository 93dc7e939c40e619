"""Spearman correlations of biases with benchmarks, and how far each of them can be trusted.

Source: Gavrikov & Keuper, CVPR 2024, for r and p. Beyond it: percentile bootstrap intervals over
models (Efron & Tibshirani 1993), plain and within categories; permutation p; r without one category
at a time; partial r given ImageNet accuracy; corrections for the number of tests (Holm 1979,
Benjamini & Hochberg 1995, Benjamini & Yekutieli 2001).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bvg.analysis import ranks
from bvg.scores.bootstrap import percentile_interval

LEVEL = 0.05
CORRECTIONS = {"holm": "holm", "bh": "fdr_bh", "by": "fdr_by"}


@dataclass
class Group:
    """Some models of a table, and what their correlations share: draws and ranks, made once.

    values: biases and benchmarks, (models, columns). categories: (models,). control: the column
    that partial correlations are given, or "" for none.
    """

    values: pd.DataFrame
    categories: np.ndarray
    control: str = ""
    _known: dict[str, np.ndarray] = field(default_factory=dict)
    _drawn: dict[Any, np.ndarray] = field(default_factory=dict)
    _ranked: dict[Any, np.ndarray] = field(default_factory=dict)
    _shuffled: dict[Any, np.ndarray] = field(default_factory=dict)

    def complete(self, *names: str) -> np.ndarray:
        """Return which models have a value in all these columns."""
        for name in names:
            if name not in self._known:
                self._known[name] = self.values[name].notna().to_numpy()
        return np.logical_and.reduce([self._known[name] for name in names])

    def resampled(self, rows: np.ndarray, stratified: bool, *names: str) -> list[np.ndarray]:
        """Return the unit ranks (resamples, n) of columns, in the same resamples of `rows`."""
        key = (rows.tobytes(), stratified)
        if key not in self._drawn:
            strata = self.categories[rows] if stratified else np.zeros(int(rows.sum()))
            self._drawn[key] = ranks.draws(strata, ranks.RESAMPLES)
        for name in names:
            if (key, name) not in self._ranked:
                column = self.values[name].to_numpy()[rows]
                ranked = ranks.unit_ranks(column[self._drawn[key]])
                self._ranked[key, name] = ranked.astype(np.float32)  # enough for an interval's ends
        return [self._ranked[key, name] for name in names]

    def shuffled(self, rows: np.ndarray, name: str) -> tuple[np.ndarray, bool]:
        """Return the unit ranks (P, n) of a column in permuted orders, and whether in all."""
        key = (rows.tobytes(), name)
        order, every = ranks.shuffles(int(rows.sum()), ranks.PERMUTATIONS)
        if key not in self._shuffled:
            self._shuffled.clear()  # they are large, and one bias comes after the other
            self._shuffled[key] = ranks.unit_ranks(self.values[name].to_numpy()[rows])[order]
        return self._shuffled[key], every


def correlate(group: Group, bias: str, target: str) -> dict[str, Any]:
    """Return r, p, intervals and the rest of one bias and one benchmark, by column of the table.

    Where r is undefined, `note` says why. Models that lack one of the two values are dropped.
    """
    rows = group.complete(bias, target)
    x, y = (group.values[name].to_numpy()[rows] for name in (bias, target))
    row: dict[str, Any] = {"bias": bias, "target": target, "n": len(x)}
    if note := undefined(x, y):
        return row | {"r": nan, "p": nan, "note": note}
    r, p = stats.spearmanr(x, y)
    row |= {"r": float(r), "p": float(p) if len(x) > ranks.FEWEST else nan, "note": ""}
    shuffled, every = group.shuffled(rows, bias)
    at_random = np.abs(shuffled @ ranks.unit_ranks(y))
    row["p_permutation"] = ranks.permutation_p(abs(float(r)), at_random, every)
    for stratified, suffix in ((False, ""), (True, "_stratified")):
        a, b = group.resampled(rows, stratified, bias, target)
        interval = percentile_interval((a * b).sum(axis=1))
        row[f"low{suffix}"], row[f"high{suffix}"] = interval or (nan, nan)
    row |= _without_each(x, y, group.categories[rows])
    if group.control and group.control not in (bias, target):
        row |= _given_control(group, bias, target)
    return row


def undefined(x: np.ndarray, y: np.ndarray) -> str:
    """Return why two columns have no rank correlation, or nothing."""
    if len(x) < ranks.FEWEST:
        return f"only {len(x)} model(s) have both values; at least {ranks.FEWEST} are needed"
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return f"all {len(x)} models have the same value"
    return ""


def _without_each(x: np.ndarray, y: np.ndarray, categories: np.ndarray) -> dict[str, Any]:
    """Return the range of r when one category at a time is left out, and what turns its sign."""
    left = {name: categories != name for name in sorted(set(categories))}
    found = {
        name: float(ranks.rank_correlation(x[rows], y[rows]))
        for name, rows in left.items()
        if not undefined(x[rows], y[rows])
    }
    sign = np.sign(ranks.rank_correlation(x, y))
    turning = [name for name, r in found.items() if r * sign < 0]
    return {
        "r_least": min(found.values(), default=nan),
        "r_most": max(found.values(), default=nan),
        "sign_turns_without": ", ".join(turning),
    }


def _given_control(group: Group, bias: str, target: str) -> dict[str, Any]:
    """Return r given the control column: value, p (t with n - 3 degrees), interval, and n.

    n_given can be less than that of r, since models without the control are dropped.
    """
    names = (bias, target, group.control)
    rows = group.complete(*names)
    n = int(rows.sum())
    x, y, z = (group.values[name].to_numpy()[rows] for name in names)
    if n < ranks.FEWEST + 1 or undefined(x, y) or undefined(x, z):
        return dict.fromkeys(("r_given", "p_given", "low_given", "high_given"), nan) | {
            "n_given": n
        }
    r = float(_partial(ranks.unit_ranks(x), ranks.unit_ranks(y), ranks.unit_ranks(z)))
    interval = percentile_interval(_partial(*group.resampled(rows, False, *names)))
    low, high = interval or (nan, nan)
    p = float("nan")
    if abs(r) < 1 and n > ranks.FEWEST + 1:
        p = 2 * float(stats.t.sf(abs(r) * np.sqrt((n - 3) / (1 - r**2)), n - 3))
    return {"r_given": r, "p_given": p, "low_given": low, "high_given": high, "n_given": n}


def _partial(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return ranks.partial_correlation(
        (a * b).sum(axis=-1), (a * c).sum(axis=-1), (b * c).sum(axis=-1)
    )


def correlation_table(
    values: pd.DataFrame,
    categories: np.ndarray,
    groups: Mapping[str, np.ndarray],
    biases: list[str],
    targets: list[str],
    control: str = "",
    measure: Callable[[Group, str, str], dict[str, Any]] = correlate,
) -> pd.DataFrame:
    """Return a row for every group, bias and target, by `measure`; none if there is nothing to do.

    values: (models, columns); groups: which models belong to each, by name.
    """
    rows = []
    for name, members in groups.items():
        group = Group(values[members], categories[members], control if control in values else "")
        rows += [{"group": name, **measure(group, b, t)} for b in biases for t in targets]
    return pd.DataFrame(rows)


def corrected(p: pd.Series) -> pd.DataFrame:
    """Return p-values corrected for their number: columns holm, bh and by; NaN stays NaN.

    p that are undefined are no tests: they do not count.
    """
    known = p.notna().to_numpy()
    columns = {name: np.full(len(p), nan) for name in CORRECTIONS}
    if known.any():
        for name, method in CORRECTIONS.items():
            columns[name][known] = multipletests(p[known], method=method)[1]
    return pd.DataFrame(columns, index=p.index)
