"""The figures of error consistency: points, references and cells are where they belong."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bvg.data.model_vs_human import DATA_SETS
from bvg.figures.drawing import HUMAN_COLOUR
from bvg.figures.model_vs_human import consistency_figure, matrix_figure
from bvg.scores.metric import Metric
from bvg.scores.model_vs_human import CONSISTENCY_MEAN, mean_of

NAMES = ("edge", "contrast", "sketch")


def _metrics(seed: int) -> dict[str, Metric]:
    values = np.random.default_rng(seed).uniform(-0.1, 0.6, 4)
    keys = [*(f"error-consistency/{n}" for n in NAMES), "error-consistency/mean/3_datasets"]
    metrics = {k: Metric(v, v - 0.1, v + 0.1, 50) for k, v in zip(keys, values, strict=True)}
    return metrics | {"error-consistency/mean": Metric(None, note="of three only")}


def _points(axes):
    """Return model -> (place, value) of its dots."""
    dots = [line for line in axes.lines if line.get_label().startswith("net")]
    return {line.get_label(): [*zip(*line.get_data(), strict=True)] for line in dots}


@pytest.mark.parametrize("count", [1, 3, 20])
def test_every_value_is_in_the_slot_of_its_data_set(count, tmp_path, kept):
    models = {f"net{k}": _metrics(k) for k in range(count)}
    paths = consistency_figure(models, _metrics(100), tmp_path / "figure")
    axes = kept[0].axes[0]
    shown = [text.get_text() for text in axes.get_xticklabels()]
    assert shown == ["edge", "contrast", "sketch", "mean of 3"]  # as published, the mean last
    keys = ["edge", "contrast", "sketch", "mean/3_datasets"]
    expected = {
        name: [(slot, m[f"error-consistency/{key}"].value) for slot, key in enumerate(keys)]
        for name, m in models.items()
    }
    points = _points(axes)
    assert {name: [(round(x), y) for x, y in of] for name, of in points.items()} == expected
    reference = [c for c in axes.collections if hasattr(c, "get_segments")]
    (red,) = [c for c in reference if to_hex(c.get_color()[0]) == HUMAN_COLOUR]
    heights = [segment[0][1] for segment in red.get_segments()]
    own = [_metrics(100)[f"error-consistency/{key}"] for key in keys]
    assert heights == [metric.value for metric in own]
    bands = [bar for bar in axes.patches if bar.get_width() == 0.9]
    ends = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in bands]
    np.testing.assert_allclose(ends, [(metric.low, metric.high) for metric in own])
    assert (len(reference) > 1) == (count <= 8)  # intervals of few models only
    first = [path.read_bytes() for path in paths]
    consistency_figure(models, _metrics(100), tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == first
    legend = kept[0].legends[0].get_window_extent()
    assert 0 <= legend.x0 < legend.x1 <= kept[0].bbox.width


def test_what_has_no_value_is_not_drawn(tmp_path, kept):
    metrics = _metrics(1) | {"error-consistency/edge": Metric(None, note="undefined")}
    consistency_figure({"net": metrics}, {}, tmp_path / "figure")
    axes = kept[0].axes[0]
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["contrast", "sketch", "mean of 2"]
    assert len(_points(axes)["net"]) == 3


def test_the_mean_is_of_however_many_data_sets_there_are():
    three = _metrics(1)["error-consistency/mean/3_datasets"]
    assert mean_of(_metrics(1), CONSISTENCY_MEAN) == (3, three)
    whole = {"error-consistency/mean": Metric(0.3, 0.2, 0.4, 10)}
    assert mean_of(whole, CONSISTENCY_MEAN) == (17, whole[CONSISTENCY_MEAN])
    assert mean_of(whole, CONSISTENCY_MEAN)[1].value == 0.3
    assert mean_of({}, CONSISTENCY_MEAN)[1].value is None
    assert len(DATA_SETS) == 17


def _matrix(names: list[str]) -> pd.DataFrame:
    values = np.random.default_rng(0).uniform(-0.1, 0.6, (len(names), len(names)))
    values = (values + values.T) / 2
    np.fill_diagonal(values, 1)
    return pd.DataFrame(values, names, names)


def test_every_cell_is_the_pairs_kappa_and_models_are_not_compared_with_themselves(tmp_path, kept):
    matrix = _matrix(["a", "b", "humans"])
    matrix.loc["humans", "humans"] = 0.4
    matrix_figure(matrix, "mean of 3 data sets", tmp_path / "figure")
    axes = kept[0].axes[0]
    labels = axes.get_yticklabels()
    assert [text.get_text() for text in labels] == ["humans  1", "a  2", "b  3"]
    assert labels[0].get_color() == HUMAN_COLOUR
    drawn = axes.images[0].get_array()
    assert drawn[0, 0] == 0.4
    assert drawn[0, 2] == matrix.loc["humans", "b"]
    assert drawn.mask[1, 1]
    assert drawn.mask[2, 2]
    texts = {(t.get_position()): t.get_text() for t in axes.texts}
    assert texts[(0, 0)] == "0.40"
    assert len([text for text in texts.values() if text != "–"]) == 7


@pytest.mark.parametrize("count", [2, 49])
def test_many_observers_fit_and_few_get_numbers(count, tmp_path, kept):
    names = [f"robust_resnet50_l2_eps{k}" for k in range(count)]
    names[1] = "vit_base_patch16_224.augreg_in21k_ft_in1k_and_more"
    paths = matrix_figure(_matrix(names), "mean", tmp_path / "figure")
    axes = kept[0].axes[0]
    assert bool(axes.texts) == (count <= 16)
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    for left, right in pairwise(boxes):
        assert left.x1 <= right.x0
    heights = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert min(box.x0 for box in heights) >= 0
    first = [path.read_bytes() for path in paths]
    matrix_figure(_matrix(names), "mean", tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == first


def test_a_matrix_without_any_value_is_drawn_empty(tmp_path, kept):
    matrix = pd.DataFrame(np.nan, ["a", "b"], ["a", "b"])
    matrix_figure(matrix, "mean", tmp_path / "figure")
    assert kept[0].axes[0].images[0].get_array().mask.all()
