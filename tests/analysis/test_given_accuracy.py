import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bvg.analysis.given_accuracy import effective_robustness, logit


def test_residuals_are_from_the_reference_models_line():
    accuracy = pd.Series([50, 60, 70, 80, 65, 40.0], name="top1_acc/imagenet")
    line = 1 / (1 + np.exp(-(logit(accuracy.to_numpy()) * 0.9 - 1)))
    noise = np.random.default_rng(0).uniform(-3, 3, 6)
    targets = pd.DataFrame({"ID": accuracy, "Robustness": 100 * line + noise})
    reference = np.array([True, True, True, True, False, False])
    found = effective_robustness(targets, accuracy, reference)
    x, y = logit(accuracy.to_numpy()), logit(targets["Robustness"].to_numpy())
    fit = stats.linregress(x[:4], y[:4])
    assert [*found.residuals] == ["Robustness"]  # not ID
    np.testing.assert_allclose(found.residuals["Robustness"], y - fit.intercept - fit.slope * x)
    row = found.lines.iloc[0]
    assert (row["slope"], row["r2"]) == pytest.approx((fit.slope, fit.rvalue**2))
    assert (row["n"], row["outside"], row["note"]) == (4, 1, "")


def test_a_model_on_the_line_has_none_and_a_better_one_some():
    accuracy = pd.Series([50, 60, 70, 70.0])
    targets = pd.DataFrame({"Concepts": [50, 60, 70, 75.0]})
    found = effective_robustness(targets, accuracy, np.array([True, True, True, False]))
    np.testing.assert_allclose(found.residuals["Concepts"][:3], 0, atol=1e-12)
    assert found.residuals["Concepts"][3] == pytest.approx(np.log(0.75 / 0.25) - np.log(0.7 / 0.3))


def test_no_and_all_right_are_half_an_image_away():
    assert np.isfinite(logit(np.array([0.0, 100.0]))).all()
    assert logit(np.array([0.0, 100.0])).sum() == pytest.approx(0, abs=1e-6)
    assert logit(np.array([50.0]))[0] == 0


@pytest.mark.parametrize(
    ("accuracy", "reference", "note"),
    [
        ([50, 60, 70, 80.0], [1, 1, 0, 0], "2 reference model(s), at least 3 are needed"),
        ([50, 60, np.nan, 80.0], [1, 1, 1, 0], "2 reference model(s)"),
        ([60, 60, 60, 80.0], [1, 1, 1, 0], "all reference models have the same"),
        ([50, 60, 70, 80.0], [1, 1, 1, 1], "the line explains only"),
    ],
)
def test_no_line_or_a_poor_one_says_so(accuracy, reference, note):
    targets = pd.DataFrame({"Concepts": [40, 60, 60, 41.0]})
    found = effective_robustness(targets, pd.Series(accuracy), np.array(reference, bool))
    assert found.lines["note"].iloc[0].startswith(note)
    if not note.startswith("the line"):
        assert found.residuals["Concepts"].isna().all()


@pytest.mark.parametrize("accuracy", [0, 13.7, None])
def test_rounding_errors_of_residuals_have_no_ranks(accuracy):
    """Where no model is robust at all, or all are on the line, none is better than another."""
    imagenet = pd.Series(np.linspace(31, 79, 12), name="top1_acc/imagenet")
    targets = pd.DataFrame({"Adversarial": imagenet if accuracy is None else [accuracy] * 12})
    found = effective_robustness(targets, imagenet, np.ones(12, bool))
    assert (found.residuals["Adversarial"] == 0).all()
    note = "" if accuracy is None else "all reference models have the same accuracy"
    assert found.lines["note"].tolist() == [note]
