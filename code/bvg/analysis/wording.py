"""The wording of findings: numbers, pairs, lists, and which correlations are claims."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bvg.analysis.correlations import LEVEL
from bvg.analysis.measures import short
from bvg.analysis.study import FAMILY, Study

FEW = 10  # models, below which the reader is warned, and the t approximation is not shown
FEWEST_TOLD = 6  # models, below which no single r is put into words


def number(value: float, digits: int = 2) -> str:
    """Return a number with a real minus sign; "–" for NaN."""
    if not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def p_value(p: float) -> str:
    """Return p as text."""
    if not np.isfinite(p):
        return "–"
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}" if p < 0.01 else f"= {p:.2f}"


def survives(rows: pd.DataFrame) -> pd.Series:
    """Return which correlations' permutation p survive Holm's correction."""
    if "holm_permutation" not in rows:
        return pd.Series(False, rows.index)
    return rows["holm_permutation"] < LEVEL


def tests_of(study: Study, group: str | None = None) -> pd.DataFrame:
    """Return the correlations that are defined, of one group or of the whole family."""
    rows = study.correlations
    if "r" not in rows:
        return rows.iloc[:0].assign(r=[], p=[], p_permutation=[], holm_permutation=[], group=[])
    return rows[rows["group"].isin([group] if group else FAMILY) & rows["r"].notna()]


def below(p: pd.Series) -> int:
    """Return how many p-values are significant."""
    return int((p < LEVEL).sum())


def fewer(row: pd.Series, group: np.ndarray) -> str:
    """Return "n = …" where a correlation is of fewer models than its group has, else nothing."""
    return f"n\u00a0=\u00a0{row['n']}" if row["n"] < int(group.sum()) else ""


def given(row: pd.Series, digits: int = 2) -> str:
    """Return r given ImageNet accuracy, with n where it is of fewer models than r itself."""
    text = number(row.get("r_given", np.nan), digits)
    of_fewer = np.isfinite(row.get("r_given", np.nan)) and row["n_given"] < row["n"]
    return f"{text}, n\u00a0=\u00a0{int(row['n_given'])}" if of_fewer else text


def pair(row: pd.Series) -> str:
    """Return the names of a correlation's bias and benchmark."""
    return f"{short(row['bias'])} with {short(row['target'])}"


def begin(text: str) -> str:
    """Return the text with a capital, as sentences begin."""
    return text[:1].upper() + text[1:]


def listed(items: Iterable[str]) -> str:
    """Return words as a list with commas and an "and"."""
    items = list(items)
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
