"""Calibration and error ratios: what is drawn, where, and what is left out."""

import pytest

from bvg.data.imagenet_x import FACTORS
from bvg.figures.imagenet import FEW, imagenet_figures
from bvg.scores.calibration import BINS, ECE, gap_key
from bvg.scores.imagenet_x import error_ratio_key
from bvg.scores.metric import Metric


def _model(gap: float, ratio: float = 0.0, factors=FACTORS) -> dict[str, Metric]:
    found = {gap_key(k): Metric(gap, gap - 0.1, gap + 0.1, FEW + k - 5) for k in range(BINS)}
    if ratio:
        for factor in factors:
            found[error_ratio_key(factor)] = Metric(ratio, ratio - 0.5, ratio + 0.5, 30)
    return {ECE: Metric(abs(gap), n=500), **found}


def _lines(axes) -> dict:
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_calibration_is_drawn_by_confidence_for_bins_with_enough_images(tmp_path, kept):
    paths = imagenet_figures({"a": _model(0.1), "b": _model(-0.05)}, tmp_path)
    assert [path.name for path in paths] == ["calibration.png", "calibration.pdf"]
    lines = _lines(kept[0].axes[0])
    assert {*lines} == {"a (0.100)", "b (0.050)"}
    drawn = lines["b (0.050)"]
    assert drawn.get_ydata() == pytest.approx([-0.05] * (BINS - 5))
    assert drawn.get_xdata() == pytest.approx([(k + 0.5) / BINS for k in range(5, BINS)])
    first = [path.read_bytes() for path in paths]
    imagenet_figures({"a": _model(0.1), "b": _model(-0.05)}, tmp_path)
    assert [path.read_bytes() for path in paths] == first


def test_error_ratios_of_few_models_are_dots_beside_that_of_all_images(tmp_path, kept):
    paths = imagenet_figures({"a": _model(0.1, 1.5), "b": _model(0.1)}, tmp_path)
    assert [path.stem for path in paths] == ["calibration"] * 2 + ["imagenet_x"] * 2
    axes = kept[1].axes[0]
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == [factor.replace("_", " ") for factor in FACTORS]
    assert _lines(axes)["a"].get_ydata() == pytest.approx([1.5] * 16)
    assert any(list(line.get_ydata()) == [1, 1] for line in axes.lines)


def test_many_models_are_rows_and_factors_of_no_image_are_left_out(tmp_path, kept):
    models = {f"m{k}": _model(0.1, 1 + k / 10, FACTORS[2:5]) for k in range(12)}
    imagenet_figures(models | {"without": _model(0.1)}, tmp_path)
    axes = kept[1].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [*models, "without"]
    assert [label.get_text() for label in axes.get_xticklabels()] == [*FACTORS[2:5]]
    cells = {(round(t.get_position()[1]), round(t.get_position()[0])): t for t in axes.texts}
    assert cells[11, 2].get_text() == "2.1"
