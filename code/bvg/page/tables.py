"""The page's tables that do not need a browser to be computed: matrices, tests, runs."""

import json
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis.correlations import LEVEL
from bvg.analysis.cues import measures_in, turned
from bvg.analysis.measures import TOTAL, short
from bvg.analysis.study import FAMILY, Study
from bvg.analysis.wording import FEW, FEWEST_TOLD, fewer, given, number, p_value, survives
from bvg.errors import UserError, reason_of

Row = dict[str, Any]


def matrices(study: Study) -> list[Row]:
    """Return a matrix of r for each group: biases × aggregates and single benchmarks."""
    found = []
    for group, members in study.groups.items():
        frames = [f[f["group"] == group] for f in (study.correlations, study.singles) if len(f)]
        rows = pd.concat(frames) if frames else pd.DataFrame()
        if not len(rows) or rows["r"].isna().all():
            continue
        targets = list(dict.fromkeys(rows["target"]))
        biases = list(dict.fromkeys(rows["bias"]))
        of = {(row["bias"], row["target"]): _cell(row, members) for _, row in rows.iterrows()}
        found.append(
            {
                "group": group,
                "n": int(members.sum()),
                "note": _too_few(int(members.sum())),
                "targets": [short(name) for name in targets],
                "aggregates": sum(name in study.measures.targets for name in targets),
                "rows": [(short(b), [of[b, t] for t in targets if (b, t) in of]) for b in biases],
            }
        )
    return found


def shape_matrix(study: Study) -> Row | None:
    """Return the matrix of r of each two measures of shape, below its diagonal; None without any.

    columns: the measures that head a column; rows: the others' names, and their cells.
    """
    pairs = study.shape_pairs
    if not len(pairs) or pairs["r"].isna().all():
        return None
    names, everyone = measures_in(pairs), study.groups[TOTAL]
    of = {(row["bias"], row["target"]): _cell(row, everyone) for _, row in pairs.iterrows()}
    return {
        "columns": [turned(name) for name in names[:-1]],
        "rows": [
            (turned(name), [of[other, name] for other in names[:k]])
            for k, name in enumerate(names[1:], start=1)
        ],
    }


def _too_few(n: int) -> str:
    """Return why no correlation of a group can have p < 0.05, if none can."""
    least = 2 / factorial(n)
    return f": too few for p < {LEVEL} (at best {least:.2g})" if least >= LEVEL else ""


def _cell(row: pd.Series, group: np.ndarray) -> Row:
    """Return what a cell of a matrix shows, and what it says when asked.

    weak: p ≥ 0.05 by permutation; zero: p ≥ 0.05 by the t approximation, where the study shows 0.
    """
    r = row["r"]
    known = bool(np.isfinite(r))
    said = f"{short(row['bias'])} and {short(row['target'])}: "
    if not known:
        return {
            "r": "–",
            "said": said + row["note"],
            "shade": 0,
            "sign": "",
            "weak": True,
            "zero": False,
            "survives": False,
            "n": "",
            "bias": row["bias"],
            "target": row["target"],
            "range": "",
        }
    interval = ""
    # Resamples of fewer models say nothing; those of a perfect correlation are all perfect.
    if row["n"] >= FEWEST_TOLD and row["low"] < row["high"]:
        interval = f"{number(row['low'])} to {number(row['high'])}"
    said += (
        f"r = {number(r, 3)}, 95 % interval {interval or 'unknown'}, n = {row['n']}, "
        f"p {p_value(row['p_permutation'])} by permutation"
    )
    if np.isfinite(row.get("holm_permutation", np.nan)):
        said += f", after Holm's correction {p_value(row['holm_permutation'])}"
    if row["n"] >= FEW:
        said += f"; by the t approximation, as in the study, p {p_value(row['p'])}"
    if np.isfinite(row.get("r_given", np.nan)):
        said += f"; given ImageNet accuracy r = {given(row, 3)}"
    return {
        "r": number(r),
        "range": interval.replace("0.", "."),
        "said": said,
        "shade": round(min(abs(r), 1) * 100),
        "sign": "up" if r > 0 else "down",
        "n": fewer(row, group),
        "weak": not row["p_permutation"] < LEVEL,
        "zero": not row["p"] < LEVEL,
        "survives": bool(survives(row.to_frame().T).iloc[0]),
        "bias": row["bias"],
        "target": row["target"],
    }


def tests(study: Study) -> list[list[str]]:
    """Return the family's tests as text, a row each, strongest first."""
    rows = study.correlations
    if not len(rows) or "p_permutation" not in rows:
        return []
    rows = rows[rows["group"].isin(FAMILY) & rows["r"].notna()]
    order = rows["r"].abs().sort_values(ascending=False).index
    return [_test(rows.loc[name]) for name in order]


def _test(row: pd.Series) -> list[str]:
    low, high = number(row["low_stratified"]), number(row["high_stratified"])
    return [
        short(row["bias"]),
        short(row["target"]),
        row["group"],
        str(row["n"]),
        number(row["r"], 3),
        f"{number(row['low'])} to {number(row['high'])}",
        f"{low} to {high}",
        f"{number(row['r_least'])} to {number(row['r_most'])}",
        *(
            _p(row[name])
            for name in ("p_permutation", "holm_permutation", "bh_permutation", "by_permutation")
        ),
        given(row, 3),
        _p(row.get("p_given", np.nan)),
        *(_p(row[name]) for name in ("p", "holm")),
    ]


def _p(p: float) -> str:
    return p_value(p).removeprefix("= ")


def further(study: Study) -> dict[str, list[list[str]]]:
    """Return the tables of predictions, dependence, effective robustness and measurement error."""
    return {
        "predictions": _texts(
            study.predictions,
            ["group", "target", "biases", "predictor", "folds", "n"],
            ["r2", "null95"],
            ["p"],
        ),
        "dependences": _texts(
            study.dependences,
            ["group", "bias", "target", "n"],
            ["dcor", "xi"],
            ["p_dcor", "p_xi"],
            ["note"],
        ),
        "effective": _texts(
            study.effective,
            ["group", "bias", "target", "n"],
            ["r", "low", "high"],
            ["p_permutation", "holm_permutation", "p"],
        ),
        "shape_pairs": _texts(
            study.shape_pairs,
            ["bias", "target", "n"],
            [
                "r",
                "low",
                "high",
                "r_given",
                "reliability_bias",
                "reliability_target",
                "r_corrected",
            ],
            ["p_permutation", "holm_permutation"],
        ),
        "cues_given_accuracy": _texts(
            study.cues_given_accuracy,
            ["bias", "target", "n"],
            ["r", "r_given", "low_given", "high_given"],
            ["p_given", "holm_given"],
        ),
        "attenuations": _texts(
            study.attenuations,
            ["group", "bias", "target", "n"],
            [
                "reliability_bias",
                "reliability_target",
                "r",
                "r_corrected",
                "low_noise",
                "high_noise",
            ],
            [],
            ["note"],
        ),
    }


def _texts(
    frame: pd.DataFrame,
    words: list[str],
    numbers: list[str],
    ps: list[str],
    notes: tuple | list = (),
) -> list[list[str]]:
    frame = frame.reindex(columns=[*words, *numbers, *ps, *notes])
    frame = frame[frame[[*numbers, *ps]].notna().any(axis=1)]
    return [
        [
            *(short(str(row[name])) for name in words),
            *(number(row[name], 3) for name in numbers),
            *(_p(row[name]) for name in ps),
            *("" if pd.isna(row[name]) else str(row[name]) for name in notes),
        ]
        for _, row in frame.iterrows()
    ]


def runs(table: Path) -> tuple[list[Row], list[str]]:
    """Return how each benchmark was measured, and what else there is to know of the table.

    Both are from provenance.json beside it, and empty where that is not there.
    """
    path = table.with_name("provenance.json")
    if not path.is_file():
        return [], []
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return [
            {
                "benchmark": name,
                "models": how.get("models", ""),  # tables of earlier versions do not tell
                "images": how["images"].get("count"),
                "how": _how(how["protocol"]),
            }
            for name, how in record["protocols"].items()
        ], [str(note) for note in record.get("notes", [])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read ({reason_of(error)}): write it again with code/collect.py"
        ) from error


def _how(protocol: Row) -> str:
    """Return a protocol in words: what differs from full precision on all images comes first."""
    said = []
    if protocol.get("limit"):
        said.append(f"a class-balanced subset (limit {protocol['limit']})")
    if protocol.get("precision"):
        said.append(str(protocol["precision"]))
    view = protocol.get("preprocessing") or {}
    if "crop" in view:
        said.append(f"crop {view['crop']}")
    for name, value in protocol.items():
        if name in ("limit", "precision", "preprocessing", "seed") or value in (None, False):
            continue
        said.append(f"{name.replace('_', ' ')}: {_shown(value)}")
    return "; ".join(said)


def _shown(value: Any) -> str:
    """Return an entry of a protocol as people read it: PGD-40 (steps 40, step 0.00784)."""
    if isinstance(value, dict):
        said = [(key.replace("_", " "), inner) for key, inner in value.items()]
        return ", ".join(_entry(*one) for one in said if one[1] is not None and one[1] is not False)
    if isinstance(value, list):
        return " ".join(map(str, value)) if len(value) <= 6 else f"{len(value)} of them"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _entry(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"{key} ({_shown(value)})" if value else key
    return key if value is True else f"{key} {_shown(value)}"
