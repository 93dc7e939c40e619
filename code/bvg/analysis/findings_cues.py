"""What findings say about measures of single cues: do they agree, what do they say of accuracy."""

from collections.abc import Iterator

import pandas as pd

from bvg.analysis.correlations import LEVEL
from bvg.analysis.cues import measures_in, turned, verdicts
from bvg.analysis.measures import short
from bvg.analysis.study import Study
from bvg.analysis.wording import FEWEST_TOLD, begin, listed, number, p_value

_SHOWN = 4  # of a long list
_UNRELIABLE = 0.8


def shape_measures(study: Study) -> Iterator[str]:
    """Yield whether measures of shape order models alike; nothing with fewer than two of them."""
    pairs = study.shape_pairs
    if not len(pairs) or pairs["r"].isna().all():
        return
    pairs = pairs[pairs["r"].notna()].reset_index(drop=True)
    verdict = verdicts(pairs)
    agree, contradict = pairs[verdict > 0], pairs[verdict < 0]
    names = measures_in(pairs)
    yield (
        f"{len(agree)} of {len(pairs)} pairs agree in sign and survive Holm's correction, "
        f"{len(contradict)} contradict each other and survive it, and of the other "
        f"{len(pairs) - len(agree) - len(contradict)} neither can be said. The measures: "
        f"{listed(turned(name) for name in names)}."
    )
    for what, rows in (("agree", agree), ("contradict each other", contradict)):
        if len(rows):
            largest = rows.sort_values("r", key=abs, ascending=False)
            most = f" (the strongest of {len(rows)})" if len(rows) > _SHOWN else ""
            said = listed(_pair(row) for _, row in largest.head(_SHOWN).iterrows())
            yield f"These {what}{most}: {said}."
    yield from _given_accuracy(pairs)
    yield from _unreliable(pairs)


def beyond_accuracy(study: Study) -> Iterator[str]:
    """Yield which measures say of generalisation what ImageNet accuracy does not."""
    rows = study.cues_given_accuracy
    rows = rows[rows["n_given"] >= FEWEST_TOLD] if len(rows) else rows
    if not len(rows):
        return
    strong = rows[rows["holm_given"] < LEVEL]
    yield (
        f"Given ImageNet accuracy, {len(strong)} of {len(rows)} correlations of measures of single "
        f"cues with generalisation survive Holm's correction (by the t approximation)."
    )
    for bias, own in rows.groupby("bias", sort=False):
        kept = own[own["holm_given"] < LEVEL]
        said = listed(
            f"{short(row['target'])} ({number(row['r_given'])} [{number(row['low_given'])}, "
            f"{number(row['high_given'])}])"
            for _, row in kept.iterrows()
        )
        if said:
            yield f"{begin(short(str(bias)))} is correlated with {said}."
    silent = [short(str(b)) for b in rows["bias"].unique() if b not in set(strong["bias"])]
    if silent and len(strong):
        yield f"Nothing beyond accuracy that survives: {listed(silent)}."


def _pair(row: pd.Series) -> str:
    low, high = number(row["low"]), number(row["high"])
    return (
        f"{turned(row['bias'])} and {turned(row['target'])} (r\u00a0=\u00a0{number(row['r'])} "
        f"[{low}, {high}], n\u00a0=\u00a0{row['n']}, Holm p {p_value(row['holm_permutation'])})"
    )


def _given_accuracy(pairs: pd.DataFrame) -> Iterator[str]:
    if "r_given" not in pairs:
        return
    known = pairs[pairs["r_given"].notna() & (pairs["n_given"] >= FEWEST_TOLD)]
    flipped = known[known["r"] * known["r_given"] < 0]
    if len(known):
        yield (
            f"Given ImageNet accuracy, {len(flipped)} of {len(known)} correlations between them "
            "change their sign."
        )


def _unreliable(pairs: pd.DataFrame) -> Iterator[str]:
    """Yield which measures' order of models is partly that of sampling."""
    found: dict[str, float] = {}
    for measure, part in (("bias", "reliability_bias"), ("target", "reliability_target")):
        if part in pairs:
            least = pairs[pairs[part].notna()].groupby(measure)[part].min()
            found |= {str(name): float(value) for name, value in least.items()}
    low = {name: value for name, value in found.items() if value < _UNRELIABLE}
    if low:
        said = listed(f"{short(name)} ({number(value)})" for name, value in low.items())
        yield (
            f"Measurement error weakens these correlations: the reliability of {said} is below "
            f"{_UNRELIABLE}."
        )
