"""The classic figure: what it draws, and that it draws the same file twice."""

import math

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.offsetbox import AnnotationBbox

from bvg.figures.drawing import HUMANS
from bvg.figures.shape_bias import TEXTURE, by_category, shape_bias_figure


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


def test_texture_categories_with_bars_and_pictures(tmp_path, kept):
    assert by_category(SHAPELY, TEXTURE).to_dict() == {"bee": 1.0, "cat": 0.5}
    picture = {"cat": np.zeros((8, 8, 3), np.uint8)}
    shape_bias_figure({"net": SHAPELY}, tmp_path / "figure", TEXTURE, picture)
    axes, side = kept[0].axes[:2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bee", "cat"]
    assert axes.yaxis.get_label_text() == "texture category"
    assert len([a for a in axes.artists if isinstance(a, AnnotationBbox)]) == 1
    assert [bar.get_width() for bar in side.patches] == [1.0, 1.0]
    shape_bias_figure({"net": NEITHER}, tmp_path / "figure")
    widths = [bar.get_width() for bar in kept[1].axes[1].patches]
    assert widths == [1.0, 0.0]  # bee, whose shape was answered, is the lower; ant's is neither


def test_humans_highest_category_is_at_the_bottom(tmp_path, kept):
    shape_bias_figure({"net": NEITHER, HUMANS: SHAPELY}, tmp_path / "figure")
    labels = [label.get_text() for label in kept[0].axes[0].get_yticklabels()]
    assert labels == ["ant", "bee"]


def test_many_observers_have_a_row_each(tmp_path, kept):
    observers = {f"net{k}": SHAPELY for k in range(19)} | {"last": NEITHER, HUMANS: SHAPELY}
    shape_bias_figure(observers, tmp_path / "figure")
    axes = kept[0].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:3] == [HUMANS, "last", "net0"]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == ["ant", "bee", "all", "shape or texture"]
    values = axes.images[0].get_array()
    np.testing.assert_allclose(values[0], [1, 0, 2 / 3, 1])
    np.testing.assert_allclose(values[1].filled(-1), [-1, 1, 1, 0.5])
