import numpy as np
import pandas as pd
import pytest

from bvg.figures.published import differences, instrument_matrix
from bvg.published.statistics import read_statistics


def test_differences_are_drawn_in_points_for_pairs_of_enough_models(kept):
    rows = {
        "measure": ["top1_acc/imagenet", "shape-bias", "css/72", "top1_acc/imagenet-a"],
        "a_source": "one",
        "b_source": "two",
        "n": [20, 7, 30, 4],
        "mean": [-0.5, 0.02, 0.1, 3.0],
        "sd": [1.0, 0.01, 0.1, 1.0],
        "sampling": [0.2, np.nan, np.nan, 0.5],
        "largest": [-4.0, 0.04, 0.3, 9.0],
        "largest_models": ["vgg16.tv -4; b +1", "c +0.04", "d +0.3", "e +9"],
    }
    figure = differences(pd.DataFrame(rows))
    kept.append(figure)
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["ImageNet: one − two (20)", "shape bias: one − two (7)"]
    means, largest = axes.lines[0], axes.lines[-1]
    np.testing.assert_allclose(np.asarray(means.get_xdata(), float), [-0.5, 2])
    np.testing.assert_allclose(np.asarray(largest.get_xdata(), float), [-4, 4])
    assert {text.get_text() for text in axes.texts} == {"vgg16.tv", "c"}
    low, high = axes.get_xlim()
    assert low < -4
    assert high > 4


def test_instruments_are_a_matrix_of_r_with_intervals(kept):
    rows = {
        "a": ["shape-bias", "shape-bias", "shape-bias", "shape-bias"],
        "a_source": ["quba", "study", "study", "quba"],
        "b": ["css/72", "css/72", "css/72", "object-focus"],
        "b_source": ["css", "css", "css", "quba"],
        "subset": ["all", "all", "CNNs", "all"],
        "n": [37, 11, 10, 326],
        "families": [8, 4, 2, 30],
        "r": [0.8, -0.2, 0.1, 0.5],
        "low": [0.16, np.nan, 0, 0.34],
        "high": [0.97, np.nan, 1, 0.65],
    }
    figure = instrument_matrix(pd.DataFrame(rows))
    kept.append(figure)
    axes = figure.axes[0]
    cells = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert sorted(cells[np.isfinite(cells)]) == [-0.2, 0.5, 0.8]
    assert np.isnan(cells[np.triu_indices(len(cells))]).all()  # each pair once
    texts = {text.get_text() for text in axes.texts}
    assert texts == {"0.80\n0.16, 0.97\n37/8", "-0.20\n11/4", "0.50\n0.34, 0.65\n326/30"}
    for text in axes.texts:
        x, y = (int(end) for end in text.get_position())
        assert cells[y, x] == pytest.approx(float(text.get_text().split("\n")[0]))


def test_the_published_tables_are_drawn(kept):
    for draw, name in ((differences, "agreement"), (instrument_matrix, "instruments")):
        kept.append(draw(read_statistics(name)))
        kept[-1].canvas.draw()
        assert kept[-1].axes[0].texts
