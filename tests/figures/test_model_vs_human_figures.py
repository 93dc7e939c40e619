"""The accuracy figure: every number where it belongs, for one model or fifty."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bvg.data.model_vs_human import DATA_SETS
from bvg.figures.drawing import HUMAN_COLOUR, colour
from bvg.figures.model_vs_human import accuracy_figure, tick_label
from bvg.scores.metric import Metric

CURVES = [name for name, d in DATA_SETS.items() if len(d.conditions) > 1]
SINGLE = [name for name in DATA_SETS if name not in CURVES]


def _metrics(seed: int, names=tuple(DATA_SETS)) -> dict[str, Metric]:
    rng = np.random.default_rng(seed)
    keys = [f"top1_acc/{name}" for name in names]
    keys += [f"top1_acc/{n}/{c}" for n in names if n in CURVES for c in DATA_SETS[n].conditions]
    values = {key: rng.uniform(10, 90) for key in keys}
    metrics = {key: Metric(v, v - 4, v + 5, 100) for key, v in values.items()}
    return metrics | {"top1_acc/ood_mean": Metric(40.0 + seed, 30, 50, 100)}


def _humans(name: str) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    rows = [(c, f"{k:02d}") for c in DATA_SETS[name].conditions for k in range(20)]
    index = pd.MultiIndex.from_tuples(rows)
    right = (rng.random((len(rows), 3)) < 0.7).astype(float)
    return {name: pd.DataFrame(right, index, ["subject-01", "subject-02", "subject-03"])}


def _panels(figure):
    return {axes.get_title(): axes for axes in figure.axes}


def test_every_accuracy_is_at_its_condition(tmp_path, kept):
    models = {"one": _metrics(1), "two": _metrics(2)}
    accuracy_figure(models, {}, tmp_path / "figure")
    panels = _panels(kept[0])
    assert [*panels] == [*CURVES, ""]
    for name in CURVES:
        axes = panels[name]
        labels = [tick_label(name, c) for c in DATA_SETS[name].conditions]
        assert [text.get_text() for text in axes.get_xticklabels()] == labels
        for number, metrics in enumerate(models.values()):
            (line,) = [
                li
                for li in axes.lines
                if to_hex(li.get_color()) == colour(number) and len(li.get_xdata()) > 1
            ]
            expected = [metrics[f"top1_acc/{name}/{c}"].value for c in DATA_SETS[name].conditions]
            assert line.get_ydata().tolist() == expected
    dots = [line for line in panels[""].lines if line.get_label() in ("one (41.0)", "two (42.0)")]
    heights = [height for line in dots for height in line.get_ydata()]
    expected = [m[f"top1_acc/{name}"].value for m in models.values() for name in SINGLE]
    assert heights == expected
    for line, intervals, metrics in zip(dots, panels[""].collections, models.values(), strict=True):
        assert [round(x) for x in line.get_xdata()] == list(range(len(SINGLE)))
        ends = [(s[0, 1], s[1, 1]) for s in intervals.get_segments()]
        single = [metrics[f"top1_acc/{name}"] for name in SINGLE]
        assert ends == [(metric.low, metric.high) for metric in single]
    assert [text.get_text() for text in panels[""].get_xticklabels()] == SINGLE


def test_excluded_conditions_are_shaded(tmp_path, kept):
    accuracy_figure({"one": _metrics(1)}, {}, tmp_path / "figure")
    for name in CURVES:
        patches = _panels(kept[0])[name].patches
        shaded = sorted(round(p.get_x() + p.get_width() / 2) for p in patches)
        conditions = DATA_SETS[name].conditions
        assert [conditions[k] for k in shaded] == [
            c for c in conditions if c in DATA_SETS[name].excluded
        ]


def test_humans_are_red_with_a_line_for_each(tmp_path, kept):
    humans = _humans("contrast") | _humans("edge")
    accuracy_figure({"one": _metrics(1)}, humans, tmp_path / "figure")
    axes = _panels(kept[0])["contrast"]
    red = [line for line in axes.lines if line.get_color() == HUMAN_COLOUR]
    assert len(red) == 4
    conditions = list(DATA_SETS["contrast"].conditions)
    mean = 100 * humans["contrast"].groupby(level=0).mean().mean(axis=1).loc[conditions]
    thick = max(red, key=lambda line: line.get_linewidth())
    np.testing.assert_allclose(thick.get_ydata(), mean)
    texts = [text.get_text() for text in kept[0].legends[0].get_texts()]
    assert texts == ["one (41.0)", "humans (thin lines and dots: each)", "chance (1/16)"]
    bottom = _panels(kept[0])[""]
    heights = [c.get_segments()[0][0][1] for c in bottom.collections if hasattr(c, "get_segments")]
    assert any(np.isclose(h, 100 * humans["edge"].to_numpy().mean()) for h in heights)


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (("edge",), 1),
        (("contrast",), 1),
        (("colour", "contrast", "rotation", "eidolonI", "edge"), 20),
    ],
)
def test_some_data_sets_and_any_number_of_models(names, count, tmp_path, kept):
    models = {f"model{k}": _metrics(k, names) for k in range(count)}
    paths = accuracy_figure(models, {}, tmp_path / "figure")
    first = [path.read_bytes() for path in paths]
    accuracy_figure(models, {}, tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == first
    legend = kept[0].legends[0].get_window_extent()
    assert 0 <= legend.x0 < legend.x1 <= kept[0].bbox.width


def test_the_number_in_brackets_says_of_how_many_data_sets_it_is(tmp_path, kept):
    metrics = {
        "top1_acc/edge": Metric(50.0, 40, 60, 10),
        "top1_acc/ood_mean": Metric(None),
        "top1_acc/ood_mean/1_datasets": Metric(50.0, 40, 60, 10),
    }
    accuracy_figure({"net": metrics}, {}, tmp_path / "figure")
    legend = kept[0].legends[0]
    assert legend.get_texts()[0].get_text() == "net (50.0)"
    assert legend.get_title().get_text().startswith("in brackets: mean of 1 data set;")


@pytest.mark.parametrize(
    ("name", "condition", "label"),
    [
        ("contrast", "c05", "5"),
        ("high-pass", "inf", "∞"),
        ("high-pass", "0.55", ".55"),
        ("high-pass", "3.0", "3.0"),
        ("uniform-noise", "0.0", "0"),
        ("low-pass", "10", "10"),
        ("eidolonII", "128-3-10", "7"),
        ("false-colour", "False", "opponent"),
        ("power-equalisation", "0", "original"),
        ("rotation", "0", "0"),
        ("colour", "bw", "greyscale"),
    ],
)
def test_conditions_are_labelled_for_readers(name, condition, label):
    assert tick_label(name, condition) == label
