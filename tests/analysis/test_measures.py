import numpy as np
import pandas as pd
import pytest

from analysis.measures import (
    AGGREGATES,
    BENCHMARKS,
    BIASES,
    RELATIVE,
    groups_of,
    measures_of,
    with_spectral,
)
from study_helpers import made_up


def test_aggregates_are_means_of_their_columns():
    frame = made_up(6)
    measures = measures_of(frame)
    assert [*measures.targets] == [*AGGREGATES]
    assert [*measures.biases] == [*BIASES]
    assert [*measures.benchmarks] == [*BENCHMARKS]
    for model, row in frame.iterrows():
        expected = sum(row[f"top1_acc/imagenet-{name}"] for name in ("a", "c", "cbar")) / 3
        assert measures.targets.loc[model, "Robustness"] == pytest.approx(expected, rel=1e-14)
    assert measures.notes == ()


def test_a_missing_cell_leaves_the_model_without_the_aggregate():
    frame = made_up(6)
    frame.loc["model_2", "top1_acc/imagenet-c"] = np.nan
    targets = measures_of(frame).targets
    assert targets["Robustness"].isna().tolist() == [False, False, True, False, False, False]
    assert targets["ID"].notna().all()


def test_an_aggregate_of_fewer_columns_has_another_name():
    frame = made_up(6).drop(columns=["top1_acc/imagenet-real", "top1_acc/PGD-40/low"])
    frame["top1_acc/imagenet-v2"] = np.nan  # there, but empty
    measures = measures_of(frame)
    assert "ID" not in measures.targets
    assert measures.targets["ID (1 of 3)"].equals(frame["top1_acc/imagenet"])
    assert "without V2, ReaL" in measures.notes[0]
    assert "Adversarial is missing" in measures.notes[1]


def test_spectral_measures_are_made_from_relative_accuracies():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({name: generator.random(3) for name in RELATIVE}, index=["a", "b", "c"])
    made = with_spectral(frame)
    at = ("0.1", "0.2", "0.3", "0.4", "0.5")
    low = np.mean([frame[f"metric/bandpass/LFC/{c}"] for c in at], axis=0)
    high = np.mean([frame[f"metric/bandpass/HFC/{c}"] for c in at], axis=0)
    np.testing.assert_allclose(made["metric/bandpass/LPP"], low, rtol=1e-14)
    np.testing.assert_allclose(made["metric/bandpass/spectral-bias"], high / (low + high))
    assert with_spectral(frame.drop(columns=RELATIVE[3])).shape == (3, 21)  # nothing can be made


def test_groups_and_the_model_that_is_not_adversarially_trained():
    robust, other = "adversarial_training", "baseline"
    names = ["a", "robust_resnet50_l2_eps0", "b"]
    groups = groups_of(pd.Series([robust, robust, other], index=names))
    assert {name: rows.tolist() for name, rows in groups.items()} == {
        "Total": [True, True, True],
        "AT": [True, True, False],
        "Other": [False, False, True],
        "AT without ε = 0": [True, False, False],
        "Other with ε = 0": [False, True, True],
    }
    assert len(groups_of(pd.Series([robust, other, other], index=names))) == 3
