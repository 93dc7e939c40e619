"""Figures by filter: each filter's point is where its metrics are; humans, published values."""

import numpy as np
import pandas as pd
import pytest

from bvg.figures.lowpass import consistency_by_accuracy, filters_panel, shape_bias_by_filter
from bvg.scores.metric import Metric

FILTERS = ("unfiltered", "blur=1", "blur=2.5", "downsample=64")


def by_filter(start: float) -> dict[str, Metric]:
    metrics = {}
    for number, name in enumerate(FILTERS):
        share = (start + number) / 20
        metrics |= {
            f"shape-bias/{name}": Metric(share, share - 0.01, share + 0.01, 50),
            f"fraction-neither/{name}": Metric(share / 2, 0, 1, 50),
            f"top1_acc/ood_mean/{name}": Metric(100 * share),
            f"error-consistency/mean/{name}": Metric(None),
            f"error-consistency/mean/3_datasets/{name}": Metric(share / 5),
        }
    return metrics


def test_a_panel_for_each_kind_of_filter_and_quantity(kept, tmp_path):
    table = pd.DataFrame(
        {
            "object_response": ["ant", "bee", "ant", "cat"],
            "category": ["ant"] * 4,
            "imagename": [f"1_x_ant{n}-bee{n}.png" for n in range(4)],
        }
    )
    shape_bias_by_filter({"a": by_filter(1), "b": by_filter(5)}, table, tmp_path / "figure")
    assert (tmp_path / "figure.png").stat().st_size > 5_000
    ticks = [[label.get_text() for label in axes.get_xticklabels()] for axes in kept[-1].axes]
    assert ticks == [["none", "1", "2.5"]] * 2 + [["none", "64"]] * 2
    lines = [{line.get_label(): line.get_ydata() for line in axes.lines} for axes in kept[-1].axes]
    assert lines[0]["a"] == pytest.approx([0.05, 0.1, 0.15])
    assert lines[2]["b"] == pytest.approx([0.25, 0.4])
    assert lines[1]["b"] == pytest.approx([0.125, 0.15, 0.175])
    red = [line for line in kept[-1].axes[0].lines if list(line.get_ydata()) == [2 / 3]]
    assert [list(line.get_xdata()) for line in red] == [[0]]


@pytest.mark.parametrize("models", [1, 3, 20])
def test_each_filters_point_is_at_its_accuracy_and_consistency(models, kept, tmp_path):
    humans = {"top1_acc/ood_mean": Metric(72.0), "error-consistency/mean": Metric(0.43)}
    published = {
        "network": {"unfiltered": (78, 0.28), "blur=2.5": (72, 0.37), "blur=9": (3, 0.4)},
        "them": {"unfiltered": (1, 0)},
    }
    of = {f"m{k}": by_filter(k) for k in range(models)}
    consistency_by_accuracy(of, humans, published, tmp_path / "figure")
    assert (tmp_path / "figure.pdf").stat().st_size > 5_000
    axes = kept[-1].axes[0]
    points = {
        tuple(np.round(line.get_xydata()[0], 3))
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    expected = {
        (round(5.0 * (k + n), 3), round((k + n) / 100, 3)) for k in range(models) for n in range(4)
    }
    assert points == expected | {(72, 0.43), (78, 0.28), (72, 0.37), (3, 0.4), (1, 0)}
    assert [text.get_text() for text in axes.texts] == [
        "network (published)",
        "them (published)",
        "humans",
    ]
    labels = [text.get_text() for text in kept[-1].legends[0].get_texts()]
    assert labels == [*of, "unfiltered", "σ 1", "σ 2.5", "64 px", "σ 9"]
    lines = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) > 1]
    assert len(lines) == 2 * models + 1
    assert np.allclose(lines[0][:, 0], [0, 5, 10]) and np.allclose(lines[1][:, 0], [0, 15])


def test_without_a_value_nothing_is_drawn(kept, tmp_path):
    nothing = {f"shape-bias/{name}": Metric(None) for name in FILTERS}
    consistency_by_accuracy({"m": nothing}, {}, {}, tmp_path / "figure")
    assert not [line for line in kept[-1].axes[0].lines if np.isfinite(line.get_xydata()).any()]


def test_one_image_under_each_filter_whatever_its_own_condition_is(tmp_path):
    picture = np.random.default_rng(0).random((224, 224, 3))
    pictures = {f"edge/0{end}": picture for end in ("", "/blur=1", "/downsample=64")}
    filters_panel(pictures, tmp_path / "panel")
    assert (tmp_path / "panel.png").stat().st_size > 5_000
