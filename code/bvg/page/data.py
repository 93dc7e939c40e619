"""What the page's charts and its table of models are drawn from, as one object for the browser."""

from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis.cues import as_measured
from bvg.analysis.measures import names_of, short, with_derived
from bvg.analysis.study import FAMILY, Study
from bvg.analysis.wording import FEW, FEWEST_TOLD
from bvg.table.measures import CUES, LABELS, OUTCOMES, SHAPE_BIAS, SUPPRESSED

# Columns of the published table that are no part of the study: about weights, not behaviour.
NOT_OF_THE_STUDY = ("metric/quality/", "metric/erf/", "metric/weight_reset/")
_BY_CATEGORY = f"{SHAPE_BIAS}/category/"


def payload(study: Study) -> dict[str, Any]:
    """Return models, categories, columns with cells, and the correlations of the scatter plot."""
    values = _columns(study)
    columns = [_column(study, values[name], name) for name in names_of(values)]
    biases = [*study.measures.biases]
    cues = [name for name in biases if name in CUES]
    # Cues can be on both axes, each beside the other measures of them.
    others = [name for name in (SHAPE_BIAS, *cues) if cues and name in biases]
    targets = [*study.measures.targets, *study.measures.benchmarks, *others]
    return {
        "few": FEW,
        "fewestTold": FEWEST_TOLD,
        "source": study.table.path.name,
        "models": [*values.index],
        "categories": [*study.table.categories],
        "columns": columns,
        "biases": biases,
        "targets": targets,
        "groups": {name: np.flatnonzero(study.groups[name]).tolist() for name in FAMILY},
        "correlations": _correlations(study),
        "shapes": _shape_bias_by_category(study),
        "suppressed": [name for name in SUPPRESSED if name in biases],
    }


def _columns(study: Study) -> pd.DataFrame:
    """Return the aggregates, and the table's columns that have a value and belong to the study."""
    table = with_derived(study.table.values)
    kept = [
        name
        for name in names_of(table)
        if not name.startswith(NOT_OF_THE_STUDY) and table[name].notna().any()
    ]
    first = [name for name in LABELS if name in kept]
    rest = [name for name in kept if name not in LABELS]
    return pd.concat([study.measures.targets, table[first + rest]], axis=1)


def _column(study: Study, values: pd.Series, name: str) -> dict[str, Any]:
    """Return a column's name, cells, and, where they are known, the ends of their intervals."""
    main = name in study.measures.targets or name in LABELS
    column = {
        "key": name,
        "label": short(name),
        "shown": main or name in OUTCOMES,
        "values": _plain(values),
    }
    intervals = study.table.intervals
    if len(intervals) and name in intervals.index.get_level_values("column"):
        cells = intervals.xs(name, level="column").reindex(values.index)
        column |= {end: _plain(cells[end]) for end in ("low", "high", "n")}
    return column


def _plain(values: pd.Series) -> list[float | None]:
    """Return numbers for JSON, which knows no NaN."""
    return [None if pd.isna(value) else float(value) for value in values]


def _correlations(study: Study) -> list[dict[str, Any]]:
    frames = [study.correlations, study.singles, as_measured(study.shape_pairs)]
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return []
    wanted = ["group", "bias", "target", "n", "r", "low", "high", "p", "p_permutation", "note"]
    rows = pd.concat(frames).reindex(columns=wanted)
    rows = rows[rows["group"].isin(FAMILY)]
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()}
        for row in rows.to_dict("records")
    ]


def _shape_bias_by_category(study: Study) -> dict[str, Any]:
    """Return each model's shape bias within the categories of objects, where the table has it."""
    names = [name for name in names_of(study.table.values) if name.startswith(_BY_CATEGORY)]
    return {
        "categories": [name.removeprefix(_BY_CATEGORY) for name in names],
        "values": [_plain(study.table.values[name]) for name in names],
    }
