"""Flip probabilities side by side or as a table: what is drawn, where, and from how many models."""

import pytest

from bvg.data.imagenet_p import PERTURBATIONS
from bvg.figures.imagenet_p import stability_figure
from bvg.scores.metric import Metric


def _model(level: float, names=(*PERTURBATIONS, "imagenet-p")) -> dict[str, Metric]:
    values = {name: level * (1 + k / 10) for k, name in enumerate(names)}
    return {f"flip_prob/{n}": Metric(v, v - 0.01, v + 0.01, 50) for n, v in values.items()}


def test_few_models_are_markers_with_intervals(tmp_path, kept):
    models = {"a": _model(0.1), "b": _model(0.2), "c": {"flip_prob/snow": Metric(None, note="-")}}
    paths = stability_figure(models, tmp_path / "f")
    axes = kept[0].axes[0]
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks[0] == "gaussian\nnoise" and ticks[-1] == "mean\nof all ten" and len(ticks) == 11
    lines = {line.get_label(): line for line in axes.lines if line.get_label() in models}
    assert lines["a"].get_ydata() == pytest.approx([10 * (1 + k / 10) for k in range(11)])
    assert (lines["b"].get_xdata() > lines["a"].get_xdata()).all()
    assert abs(lines["b"].get_xdata() - range(11)).max() < 0.5
    low, high = axes.collections[0].get_segments()[0][:, 1]
    assert (low, high) == (pytest.approx(9), pytest.approx(11))
    first = [path.read_bytes() for path in paths]
    assert stability_figure(models, tmp_path / "f") == paths
    assert [path.read_bytes() for path in paths] == first


def test_many_models_are_rows_from_the_most_stable_on(tmp_path, kept):
    models = {f"model_{k}": _model(0.02 * ((7 * k) % 48 + 1)) for k in range(48)}
    stability_figure(models, tmp_path / "f")
    axes = kept[0].axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(rows) == sorted(models) and rows[0] == "model_0"
    means = [models[name]["flip_prob/imagenet-p"].value for name in rows]
    assert means == sorted(means)
    cells = {(round(t.get_position()[1]), round(t.get_position()[0])): t for t in axes.texts}
    assert len(cells) == 48 * 11 and cells[0, 1].get_text() == "2.2"
    boxes = [t.get_window_extent() for t in (cells[0, 0], cells[0, 1], cells[1, 0])]
    assert not boxes[0].overlaps(boxes[1]) and not boxes[0].overlaps(boxes[2])


@pytest.mark.parametrize("count", [1, 10])
def test_a_part_of_the_perturbations_and_others(tmp_path, kept, count):
    models = {f"$m_{k}$": _model(0.1, ("shear", "tilt")) for k in range(count)}
    stability_figure(models, tmp_path / "f")
    ticks = [label.get_text() for label in kept[0].axes[0].get_xticklabels()]
    assert ticks == ["tilt", "shear"]


@pytest.mark.parametrize("count", [1, 9])
def test_models_without_any_value_are_drawn_as_nothing(tmp_path, count):
    stability_figure({f"m{k}": {} for k in range(count)}, tmp_path / "f")
    assert (tmp_path / "f.png").stat().st_size > 0
