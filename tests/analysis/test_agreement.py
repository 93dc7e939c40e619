import numpy as np
import pandas as pd
import pytest

from bvg.analysis.agreement import agreement, differences, sampling_error
from bvg.analysis.beyond import Tables

ACCURACY, SHAPE = "top1_acc/imagenet", "shape-bias"


def tables() -> Tables:
    ours = {
        ACCURACY: [70, 75, 80, 82, 50.0],
        SHAPE: [0.2, 0.3, 0.4, 0.5, 0.6],
        "css/72": [1, 2, 3, 4, 5],
    }
    theirs = {ACCURACY: [71, 75.5, 78, 90], SHAPE: [0.2, np.nan, 0.4, np.nan]}
    values = {
        "ours": pd.DataFrame(ours, index=[*"abcde"]),
        "theirs": pd.DataFrame(theirs, index=[*"abcx"]),
    }
    images = {"ours": {ACCURACY: 50_000}, "theirs": {ACCURACY: 5000}}
    return Tables(values, images, pd.DataFrame(index=[*"abcdex"]))


def test_differences_are_of_the_models_that_both_have():
    table = agreement(tables())
    assert table[["measure", "a_source", "b_source"]].to_numpy().tolist() == [
        [ACCURACY, "ours", "theirs"]  # two models are too few, one source is no pair
    ]
    row = table.iloc[0]
    found = pd.Series({"a": -1.0, "b": -0.5, "c": 2.0})
    assert row["n"] == 3
    assert row["mean"] == pytest.approx(found.mean())
    assert row["sd"] == pytest.approx(found.std())
    assert row["rms"] == pytest.approx(np.sqrt((1 + 0.25 + 4) / 3))
    assert row["largest"] == 2
    assert row["largest_models"] == "c +2; a -1; b -0.5"
    assert (row["a_images"], row["b_images"]) == (50_000, 5000)
    assert row["remainder"] ** 2 + row["sampling"] ** 2 == pytest.approx(row["rms"] ** 2)
    pair = differences(tables(), SHAPE, "ours", "theirs")
    assert pair.to_dict("index") == {"a": {"a": 0.2, "b": 0.2}, "c": {"a": 0.4, "b": 0.4}}
    assert differences(tables(), "css/72", "ours", "theirs").empty


def test_the_sampling_error_is_that_of_drawn_images():
    generator = np.random.default_rng(0)
    share = np.array([0.2, 0.5, 0.8])
    drawn = [generator.binomial(n, share, (20_000, 3)) / n for n in (500, 200)]
    expected = np.sqrt(((drawn[0] - drawn[1]) ** 2).mean())
    assert sampling_error(pd.Series(share), SHAPE, 500, 200) == pytest.approx(expected, rel=0.02)
    percent = sampling_error(pd.Series(100 * share), ACCURACY, 500, 200)
    assert percent == pytest.approx(100 * sampling_error(pd.Series(share), SHAPE, 500, 200))


def test_what_sampling_explains_is_unknown_without_images_or_shares():
    assert np.isnan(sampling_error(pd.Series([0.5]), SHAPE, 500, np.nan))
    assert np.isnan(sampling_error(pd.Series([3.0]), "critical-band/bandwidth", 500, 500))
    unknown = tables()
    unknown.images["theirs"].clear()
    row = agreement(unknown).iloc[0]
    assert np.isnan(row[["sampling", "remainder"]].astype(float)).all()
    assert row["rms"] > 0


def test_differences_that_sampling_explains_leave_nothing():
    few = tables()
    few.images["theirs"][ACCURACY] = 100
    row = agreement(few).iloc[0]
    assert row["sampling"] > row["rms"]
    assert row["remainder"] == 0
