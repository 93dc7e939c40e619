import numpy as np
import pandas as pd
import pytest

from bvg.analysis.correlations import Group
from bvg.analysis.measurement_error import attenuation, reliability, standard_errors
from bvg.analysis.measures import measures_of
from bvg.scores.metric import Z95
from study_helpers import made_up, publish, read


def test_intervals_of_the_cells_come_first_then_the_data_sets_sizes(tmp_path):
    frame = made_up(4)
    (tmp_path / "intervals.csv").write_text(
        "model,column,low,high,n,note\nmodel_1,top1_acc/imagenet,70,74,300,\n"
    )
    table = read(frame, tmp_path)
    errors = standard_errors(table.values, measures_of(table.values), table.intervals)
    assert errors.loc["model_1", "top1_acc/imagenet"] == pytest.approx(4 / (2 * Z95))
    share = frame.loc["model_2", "top1_acc/imagenet"] / 100
    expected = 100 * np.sqrt(share * (1 - share) / 50_000)
    assert errors.loc["model_2", "top1_acc/imagenet"] == pytest.approx(expected)
    parts = [f"top1_acc/imagenet{suffix}" for suffix in ("", "-v2", "-real")]
    np.testing.assert_allclose(errors["ID"], errors[parts].mean(axis=1))
    assert errors["metric/criticalband/bw_norm"].isna().all()
    assert errors["shape-bias"].isna().all()  # nothing says how many images were decided


def test_shape_bias_without_an_interval_uses_the_decided_images():
    frame = pd.DataFrame({"shape-bias": [0.25], "top1_acc/cue-conflict": [20.0]}, index=["a"])
    none = pd.DataFrame({"low": [], "high": [], "n": []})
    errors = standard_errors(frame, measures_of(frame), none)
    decided = 1200 * 0.2 / 0.25
    assert errors.loc["a", "shape-bias"] == pytest.approx(np.sqrt(0.25 * 0.75 / decided))


def test_the_last_batch_is_recognised_in_published_rows_only(monkeypatch):
    frame = pd.DataFrame(
        {
            "top1_acc/imagenet-real": [100 * 282 / 326, 100 * 289 / 326],
            "shape-bias": [0.2134, 0.31],
        }
    )
    publish(monkeypatch, frame[:1])
    none = pd.DataFrame({"low": [], "high": [], "n": []})
    error = standard_errors(frame, measures_of(frame), none)["top1_acc/imagenet-real"]
    assert error[0] == pytest.approx(1.89, abs=0.01)
    assert error[1] == pytest.approx(100 * np.sqrt(289 / 326 * 37 / 326 / 46_837))


def test_reliability_is_the_share_of_variance_that_is_real():
    generator = np.random.default_rng(0)
    truth = generator.standard_normal(4000)
    measured = truth + 0.5 * generator.standard_normal(4000)
    assert reliability(measured, np.full(4000, 0.5)) == pytest.approx(1 / 1.25, abs=0.02)
    assert reliability(measured, np.full(4000, 9.0)) == 0
    assert np.isnan(reliability(measured, np.full(4000, np.nan)))
    assert np.isnan(reliability(np.ones(5), np.ones(5)))


def test_correction_recovers_r():
    generator = np.random.default_rng(0)
    n = 2000
    x = generator.standard_normal(n)
    y = 0.8 * x + 0.6 * generator.standard_normal(n)
    noisy = pd.DataFrame({"x": x, "y": y}) + 0.5 * generator.standard_normal((n, 2))
    errors = pd.DataFrame(0.5, noisy.index, ["x", "y"])
    row = attenuation(Group(noisy[:500], np.array(["a"] * 500)), "x", "y", errors)
    truth = 6 / np.pi * np.arcsin(0.4)
    assert row["r"] < 0.72
    assert row["r_corrected"] == pytest.approx(truth, abs=0.05)
    assert row["low_noise"] < row["high_noise"] < row["r"]  # more noise, less correlation


def test_unknown_errors_say_so():
    frame = pd.DataFrame({"x": [1.0, 2, 3], "y": [2.0, 1, 3]})
    errors = pd.DataFrame({"x": [0.1] * 3, "y": [np.nan] * 3})
    row = attenuation(Group(frame, np.array(["a"] * 3)), "x", "y", errors)
    assert "unknown" in row["note"]
    assert "r_corrected" not in row
