"""Low-frequency bias by cue conflict, against counting."""

import numpy as np
import pytest

from bvg.predictions.table import Predictions
from bvg.scores.frequency_cue_conflict import frequency_cue_conflict_metrics
from bvg.table.columns import column_of

NAMES = ("ant", "bee", "cat")
# (low, high, answer, answer by the other rule)
ROWS = [
    *[("ant", "bee", "ant", "ant")] * 3,
    *[("ant", "bee", "bee", "bee")] * 1,
    *[("bee", "cat", "cat", "bee")] * 4,
    *[("cat", "ant", "bee", "cat")] * 2,
    *[("cat", "cat", "cat", "cat")] * 5,  # no conflict
]


def predictions() -> Predictions:
    columns = np.array([[NAMES.index(name) for name in row] for row in ROWS], np.int16).T
    low, high, answer, by_max = columns
    n = len(ROWS)
    return Predictions(
        NAMES,
        np.array([f"{k}" for k in range(n)], object),
        np.full(n, "clean", object),
        low,
        answer[:, None],
        np.zeros(n, np.float32),
        {"high": high, "answer_max": by_max},
    )


def test_only_conflicts_count_and_neither_is_left_out_of_the_ratio():
    metrics = frequency_cue_conflict_metrics(predictions())
    bias = "frequency-cue-conflict/low-frequency-bias"
    low = sum(low != high and answer == low for low, high, answer, _ in ROWS)
    high = sum(low != high and answer == high for low, high, answer, _ in ROWS)
    assert (low, high) == (3, 5)
    assert metrics[bias].value == pytest.approx(3 / 8)
    assert metrics[bias].n == 10
    assert metrics[f"{bias}/max"].value == pytest.approx(9 / 10)
    assert metrics[f"{bias}/category/ant"].value == pytest.approx(3 / 4)
    assert metrics[f"{bias}/category/bee"].value == 0
    assert metrics[f"{bias}/category/cat"].value is None
    parts = {n: metrics[f"frequency-cue-conflict/fraction-{n}"].value for n in ("low", "high")}
    assert parts == {"low": pytest.approx(0.3), "high": pytest.approx(0.5)}
    assert metrics["frequency-cue-conflict/fraction-neither"].value == pytest.approx(0.2)


def test_no_column_is_one_of_shape_bias_or_of_filtered_images():
    metrics = frequency_cue_conflict_metrics(predictions())
    columns = [column_of("frequency_cue_conflict", name, metrics) for name in metrics]
    assert all(name.startswith("frequency-cue-conflict/") for name in columns)
