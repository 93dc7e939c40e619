"""What the low-pass control says about shape bias: what is left of it without high frequencies.

Source: Wolff et al., ICLR 2026, arXiv 2602.13859: a low-pass filter of the input alone makes
networks shape-biased.
"""

import re
from collections.abc import Iterator

import pandas as pd

from bvg.analysis.measures import names_of, short
from bvg.analysis.ranks import rank_correlation
from bvg.analysis.study import Study
from bvg.analysis.wording import FEWEST_TOLD, listed, number
from bvg.scores.lowpass import UNFILTERED
from bvg.stimuli.lowpass import BLUR, DOWNSAMPLE
from bvg.table.measures import SHAPE_BIAS

QUESTION = "What does the low-pass control say about shape bias?"
_COMMAND = "python code/run_study.py --model NAME … --benchmark shape_bias_lowpass"
_FILTERED = re.compile(rf"{SHAPE_BIAS}/(({BLUR}|{DOWNSAMPLE})=([\d.]+))")
_SIGMA = 2.5  # at which Wolff et al. find the best agreement with humans
_NEITHER = "fraction-neither"


def low_pass_control(study: Study) -> Iterator[str]:
    """Yield how shape bias changes under each filter, or that this was not measured."""
    if SHAPE_BIAS not in study.measures.biases:
        return
    filters = _filters(study)
    if not filters:
        yield (
            "It was not run for these models. Without it, a shape bias may be no more than an "
            "insensitivity to high frequencies: blurred images make a texture-biased network "
            f"shape-biased (Wolff et al., ICLR 2026). Run it with {_COMMAND}."
        )
    for name, filtered in filters.items():
        bias = _before(study, filtered)
        more = _undecided(study, name, filtered)
        order = ""
        if len(filtered) >= FEWEST_TOLD:
            r = _correlation(filtered, bias)
            order = f"; r of the models' shape bias with and without it is {r}"
        yield (
            f"With {_words(name)} ({_models(study, filtered)}): the median shape bias is "
            f"{number(filtered.median())} instead of {number(bias.median())}{more}{order}."
        )
        if rows := _targets(study, filtered):
            yield f"With {_words(name)}, r of shape bias with benchmarks: {listed(rows)}."


def beside(study: Study) -> str:
    """Return what to say beside a statement on shape bias: one filter's effect, or the absence."""
    filters = _filters(study)
    if not filters:
        return f"The low-pass control of shape bias was not run; this runs it: {_COMMAND}."
    blurs = [name for name in filters if name.startswith(BLUR)]
    name = min(blurs or filters, key=lambda f: abs(float(f.partition("=")[2]) - _SIGMA))
    filtered = filters[name]
    return (
        f"Low-pass control of shape bias: {_words(name)} changes its median from "
        f"{number(_before(study, filtered).median())} to {number(filtered.median())} "
        f"({_models(study, filtered)}; see “{QUESTION}”)."
    )


def _filters(study: Study) -> dict[str, pd.Series]:
    """Return the shape bias under each filter, of the models that also have it without.

    First by downsampling, then by blur, the weakest first.
    """
    table = study.table.values
    if SHAPE_BIAS not in table:
        return {}
    known = table[SHAPE_BIAS].notna() & table[_unfiltered(study, SHAPE_BIAS)].notna()
    found = [match for name in names_of(table) if (match := _FILTERED.fullmatch(name))]
    found.sort(key=lambda m: (m[2] == BLUR, float(m[3]) if m[2] == BLUR else -float(m[3])))
    columns = {match[1]: table[match[0]][known].dropna() for match in found}
    return {name: column for name, column in columns.items() if len(column)}


def _before(study: Study, filtered: pd.Series) -> pd.Series:
    """Return the same models' shape bias without the filter."""
    return study.table.values.loc[filtered.index, _unfiltered(study, SHAPE_BIAS)]


def _unfiltered(study: Study, name: str) -> str:
    """Return the column of a measure without a filter: of the control itself, if it is there."""
    own = f"{name}/{UNFILTERED}"
    return own if own in study.table.values else name


def _undecided(study: Study, name: str, filtered: pd.Series) -> str:
    """Return the median share of decisions for neither cue, where the table has both."""
    table = study.table.values
    names = [f"{_NEITHER}/{name}", _unfiltered(study, _NEITHER)]
    if not {*names} <= {*table}:
        return ""
    with_it, without = (f"{100 * table.loc[filtered.index, n].median():.0f}" for n in names)
    return f", and {with_it} % of the decisions follow neither cue instead of {without} %"


def _targets(study: Study, filtered: pd.Series) -> list[str]:
    """Return, for each aggregate, r of shape bias without and with the filter."""
    rows = []
    for target, values in study.measures.targets.items():
        both = values[filtered.index].dropna()
        if len(both) >= FEWEST_TOLD:
            before = _correlation(_before(study, both), both)
            after = _correlation(filtered[both.index], both)
            rows.append(f"{short(str(target))} {before} becomes {after}")
    return rows


def _correlation(x: pd.Series, y: pd.Series) -> str:
    """Return Spearman's r of two columns of the same models, as text."""
    return number(float(rank_correlation(x.to_numpy(), y.to_numpy())))


def _words(name: str) -> str:
    """Return a filter in words: "a blur of σ = 2.5 px", "downsampling to 64 px"."""
    kind, _, value = name.partition("=")
    if kind == BLUR:
        return f"a blur of σ\u00a0=\u00a0{value}\u00a0px"
    return f"downsampling to {value}\u00a0px"


def _models(study: Study, filtered: pd.Series) -> str:
    count, whole = len(filtered), len(study.table.values)
    return f"{count} model{'s' * (count != 1)}" + (f" of {whole}" if count < whole else "")
