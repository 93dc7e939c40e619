import numpy as np
import pandas as pd
import pytest

from bvg.analysis.measures import AGGREGATES, groups_of, measures_of, with_spectral
from bvg.table.columns import CORRUPTIONS
from bvg.table.measures import BENCHMARKS, BIASES, RELATIVE
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
    assert "lacks V2, ReaL" in measures.notes[0]
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
    lacking = with_spectral(frame.drop(columns="metric/bandpass/LFC/0.3"))
    assert set(lacking) - set(frame) == {"metric/bandpass/HPP"}  # the rest cannot be made
    np.testing.assert_array_equal(lacking["metric/bandpass/HPP"], made["metric/bandpass/HPP"])


def test_spectral_measures_that_a_table_has_stay_and_others_are_made():
    """Stated means of other cutoffs are noted; rounding to two digits is not."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({name: generator.random(3) for name in RELATIVE}, index=["a", "b", "c"])
    whole = with_spectral(frame)
    stated = whole.round({"metric/bandpass/LPP": 2})
    stated.loc["a", ["metric/bandpass/LPP", "metric/bandpass/spectral-bias"]] = np.nan
    made = with_spectral(stated)
    assert made.loc["a"].equals(whole.loc["a"])
    assert made.loc[["b", "c"]].equals(stated.loc[["b", "c"]])
    assert not any("other cutoffs" in note for note in measures_of(stated).notes)
    stated.loc["b", "metric/bandpass/LPP"] += 0.02
    assert any("LPP of 1 model is" in note for note in measures_of(stated).notes)


@pytest.mark.parametrize(
    "extra", [(), (0.05, 0.15), (0.01, 0.6, 0.7, 0.8, 0.9, 0.99), (0.25, 0.35, 0.45, 1)]
)
def test_the_tables_cutoffs_count_not_todays(extra):
    frame = pd.DataFrame({"shape-bias": [0.1, 0.2, 0.3], "top1_acc/imagenet": [60.0, 70, 75]})
    for k, cutoff in enumerate((0.1, 0.2, 0.3, 0.4, 0.5, *extra)):
        frame[f"metric/bandpass/LFC/{cutoff}"] = np.array([0.1, 0.2, 0.4]) + k / 100
        frame[f"metric/bandpass/HFC/{cutoff}"] = np.array([0.3, 0.2, 0.1]) - k / 100
    measures = measures_of(frame)
    np.testing.assert_allclose(measures.biases["metric/bandpass/LPP"], [0.12, 0.22, 0.42])
    np.testing.assert_allclose(measures.biases["metric/bandpass/HPP"], [0.28, 0.18, 0.08])
    np.testing.assert_allclose(measures.biases["metric/bandpass/spectral-bias"][0], 0.28 / 0.4)
    assert "frequency" not in " ".join(measures.notes)
    assert "critical band: bandwidth" in measures.notes[-1]  # which is not there


def test_a_bias_that_cannot_be_formed_is_named_with_what_there_is():
    frame = pd.DataFrame({"top1_acc/imagenet": [60.0, 70, 75]})
    for cutoff in (0.05, 0.15, 0.25):
        frame[f"metric/bandpass/LFC/{cutoff}"] = [0.1, 0.2, 0.3]
    notes = measures_of(frame).notes[-1]
    assert "low-frequency bias" in notes
    assert "LFC at the cutoffs 0.05, 0.15, 0.25" in notes
    assert "needs 0.1, 0.2, 0.3, 0.4, 0.5" in notes
    # A table may have the means alone.
    frame["metric/bandpass/LPP"], frame["metric/bandpass/HPP"] = [0.4, 0.5, 0.6], [0.1, 0.1, 0.3]
    biases = measures_of(frame).biases
    np.testing.assert_allclose(biases["metric/bandpass/spectral-bias"], [0.2, 1 / 6, 1 / 3])


def of_corruptions(names, severities=range(1, 6)) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    columns = [f"top1_acc/{name}_{severity}" for name in names for severity in severities]
    return pd.DataFrame(100 * generator.random((3, len(columns))), columns=columns)


@pytest.mark.parametrize(("name", "count"), [("imagenet-c", 95), ("imagenet-cbar", 50)])
def test_means_of_corruptions_are_of_the_tables_conditions(name, count):
    frame = of_corruptions(CORRUPTIONS[f"top1_acc/{name}"])
    assert len(frame.columns) == count
    expected = frame.to_numpy().mean(axis=1)
    frame["top1_acc/my_noise_1"] = 0.0  # of one's own: no part of it
    measures = measures_of(frame)
    np.testing.assert_allclose(measures.benchmarks[f"top1_acc/{name}"], expected)
    assert "Robustness (1 of 3)" in measures.targets
    assert not any("may average other corruptions" in note for note in measures.notes)
    # A mean that an extra corruption has changed is not that data set's.
    frame[f"top1_acc/{name}"] = frame.mean(axis=1)
    assert any(
        "of 3 models" in note and "other corruptions" in note for note in measures_of(frame).notes
    )


def test_a_mean_of_too_few_conditions_is_not_formed_and_named():
    frame = of_corruptions(CORRUPTIONS["top1_acc/imagenet-c"], (1, 3))
    measures = measures_of(frame)
    assert "top1_acc/imagenet-c" not in measures.benchmarks
    assert any("38 of the 95 conditions of C" in note for note in measures.notes)


def test_attacks_of_another_strength_are_named():
    frame = made_up(4).rename(columns={"top1_acc/PGD-40/low": "top1_acc/PGD-40/eps=1_255"})
    note = next(note for note in measures_of(frame).notes if note.startswith("Adversarial"))
    assert "PGD-40/eps=1_255" in note


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
