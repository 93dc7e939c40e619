"""What a table of models says about biases and generalisation, in plain sentences.

Every sentence is computed, and every p in it is by permutation, which holds for few models, too. A
claim is a correlation that survives Holm's correction; the rest is reported as what it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import factorial

import pandas as pd

from bvg.analysis import findings_beyond as beyond
from bvg.analysis import findings_cues as cues
from bvg.analysis import findings_lowpass as lowpass
from bvg.analysis.correlations import LEVEL
from bvg.analysis.measures import AT, OTHER, TOTAL, short
from bvg.analysis.study import FAMILY, Study
from bvg.analysis.wording import (
    FEW,
    FEWEST_TOLD,
    begin,
    below,
    fewer,
    listed,
    number,
    p_value,
    pair,
    survives,
    tests_of,
)
from bvg.table.measures import SHAPE_BIAS


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
        "Do they say more than ImageNet accuracy?": beyond.given_accuracy,
        "Do they depend on one kind of training?": beyond.without_each,
        "Is there dependence that is not monotonic?": beyond.not_monotonic,
        "Do all biases together predict generalisation?": beyond.prediction,
        "Could measurement error hide correlations?": beyond.error,
        "Do measures of shape agree?": cues.shape_measures,
        "What do measures of single cues say beyond accuracy?": cues.beyond_accuracy,
        lowpass.QUESTION: lowpass.low_pass_control,
    }
    found = [Finding(question, tuple(answer(study))) for question, answer in answers.items()]
    return [_with_control(study, finding) for finding in found if finding.sentences]


def _with_control(study: Study, finding: Finding) -> Finding:
    """Return the finding with what the low-pass control says, if it mentions shape bias."""
    mentioned = short(SHAPE_BIAS) in " ".join(finding.sentences).casefold()
    measured = SHAPE_BIAS in study.measures.biases
    if not (mentioned and measured) or finding.question == lowpass.QUESTION:
        return finding
    return replace(finding, sentences=(*finding.sentences, lowpass.beside(study)))


def _extent(study: Study) -> Iterator[str]:
    n, tests = len(study.table.values), tests_of(study)
    of_category = study.table.categories.value_counts()
    kinds = ", ".join(
        f"{count} {str(name).replace('_', ' ')}" for name, count in of_category.items()
    )
    yield f"{n} model{'s' * (n != 1)}: {kinds}."
    yield from (note for note in (*study.measures.notes, *study.table.notes))
    if not len(tests):
        missing = "a bias and a benchmark" if n > 2 else "three models or more"
        yield f"No correlation can be computed: this needs {missing}, with values that differ."
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
    tests = tests_of(study)
    if not len(tests):
        return
    strong, nominal = tests[survives(tests)], tests[tests["p_permutation"] < LEVEL]
    groups = listed([name for name in FAMILY if (tests["group"] == name).any()])
    rates = [below(tests[f"{name}_permutation"]) for name in ("bh", "by")]
    yield (
        f"{len(tests)} correlations were tested ({groups}). {len(nominal)} have p < {LEVEL} on "
        f"their own, {len(strong)} survive Holm's correction for the number of tests, "
        f"{rates[0]} Benjamini & Hochberg's, {rates[1]} Benjamini & Yekutieli's."
    )
    for group in FAMILY:
        rows = strong[strong["group"] == group]
        for target in rows["target"].unique():
            of = rows[rows["target"] == target].sort_values("r", key=abs, ascending=False)
            parts = (
                f"{short(row['bias'])} (r\u00a0=\u00a0{number(row['r'])} [{number(row['low'])}, "
                f"{number(row['high'])}]{_n(study, row)})"
                for _, row in of.iterrows()
            )
            yield f"{group}, {short(target)}: {listed(parts)}."
    if not len(strong):
        best = tests.iloc[int(tests["p_permutation"].argmin())]
        yield (
            f"None survives Holm's correction. The smallest p is that of {pair(best)} "
            f"({best['group']}: r = "
            f"{number(best['r'])}, n = {best['n']}, p {p_value(best['p_permutation'])}, "
            f"{p_value(best['holm_permutation']).removeprefix('= ')} after Holm's correction)."
        )


def _n(study: Study, row: pd.Series) -> str:
    said = fewer(row, study.groups[row["group"]])
    return f", {said}" if said else ""


def _without_robust(study: Study) -> Iterator[str]:
    total, other = tests_of(study, TOTAL), tests_of(study, OTHER)
    robust = int(study.groups[AT].sum())
    if not robust or not len(total) or not len(other):
        return
    both = total.merge(other, on=["bias", "target"], suffixes=("", "_other"))
    both = both[(both["n"] >= FEWEST_TOLD) & (both["n_other"] >= FEWEST_TOLD)]
    if not len(both):
        return
    turned = both[both["r"] * both["r_other"] < 0]
    turned = turned.assign(strong=survives(turned))
    strong = turned[turned["strong"]]
    if not len(turned):
        yield f"Without adversarially trained models, none of {len(both)} changes its sign."
        return
    yield (
        f"Without the {robust} adversarially trained model{'s' * (robust > 1)}, {len(turned)} of "
        f"{len(both)} correlations change their sign; {len(strong)} of these "
        f"survive{'s' * (len(strong) == 1)} "
        "Holm's correction among all models."
    )
    for _, row in turned.iterrows():
        if row["strong"] or row["p_permutation"] < LEVEL:
            kept = "survives" if row["strong"] else "does not survive"
            yield (
                f"{begin(pair(row))}: r = {number(row['r'])} among all models ({kept} Holm), "
                f"{number(row['r_other'])} without them "
                f"(p {p_value(row['p_permutation_other'])})."
            )
    yield from _misfiled(study)


def _misfiled(study: Study) -> Iterator[str]:
    """Yield what changes when the model with ε = 0 does not count as adversarially trained."""
    rows = study.correlations
    strict = f"{AT} without ε = 0"
    if strict not in set(rows["group"]):
        return
    both = tests_of(study, AT).merge(
        rows[rows["group"] == strict], on=["bias", "target"], suffixes=("", "_strict")
    )
    both = both[both["n_strict"] >= FEWEST_TOLD]
    if not len(both):
        return
    row = both.iloc[int((both["r"] - both["r_strict"]).abs().argmax())]
    yield (
        "The study counts a model trained with ε = 0 as adversarially trained. Without it, the r "
        f"of AT change by at most {number(abs(row['r'] - row['r_strict']))} ({pair(row)}: "
        f"{number(row['r'])} becomes {number(row['r_strict'])})."
    )
