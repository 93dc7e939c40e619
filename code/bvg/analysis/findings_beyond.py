"""What findings say beyond plain correlations: given accuracy, without a category, all together."""

from collections.abc import Iterator

import pandas as pd

from bvg.analysis.correlations import LEVEL, corrected
from bvg.analysis.measures import AGGREGATES, TOTAL, names_of, short
from bvg.analysis.study import Study
from bvg.analysis.wording import (
    FEW,
    FEWEST_TOLD,
    begin,
    given,
    listed,
    number,
    p_value,
    pair,
    survives,
    tests_of,
)

_ID = next(iter(AGGREGATES))
_SHOWN = 4  # of a long list
_NOTICEABLE = 0.1  # difference of r


def given_accuracy(study: Study) -> Iterator[str]:
    """Yield what remains of correlations given ImageNet accuracy."""
    tests = tests_of(study, TOTAL)
    if "r_given" not in tests:
        return
    rows = tests[~tests["target"].str.startswith(_ID) & tests["r_given"].notna()]
    rows = rows[rows["n_given"] >= FEWEST_TOLD]
    strong = rows[survives(rows)]
    if not len(rows):
        return
    turned = rows[rows["r"] * rows["r_given"] < 0]
    yield (
        f"Given ImageNet accuracy (partial correlation), {len(turned)} of the {len(rows)} "
        f"correlations with generalisation beyond ID change their sign"
        + (f": {listed(_change(row) for _, row in turned.iterrows())}." if len(turned) else ".")
    )
    if len(strong):
        kept = strong[(strong["p_given"] < LEVEL) & (strong["r"] * strong["r_given"] > 0)]
        lost = strong[~strong.index.isin(kept.index)]
        yield (
            f"Of the {len(strong)} that survive Holm, {len(kept)} remain given accuracy "
            f"(p < {LEVEL} by the t approximation)."
        )
        if len(lost):
            yield f"The others: {listed(_change(row) for _, row in lost.iterrows())}."
    yield from _effective(study)


def _change(row: pd.Series) -> str:
    return f"{pair(row)} ({number(row['r'])} becomes {given(row)})"


def _effective(study: Study) -> Iterator[str]:
    rows = study.effective
    if "r" in rows:
        rows = rows[(rows["group"] == TOTAL) & rows["r"].notna() & (rows["n"] >= FEWEST_TOLD)]
    if "r" in rows and len(rows):
        strong = rows[survives(rows)]
        largest = strong.sort_values("r", key=abs, ascending=False).head(_SHOWN)
        names = listed(f"{pair(row)} ({number(row['r'])})" for _, row in largest.iterrows())
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
            f"{outside} model{'s are' if outside > 1 else ' is'} less or more accurate on ImageNet "
            "than all that the line was fitted to, which is an extrapolation there."
        )


def without_each(study: Study) -> Iterator[str]:
    """Yield which claims change their sign when a training category is excluded."""
    tests = tests_of(study, TOTAL)
    strong = tests[survives(tests)]
    if not len(strong) or study.table.categories.nunique() < 2:
        return
    turned = strong[strong["sign_turns_without"] != ""]
    yield (
        f"When one training category at a time is excluded, {len(turned)} of the {len(strong)} "
        "correlations of all models that survive Holm change their sign."
    )
    for _, row in turned.iterrows():
        without = row["sign_turns_without"].replace("_", " ")
        yield (
            f"{begin(pair(row))} does so without {without}: r between {number(row['r_least'])} "
            f"and {number(row['r_most'])}."
        )


def not_monotonic(study: Study) -> Iterator[str]:
    """Yield the dependence that rank correlation misses."""
    rows = study.dependences
    if "p_dcor" not in rows:
        return
    every = rows[rows["p_dcor"].notna()]
    rows = every[every["n"] >= FEWEST_TOLD].reset_index(drop=True)
    if not len(rows):
        return
    linked = rows.merge(study.correlations, on=["group", "bias", "target"], suffixes=("", "_r"))
    linked["holm_dcor"] = corrected(linked["p_dcor"])["holm"]
    hidden = linked[(linked["holm_dcor"] < LEVEL) & (linked["p_permutation"] >= LEVEL)]
    if not len(hidden) and rows["n"].max() >= FEW:  # fewer models could not show any
        yield (
            "None beyond rank correlation: no distance correlation survives Holm's correction "
            f"where r has p ≥ {LEVEL}."
        )
    for _, row in hidden.iterrows():
        yield (
            f"{begin(pair(row))} ({row['group']}): distance correlation {number(row['dcor'])} "
            f"(Holm p {p_value(row['holm_dcor'])}), though r = {number(row['r'])}."
        )
    reported = int(every["xi"].notna().sum()) if "xi" in every else 0
    if reported < len(every):
        yield (
            f"Chatterjee's ξ is reported for {reported} of {len(every)} pairs; the others have too "
            "many ties."
        )


def prediction(study: Study) -> Iterator[str]:
    """Yield how well all biases, and the best one, predict held-out models."""
    rows = study.predictions
    rows = rows[rows["r2"].notna()] if len(rows) else rows
    if not len(rows):
        yield "Unknown: cross-validation needs at least ten models."
        return
    rows = rows[rows["group"] == TOTAL]
    every = rows[rows["biases"] == "all"]
    for target in every["target"].unique():
        of = every[every["target"] == target]
        parts = [
            f"{_scores(of[of['folds'] == folds])} {how}"
            for folds, how in {
                "random": "for models of known kinds",
                "by category": "for an unseen kind of training",
            }.items()
            if (of["folds"] == folds).any()
        ]
        single = rows[(rows["biases"] != "all") & (rows["target"] == target)]
        best = single[single["folds"] == "random"].sort_values("r2").iloc[-1]
        yield (
            f"{short(target)}: {listed(parts)}. The best of {single['biases'].nunique()} single "
            f"biases is {short(best['biases'])} (R² {number(best['r2'])} for known kinds)."
        )


def _scores(rows: pd.DataFrame) -> str:
    """Return the R² of each predictor, and where it is no better than chance."""
    return "R² " + listed(
        f"{number(row['r2']) if row['r2'] >= 0 else '< 0'} ({row['predictor']}"
        f"{'' if row['p'] < LEVEL else ', as by chance'})"
        for _, row in rows.iterrows()
    )


def error(study: Study) -> Iterator[str]:
    """Yield by how much measurement error may have weakened the correlations."""
    rows = study.attenuations
    if "r_corrected" not in rows:
        return
    rows = rows[rows["r_corrected"].notna() & (rows["group"] == TOTAL)]
    rows = rows[rows["n"] >= FEWEST_TOLD]
    if not len(rows):
        return
    change = (rows["r_corrected"] - rows["r"]).abs()
    row = rows.iloc[int(change.argmax())]
    yield (
        f"Hardly: without it, r among all models would change by at most {number(change.max())} "
        if change.max() < _NOTICEABLE
        else f"Yes: without it, r among all models would change by up to {number(change.max())} "
    ) + f"({pair(row)}: {number(row['r'])} becomes about {number(row['r_corrected'])})."
    unknown = [
        short(name) for name in names_of(study.measures.biases) if study.errors[name].isna().all()
    ]
    if unknown:
        yield f"The error of {listed(unknown)} is not known from this table."
