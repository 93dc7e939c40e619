"""The figure of spectral accuracy: the numbers are where they belong, for one model or fifty."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

import eval_spectral
from bvg.figures.drawing import DPI
from bvg.scores.metric import Metric
from eval_spectral import CUTOFFS, MEAN_CUTOFFS

BIAS = "metric/bandpass/spectral-bias"


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Return a function that draws what the script draws of these models, except of one image."""
    monkeypatch.setattr(eval_spectral, "example", lambda *_: {})
    monkeypatch.setattr(eval_spectral, "stimulus_panel", lambda *_: [])
    (tmp_path / "imagenet_spectral").mkdir()

    def figures(models: dict[str, dict[str, Metric]]) -> list:
        runs = [SimpleNamespace(name=name, metrics=metrics) for name, metrics in models.items()]
        eval_spectral.figures(runs, SimpleNamespace(results=tmp_path), None)
        return [tmp_path / "imagenet_spectral" / f"spectral.{kind}" for kind in ("pdf", "png")]

    return figures


def _metrics(seed: int, bias: float | None = 0.1234) -> dict[str, Metric]:
    random = np.random.default_rng(seed)
    metrics = {"top1_acc/clean": Metric(70 + seed / 10, 65, 75, 100), BIAS: Metric(bias)}
    for name in (f"{band}/{cutoff}" for band in ("lowpass", "highpass") for cutoff in CUTOFFS):
        value = random.uniform(5, 65)
        metrics[f"top1_acc/{name}"] = Metric(value, value - 3, value + 4, 100)
    return metrics


def _curves(axes):
    return [line for line in axes.lines if len(line.get_xdata()) > 2]


def _clean(axes):
    return [line for line in axes.lines if len(line.get_xdata()) == 2]


def _interval(axes, number):
    """Return cutoff -> (low, high) of the light band of a model."""
    bands = [c for c in axes.collections if isinstance(c, PolyCollection)]
    corners = np.concatenate([path.vertices for path in bands[number].get_paths()])
    heights = {cutoff: corners[corners[:, 0] == cutoff, 1] for cutoff in CUTOFFS}
    return {c: (ys.min(), ys.max()) for c, ys in heights.items() if len(ys)}


def _legend(figure):
    return figure.legends[0]


def test_every_accuracy_is_at_its_cutoff(draw, kept):
    models = {"one": _metrics(1), "two": _metrics(2)}
    draw(models)
    for axes, band in zip(kept[0].axes, ("lowpass", "highpass"), strict=True):
        assert axes.get_title().startswith(band.replace("pass", "-pass"))
        assert axes.get_xticks().tolist() == list(CUTOFFS)
        for number, metrics in enumerate(models.values()):
            line = _curves(axes)[number]
            drawn = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
            assert drawn == {c: metrics[f"top1_acc/{band}/{c}"].value for c in CUTOFFS}
            expected = [metrics[f"top1_acc/{band}/{c}"] for c in CUTOFFS]
            assert list(_interval(axes, number).values()) == [(m.low, m.high) for m in expected]
            clean = _clean(axes)[number]
            assert list(clean.get_ydata()) == [metrics["top1_acc/clean"].value] * 2
            assert to_hex(clean.get_color()) == to_hex(line.get_color())
            assert clean.get_linestyle() == "--"
            assert clean.get_linewidth() < line.get_linewidth()
    low, high = kept[0].axes
    assert low.get_ylim() == high.get_ylim()
    assert low.get_ylim()[0] == 0


def test_what_has_no_value_is_left_out(draw, kept):
    metrics = _metrics(3, bias=None)
    for name in ("clean", "lowpass/0.3", "highpass/0.99"):
        metrics[f"top1_acc/{name}"] = Metric(None, note="no image")
    draw({"gaps": metrics})
    for axes, missing in zip(kept[0].axes, (0.3, 0.99), strict=True):
        (line,) = _curves(axes)
        assert set(line.get_xdata()) == set(CUTOFFS) - {missing}
        assert np.isfinite(line.get_ydata()).all()
        assert set(_interval(axes, 0)) == set(CUTOFFS) - {missing}
        assert not _clean(axes)


def test_the_legend_names_each_model_with_its_line_and_bias(draw, kept):
    without = _metrics(5)
    del without[BIAS]
    # names that matplotlib would hide, or set as mathematics
    models = {"_net": _metrics(4), "a$b$": without, "c": _metrics(6, bias=None)}
    draw(models)
    legend = _legend(kept[0])
    assert [text.get_text() for text in legend.get_texts()] == ["_net (0.123)", "a$b$", "c"]
    assert not any(text.get_parse_math() for text in legend.get_texts())
    handles = [(h.get_color(), h.get_marker()) for h in legend.legend_handles]
    assert handles == [(c.get_color(), c.get_marker()) for c in _curves(kept[0].axes[0])]
    assert "spectral bias" in legend.get_title().get_text()


@pytest.mark.parametrize("cutoffs", [MEAN_CUTOFFS, (0.2, 0.3)])
def test_the_cutoffs_of_the_bias_are_shaded(draw, kept, cutoffs, monkeypatch):
    assert MEAN_CUTOFFS[0] == 0.1 and MEAN_CUTOFFS[-1] == 0.5
    monkeypatch.setattr(eval_spectral, "MEAN_CUTOFFS", cutoffs)
    draw({"with": _metrics(7), "without": _metrics(8, bias=None)})
    for axes in kept[0].axes:
        (shade,) = axes.patches
        ends = shade.get_x(), shade.get_x() + shade.get_width()
        assert ends == pytest.approx((cutoffs[0], cutoffs[-1]))


@pytest.mark.parametrize(
    ("count", "name"),
    [(1, "x"), (7, "resnet50"), (9, "a" * 300), (50, "resnet50_trained_on_SIN_and_IN_then_on_IN")],
)
def test_the_page_holds_everything(draw, kept, count, name):
    models = {f"{name}{number}": _metrics(number) for number in range(count)}
    draw(models)
    figure = kept[0]
    styles = {
        (line.get_color(), line.get_marker(), str(line._dash_pattern))
        for line in _curves(figure.axes[0])
    }
    assert len(styles) == count
    bands = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    assert len(bands) == (count if count <= 8 else 0)  # more would hide the lines
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    legend = _legend(figure)
    written = ["".join(text.get_text().split("\n")) for text in legend.get_texts()]
    assert [text.replace(" (", "(") for text in written] == [f"{m}(0.123)" for m in models]
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1
    bottom = min(axes.get_tightbbox().y0 for axes in figure.axes)
    assert box.y1 <= bottom + 1
    assert all(axes.get_window_extent().height > 1.9 * DPI for axes in figure.axes)


def test_the_same_files_twice(draw, tmp_path):
    models = {"one": _metrics(1), "two": _metrics(2)}
    paths = draw(models)
    first = [path.read_bytes() for path in paths]
    draw(models)
    assert [path.read_bytes() for path in paths] == first
    assert sorted((tmp_path / "imagenet_spectral").iterdir()) == paths


def test_another_cutoff_is_another_point(draw, kept, monkeypatch):
    monkeypatch.setattr(eval_spectral, "CUTOFFS", (0.05, *CUTOFFS))
    metrics = _metrics(9)
    metrics["top1_acc/lowpass/0.05"] = Metric(12.5, 10, 15, 100)
    draw({"one": metrics})
    line = _curves(kept[0].axes[0])[0]
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (0.05, 12.5)
    assert len(line.get_xdata()) == len(CUTOFFS) + 1
