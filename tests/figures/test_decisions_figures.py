"""The figures of decision tables, for two observers and for twenty."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.offsetbox import AnnotationBbox

from bvg.data.model_vs_human import DATA_SETS
from bvg.figures.decisions import (
    accuracy_bars,
    confusion_figure,
    cues_figure,
    distortions_figure,
    edges_figure,
    summary_figure,
    times_by_condition_figure,
    times_figure,
)
from bvg.figures.drawing import HUMAN_COLOUR
from bvg.scores.metric import Metric

SETS = ("original", "edge")
LEVELS = ("inf", "3.0", "1.5")


def _observers(count, keys):
    generator = np.random.default_rng(0)
    names = ["humans", *(f"net{k}" for k in range(1, count))]
    return {
        name: {key: Metric(v := generator.uniform(10, 90), v - 3, v + 4, 50) for key in keys}
        for name in names
    }


def _members(metrics, data_set, conditions=("0",)):
    rows = []
    for name in metrics:
        for member in ("subject-01", "subject-02") if name == "humans" else ("session 1",):
            for place, condition in enumerate(conditions):
                value = 40.0 + 10 * place + 5 * (member == "subject-02")
                rows.append((name, data_set, condition, member, value, 10))
    return pd.DataFrame(
        rows, columns=["observer", "data_set", "condition", "member", "accuracy", "n"]
    )


@pytest.mark.parametrize("count", [2, 20])
def test_figure_2_has_every_accuracy(count, tmp_path, kept):
    metrics = _observers(count, [f"top1_acc/{name}" for name in SETS])
    members = _members(metrics, "edge")
    picture = {"edge": np.zeros((20, 20, 3), np.uint8)}
    accuracy_bars(metrics, members, SETS, picture, tmp_path / "figure")
    axes = kept[0].axes[0]
    expected = [[m[f"top1_acc/{name}"].value for name in SETS] for m in metrics.values()]
    if count == 2:
        heights = [[bar.get_height() for bar in group] for group in axes.containers]
        np.testing.assert_allclose(heights, expected)
        numbers = [text.get_text() for text in axes.texts]
        assert numbers == [f"{value:.1f}" for row in expected for value in row]
        (dots,) = [c for c in axes.collections if len(c.get_offsets()) == 2]
        assert [y for _, y in dots.get_offsets()] == [40, 45]  # each of the people
    else:
        np.testing.assert_allclose(axes.images[0].get_array(), expected)


@pytest.mark.parametrize("count", [2, 20])
def test_figure_6_has_the_range_of_people(count, tmp_path, kept):
    metrics = _observers(count, [f"top1_acc/high-pass/{level}" for level in LEVELS])
    members = _members(metrics, "high-pass", LEVELS)
    distortions_figure(metrics, members, tmp_path / "figure")
    axes = kept[0].axes[0]
    values = {n: [m[f"top1_acc/high-pass/{c}"].value for c in LEVELS] for n, m in metrics.items()}
    if count == 2:
        (net,) = [line for line in axes.lines if line.get_label().startswith("net")]
        # A logarithmic axis from mild to hard, without the level that it cannot show.
        assert net.get_ydata().tolist() == values["net1"][1:]
        np.testing.assert_allclose(net.get_xdata(), [-np.log2(3), -np.log2(1.5)])
        band = axes.collections[-1].get_paths()[0].get_extents()
        assert (band.y0, band.y1) == (50, 65)
    else:
        shown = np.array(axes.images[0].get_array())[:, :2]
        np.testing.assert_allclose(shown, [value[1:] for value in values.values()])


def test_cues_confusions_times_and_summary(tmp_path, kept):
    confusion = pd.DataFrame(
        [("net", "cat", "cat", 3), ("net", "cat", "na", 1), ("net", "dog", "cat", 2)],
        columns=["observer", "category", "response", "n"],
    )
    confusion_figure(confusion, tmp_path / "confusion")
    shares = np.array(kept[0].axes[0].images[0].get_array())
    np.testing.assert_allclose(shares, [[75, 0, 25], [100, 0, 0]])
    table = pd.DataFrame(
        {"shape": [10.0, 30.0], "texture": [50.0, 60.0], "neither": [40.0, 10.0]}, ["cat", "dog"]
    )
    cues_figure({"net": table}, tmp_path / "cues")
    ends = [bar.get_x() + bar.get_width() for bar in kept[1].axes[0].patches]
    assert ends == [30, 10, 90, 60, 100, 100]  # dog, cat, part after part
    times = {"edge": {"subject-01": pd.Series([400.0, 600]), "subject-02": pd.Series([800.0])}}
    times_figure(times, tmp_path / "times")
    dots = kept[2].axes[0].collections[-1].get_offsets()
    assert [x for x, _ in dots] == [500, 800]
    values = pd.DataFrame({"accuracy": [0.5, 0.4], "difference": [0.0, np.nan]}, ["humans", "net"])
    summary_figure(values, ["edge", "sketch"], tmp_path / "summary")
    texts = [[text.get_text() for text in axes.texts] for axes in kept[3].axes]
    assert texts == [["0.400", "0.500"], ["–", "0.000"]]


@pytest.mark.parametrize("count", [1, 20])
def test_edges_have_a_panel_for_each_observer(count, tmp_path, kept):
    table = pd.DataFrame({"shape_bias": [0.1, 0.9], "edges": [20.0, 80.0]}, ["cat", "dog"])
    names = ["humans", *(f"net{k}" for k in range(1, count))]
    correlations = dict.fromkeys(names, Metric(-0.25))
    edges_figure(dict.fromkeys(names, table), correlations, tmp_path / "edges")
    assert len(kept[0].axes) == count
    for axes, name in zip(kept[0].axes, names, strict=True):
        assert axes.get_title().split("\n") == [name, "ρ = −0.25"]
        assert axes.collections[0].get_offsets().tolist() == [[20, 0.1], [80, 0.9]]


def test_times_by_condition_and_accuracies_of_people_alone(tmp_path, kept):
    keys = [f"response-time/high-pass/{level}" for level in LEVELS]
    people = {"humans": {key: Metric(600.0 + 50 * n) for n, key in enumerate(keys)}}
    each = {key: np.array([550.0, 700.0 + n]) for n, key in enumerate(keys)}
    times_by_condition_figure(people, each, tmp_path / "times")
    one, two, mean = (line.get_ydata() for line in kept[0].axes[0].lines)
    assert [*one], [*two] == ([550] * 3, [700, 701, 702])
    assert [*mean] == [600, 650, 700]
    metrics = {"humans": _observers(1, [f"top1_acc/high-pass/{c}" for c in LEVELS])["humans"]}
    distortions_figure(metrics, _members(metrics, "high-pass", LEVELS), tmp_path / "figure")
    assert kept[1].axes[0].lines[0].get_color() == HUMAN_COLOUR


@pytest.mark.parametrize("count", [2, 17])
def test_pictures_and_names_below_bars_do_not_hide_each_other(count, tmp_path, kept):
    sets = [*DATA_SETS][:count]
    metrics = _observers(2, [f"top1_acc/{name}" for name in sets])
    pictures = {name: np.zeros((20, 20, 3), np.uint8) for name in sets}
    accuracy_bars(metrics, _members(metrics, "edge"), sets, pictures, tmp_path / "figure")
    axes = kept[0].axes[0]
    boxes = [a.get_window_extent() for a in axes.artists if isinstance(a, AnnotationBbox)]
    labels = axes.get_xticklabels()
    assert len(boxes) == count
    for box, label in zip(boxes, labels, strict=True):
        # A slanted name's end is nearest to the picture.
        assert box.y0 > label.get_window_extent().y1 - 2
    for one, other in pairwise(boxes):
        assert one.x1 <= other.x0
    if not labels[0].get_rotation():
        ends = [label.get_window_extent() for label in labels]
        assert all(one.x1 < other.x0 for one, other in pairwise(ends))


def test_equal_figures_are_equal_files(tmp_path):
    metrics = _observers(3, [f"top1_acc/{name}" for name in SETS])
    members = _members(metrics, "edge")
    bars = [accuracy_bars(metrics, members, SETS, {}, tmp_path / name) for name in ("a", "b")]
    for one, other in zip(*bars, strict=True):
        assert one.read_bytes() == other.read_bytes()
