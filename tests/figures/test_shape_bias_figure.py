"""The classic figure: what it draws, and that it draws the same file twice."""

import math

import pandas as pd
from matplotlib import pyplot as plt

from bvg.figures.drawing import HUMANS
from bvg.figures.shape_bias import by_category, shape_bias_figure


def _table(decisions: list[tuple[str, str, str]]) -> pd.DataFrame:
    """Return a decision table of (shape, texture, response)."""
    rows = [
        {
            "object_response": r,
            "category": s,
            "imagename": f"{n:04d}_cue_dnn_0_{s}_00_{s}1-{t}1.png",
        }
        for n, (s, t, r) in enumerate(decisions)
    ]
    return pd.DataFrame(rows)


SHAPELY = _table([("ant", "bee", "ant"), ("ant", "cat", "ant"), ("bee", "cat", "cat")])
NEITHER = _table([("ant", "bee", "cat"), ("bee", "cat", "bee")])


def test_bias_within_each_category():
    assert by_category(SHAPELY).to_dict() == {"ant": 1.0, "bee": 0.0}
    values = by_category(NEITHER)
    assert math.isnan(values["ant"])
    assert values["bee"] == 1.0


def test_the_figure_shows_every_observer_where_it_belongs(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    observers = {"net": SHAPELY, HUMANS: NEITHER}
    paths = shape_bias_figure(observers, tmp_path / "figure")
    axes = kept[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee"]
    points = {c.get_label(): c.get_offsets() for c in axes.collections if "(" in c.get_label()}
    assert set(points) == {"net (0.67)", "humans (1.00)"}
    # x is the fraction of texture decisions: ant (row 0) by its shape, bee (row 1) by its texture
    assert points["net (0.67)"].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    lines = [line.get_xdata()[0] for line in axes.lines]
    assert [round(float(x), 3) for x in lines] == [0.333, 0.0]
    first = [path.read_bytes() for path in paths]
    shape_bias_figure(observers, tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == first
