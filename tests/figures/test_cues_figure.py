"""The figures of a table's cue measures: which there are, and what they show."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from bvg.analysis.study import analyse
from bvg.figures.cues import cue_figures
from study_helpers import made_up, quick, read

SHAPE = ("shape-bias", "metric/suppression/local-shape/relative", "css/1440")
OWN = {
    "metric/suppression/colour/relative": 1.0,
    "refined-bias/texture-mrr": 0.5,
    "refined-bias/shape-mrr": 0.4,
    "calibration/ece": 0.05,
    "class-balance": 0.8,
}


@pytest.fixture(autouse=True)
def in_a_second(monkeypatch):
    quick(monkeypatch)
    yield
    plt.close("all")


def figures(tmp_path, **columns):
    frame = made_up(16, names=("shape-bias", "top1_acc/imagenet")).assign(**columns)
    return [*cue_figures(analyse(read(frame, tmp_path)))]


def test_a_table_without_them_has_no_figure(tmp_path):
    assert figures(tmp_path) == []


def test_each_figure_has_its_columns(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.02, 16)
    columns = {name: value + noise for name, value in OWN.items()}
    columns |= {name: np.linspace(0.1, 0.9, 16) for name in SHAPE}
    agreement, suppressed, refined, calibrated = figures(tmp_path, **columns)
    matrix, *clouds = agreement.axes
    assert len(clouds) == 4
    assert len(matrix.patches) >= 3  # of six pairs, those three survive
    numbers = [text.get_text().split("\n")[0] for text in matrix.texts]
    assert len(numbers) == 6 and "1.00" in numbers and "−1.00" in numbers
    points = [len(c.get_offsets()) for c in suppressed.axes[0].collections]
    assert sum(points) == 2 * 16
    for figure in (refined, calibrated):
        assert sum(len(c.get_offsets()) for c in figure.axes[0].collections) == 16
    assert refined.axes[0].get_xlabel().startswith("texture")


def test_two_measures_are_one_pair(tmp_path):
    (figure,) = figures(tmp_path, **{"css/72": np.linspace(0, 1, 16)})
    _, *clouds = figure.axes
    assert [axes.get_visible() for axes in clouds] == [True, False, False, False]
