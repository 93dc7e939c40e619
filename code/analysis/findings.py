"""What a table of models says about biases and generalisation, in plain sentences.

Every sentence is computed. A claim is one that survives Holm's correction both by the t
approximation of p, as the study uses it, and by permutation; the rest is reported as what it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import factorial

import numpy as np
import pandas as pd

from analysis.correlations import LEVEL, corrected
from analysis.measures import AGGREGATES, AT, OTHER, TOTAL, short
from analysis.study import FAMILY, Study

FEW = 10  # models, below which the reader is warned
_ID = next(iter(AGGREGATES))
_SHOWN = 4  # of a long list
_NOTICEABLE = 0.1  # of a reliability's distance from 1, and of differences of r


@dataclass(frozen=True)
class Finding:
    """A question and the sentences that answer it."""

    question: str
    sentences: tuple[str, ...]


def findings(study: Study) -> list[Finding]:
    """Return what the table says, question by question; questions it cannot answer say so."""
    answers = {
        "How much can this table say?": _extent,
        "Which biases go with which kind of generalisation?": _survivors,
        "Do these correlations hold without adversarially trained models?": _without_robust,
        "Do they say more than ImageNet accuracy?": _given_accuracy,
        "Do they hang on one kind of training?": _without_each,
        "Is there dependence that is not monotonic?": _not_monotonic,
        "Do all biases together predict generalisation?": _prediction,
        "Could measurement error hide correlations?": _error,
    }
    found = [Finding(question, tuple(answer(study))) for question, answer in answers.items()]
    return [finding for finding in found if finding.sentences]


def number(value: float, digits: int = 2) -> str:
    """Return a number with a real minus sign; "–" where there is none."""
    if not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def p_value(p: float) -> str:
    """Return p as one writes it."""
    if not np.isfinite(p):
        return "–"
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}" if p < 0.01 else f"= {p:.2f}"


def survives(rows: pd.DataFrame) -> pd.Series:
    """Return which correlations survive Holm's correction, by t and by permutation."""
    if "holm" not in rows:
        return pd.Series(False, rows.index)
    return (rows["holm"] < LEVEL) & (rows["holm_permutation"] < LEVEL)


def _tests(study: Study, group: str | None = None) -> pd.DataFrame:
    """Return the correlations that are defined, of one group or of the whole family."""
    rows = study.correlations
    if "r" not in rows:
        return rows.iloc[:0].assign(r=[], p=[], holm=[], holm_permutation=[], group=[])
    return rows[rows["group"].isin([group] if group else FAMILY) & rows["r"].notna()]


def _below(p: pd.Series) -> int:
    return int((p < LEVEL).sum())


def _pair(row: pd.Series) -> str:
    return f"{short(row['bias'])} with {short(row['target'])}"


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def _extent(study: Study) -> Iterator[str]:
    n, tests = len(study.table.values), _tests(study)
    of_category = study.table.categories.value_counts()
    kinds = ", ".join(
        f"{count} {str(name).replace('_', ' ')}" for name, count in of_category.items()
    )
    yield f"{n} model{'s' * (n != 1)}: {kinds}."
    yield from (note for note in (*study.measures.notes, *study.table.notes))
    if not len(tests):
        missing = "a bias and a benchmark" if n > 2 else "three models or more"
        yield f"No correlation can be computed: that needs {missing}, with values that differ."
        return
    largest = int(tests["n"].max())
    if largest < FEW:
        least = min(1.0, 2 / factorial(largest))
        yield (
            f"With {largest} models, almost nothing can be said about models in general: even a "
            f"perfect correlation has p = {least:.2g} by permutation, and with {len(tests)} tests "
            f"Holm's correction asks for p ≤ {LEVEL / len(tests):.2g} of the first."
        )


def _survivors(study: Study) -> Iterator[str]:
    tests = _tests(study)
    if not len(tests):
        return
    strong, nominal = tests[survives(tests)], tests[tests["p_permutation"] < LEVEL]
    groups = _listed([name for name in FAMILY if (tests["group"] == name).any()])
    rates = "."
    if tests["n"].max() >= FEW:  # they are of the t approximation, which needs some models
        rates = (
            f", {_below(tests['bh'])} Benjamini & Hochberg's, {_below(tests['by'])} Benjamini & "
        )
        rates += "Yekutieli's."
    yield (
        f"{len(tests)} correlations were tested ({groups}). {len(nominal)} have p < {LEVEL} on their "
        f"own, {len(strong)} survive Holm's correction for the number of tests{rates}"
    )
    for group in FAMILY:
        rows = strong[strong["group"] == group]
        for target in rows["target"].unique():
            of = rows[rows["target"] == target].sort_values("r", key=abs, ascending=False)
            parts = (
                f"{short(row['bias'])} (r\u00a0=\u00a0{number(row['r'])} [{number(row['low'])}, "
                f"{number(row['high'])}])"
                for _, row in of.iterrows()
            )
            yield f"{group}, {short(target)}: {_listed(parts)}."
    if not len(strong):
        best = tests.loc[tests["r"].abs().idxmax()]
        yield (
            f"None is beyond doubt. The largest is {_pair(best)} ({best['group']}: r = "
            f"{number(best['r'])}, n = {best['n']}, permutation p {p_value(best['p_permutation'])}, "
            f"after correction {p_value(best['holm_permutation'])})."
        )


def _without_robust(study: Study) -> Iterator[str]:
    total, other = _tests(study, TOTAL), _tests(study, OTHER)
    robust = int(study.groups[AT].sum())
    if not robust or not len(total) or not len(other):
        return
    both = total.merge(other, on=["bias", "target"], suffixes=("", "_other"))
    turned = both[both["r"] * both["r_other"] < 0]
    strong = turned[survives(turned)]
    if not len(turned):
        yield f"Yes: without the adversarially trained, none of {len(both)} changes its sign."
        return
    yield (
        f"Without the {robust} adversarially trained model{'s' * (robust > 1)}, {len(turned)} of "
        f"{len(both)} correlations change their sign; {len(strong)} of these survive{'s' * (len(strong) == 1)} "
        "Holm's correction among all models."
    )
    for _, row in turned.iterrows():
        if survives(turned)[row.name] or row["p"] < LEVEL:
            kept = "survives" if survives(turned)[row.name] else "does not survive"
            yield (
                f"{_begin(_pair(row))}: r = {number(row['r'])} among all models ({kept} Holm), "
                f"{number(row['r_other'])} without them (p {p_value(row['p_other'])})."
            )
    yield from _misfiled(study)


def _misfiled(study: Study) -> Iterator[str]:
    """Yield what changes when the model trained with ε = 0 is not counted as adversarially trained."""
    rows = study.correlations
    strict = f"{AT} without ε = 0"
    if strict not in set(rows["group"]):
        return
    both = _tests(study, AT).merge(
        rows[rows["group"] == strict], on=["bias", "target"], suffixes=("", "_strict")
    )
    if not len(both):
        return
    row = both.loc[(both["r"] - both["r_strict"]).abs().idxmax()]
    yield (
        "The study counts a model trained with ε = 0 as adversarially trained. Without it, the r of "
        f"AT change by at most {number(abs(row['r'] - row['r_strict']))} ({_pair(row)}: "
        f"{number(row['r'])} becomes {number(row['r_strict'])})."
    )


def _given_accuracy(study: Study) -> Iterator[str]:
    tests = _tests(study, TOTAL)
    if "r_given" not in tests:
        return
    rows = tests[~tests["target"].str.startswith(_ID) & tests["r_given"].notna()]
    strong = rows[survives(rows)]
    if not len(rows):
        return
    turned = rows[rows["r"] * rows["r_given"] < 0]
    yield (
        f"Given ImageNet accuracy (partial correlation), {len(turned)} of the {len(rows)} correlations "
        f"with generalisation beyond ID change their sign"
        + (f": {_listed(_change(row) for _, row in turned.iterrows())}." if len(turned) else ".")
    )
    if len(strong):
        kept = strong[(strong["p_given"] < LEVEL) & (strong["r"] * strong["r_given"] > 0)]
        lost = strong[~strong.index.isin(kept.index)]
        yield f"Of the {len(strong)} that survive Holm, {len(kept)} remain (p < {LEVEL}) given accuracy."
        if len(lost):
            yield f"Not so: {_listed(_change(row) for _, row in lost.iterrows())}."
    yield from _effective(study)


def _change(row: pd.Series) -> str:
    return f"{_pair(row)} ({number(row['r'])} becomes {number(row['r_given'])})"


def _effective(study: Study) -> Iterator[str]:
    rows = study.effective
    if "r" in rows and len(rows := rows[(rows["group"] == TOTAL) & rows["r"].notna()]):
        strong = rows[survives(rows)]
        largest = strong.sort_values("r", key=abs, ascending=False).head(_SHOWN)
        names = _listed(f"{_pair(row)} ({number(row['r'])})" for _, row in largest.iterrows())
        most = ", the largest of them " if len(strong) > _SHOWN else ": " * bool(names)
        yield (
            "With effective robustness, the distance above the line that ordinary models follow, "
            f"{len(strong)} of {len(rows)} correlations survive Holm{most}{names}."
        )
    for _, line in study.robustness.lines.iterrows():
        if line["note"]:
            yield f"Effective robustness in {short(line['target'])}: {line['note']}."
    outside = int(study.robustness.lines["outside"].max()) if len(study.robustness.lines) else 0
    if outside:
        yield (
            f"{outside} models are less or more accurate on ImageNet than all that the line was fitted "
            "to: theirs is an extrapolation."
        )


def _without_each(study: Study) -> Iterator[str]:
    tests = _tests(study, TOTAL)
    strong = tests[survives(tests)]
    if not len(strong) or study.table.categories.nunique() < 2:
        return
    turned = strong[strong["sign_turns_without"] != ""]
    yield (
        f"When one training category at a time is left out, {len(turned)} of the {len(strong)} "
        "correlations of all models that survive Holm change their sign."
    )
    for _, row in turned.iterrows():
        without = row["sign_turns_without"].replace("_", " ")
        yield (
            f"{_begin(_pair(row))} does so without {without}: r between {number(row['r_least'])} "
            f"and {number(row['r_most'])}."
        )


def _not_monotonic(study: Study) -> Iterator[str]:
    rows = study.dependences
    if "p_dcor" not in rows:
        return
    rows = rows[rows["p_dcor"].notna()].reset_index(drop=True)
    linked = rows.merge(study.correlations, on=["group", "bias", "target"], suffixes=("", "_r"))
    linked["holm_dcor"] = corrected(linked["p_dcor"])["holm"]
    hidden = linked[(linked["holm_dcor"] < LEVEL) & (linked["p_permutation"] >= LEVEL)]
    if not len(hidden):
        yield (
            "None that rank correlation misses: no distance correlation survives Holm's correction "
            f"where r has p ≥ {LEVEL}."
        )
    for _, row in hidden.iterrows():
        yield (
            f"{_begin(_pair(row))} ({row['group']}): distance correlation {number(row['dcor'])} "
            f"(Holm p {p_value(row['holm_dcor'])}), though r = {number(row['r'])}."
        )
    reported = int(rows["xi"].notna().sum()) if "xi" in rows else 0
    if reported < len(rows):
        yield (
            f"Chatterjee's ξ is reported for {reported} of {len(rows)} pairs; the others have too many "
            "ties."
        )


def _prediction(study: Study) -> Iterator[str]:
    rows = study.predictions
    rows = rows[rows["r2"].notna()] if len(rows) else rows
    if not len(rows):
        yield "Not to be said: cross-validation needs ten models or more."
        return
    rows = rows[rows["group"] == TOTAL]
    every = rows[rows["biases"] == "all"]
    for target in every["target"].unique():
        of = every[every["target"] == target]
        parts = [
            f"{_scores(of[of['folds'] == folds])} {how}"
            for folds, how in {
                "random": "for models of known kinds",
                "by category": "for a kind of training not seen",
            }.items()
            if (of["folds"] == folds).any()
        ]
        single = rows[(rows["biases"] != "all") & (rows["target"] == target)]
        best = single[single["folds"] == "random"].sort_values("r2").iloc[-1]
        yield (
            f"{short(target)}: {_listed(parts)}. The best of {single['biases'].nunique()} single biases "
            f"is {short(best['biases'])} (R² {number(best['r2'])} for known kinds)."
        )


def _scores(rows: pd.DataFrame) -> str:
    """Return the R² of each predictor, and where it is no better than chance."""
    return "R² " + _listed(
        f"{number(row['r2']) if row['r2'] >= 0 else '< 0'} ({row['predictor']}"
        f"{'' if row['p'] < LEVEL else ', as by chance'})"
        for _, row in rows.iterrows()
    )


def _error(study: Study) -> Iterator[str]:
    rows = study.attenuations
    if "r_corrected" not in rows:
        return
    rows = rows[rows["r_corrected"].notna() & (rows["group"] == TOTAL)]
    if not len(rows):
        return
    change = (rows["r_corrected"] - rows["r"]).abs()
    row = rows.loc[change.idxmax()]
    yield (
        f"Hardly: without it, r among all models would change by at most {number(change.max())} "
        if change.max() < _NOTICEABLE
        else f"Yes: without it, r among all models would change by up to {number(change.max())} "
    ) + f"({_pair(row)}: {number(row['r'])} becomes about {number(row['r_corrected'])})."
    unknown = [short(name) for name in study.measures.biases if study.errors[name].isna().all()]
    if unknown:
        yield f"The error of {_listed(unknown)} is not known from this table."
