import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bvg.analysis.correlations import Group, corrected, correlate, correlation_table
from bvg.analysis.wording import given

CONTROL = "top1_acc/imagenet"


def group_of(columns: dict, categories: str | None = None, control: str = "") -> Group:
    frame = pd.DataFrame(columns, dtype=float)
    return Group(frame, np.array(list(categories or "a" * len(frame))), control)


def related(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    z = generator.standard_normal(n)
    return {"x": z + generator.standard_normal(n), "y": z + generator.standard_normal(n), "z": z}


def test_r_and_p_are_scipys():
    columns = related(30)
    row = correlate(group_of(columns), "x", "y")
    expected = stats.spearmanr(columns["x"], columns["y"])
    assert (row["r"], row["p"]) == pytest.approx(tuple(expected), abs=1e-12)
    assert row["n"] == 30
    assert row["low"] < row["r"] < row["high"]
    assert row["p_permutation"] == pytest.approx(row["p"], abs=0.01)


def test_models_without_one_of_the_values_are_left_out():
    columns = related(20)
    columns["x"][3], columns["y"][7] = np.nan, np.nan
    kept = [k for k in range(20) if k not in (3, 7)]
    row = correlate(group_of(columns), "x", "y")
    assert row["n"] == 18
    expected = stats.spearmanr(columns["x"][kept], columns["y"][kept]).statistic
    assert row["r"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "note"),
    [
        ([1], [2], "only 1 model(s) have both values; at least 3 are needed"),
        ([1, 2], [1, 2], "only 2 model(s)"),
        ([1, 2, np.nan], [1, np.nan, 2], "only 1 model(s)"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "all 4 models have the same value"),
    ],
)
def test_what_has_no_correlation_says_why(x, y, note):
    row = correlate(group_of({"x": x, "y": y}), "x", "y")
    assert np.isnan(row["r"])
    assert np.isnan(row["p"])
    assert row["note"].startswith(note)


def test_three_models_have_r_but_no_t_approximation():
    row = correlate(group_of({"x": [1, 2, 3], "y": [1, 2, 3]}), "x", "y")
    assert row["r"] == 1
    assert np.isnan(row["p"])  # scipy's would be 0
    assert row["p_permutation"] == pytest.approx(1 / 3)
    assert np.isnan(row["low"])  # of ten resamples, one has equal values only


def test_ties_do_not_stop_anything():
    row = correlate(group_of({"x": [1, 1, 2, 2, 3, 3], "y": [1, 1, 1, 2, 2, 2]}), "x", "y")
    assert row["r"] == pytest.approx(stats.spearmanr([1, 1, 2, 2, 3, 3], [1, 1, 1, 2, 2, 2])[0])


def test_intervals_cover_r_about_as_often_as_they_say():
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's r of normal columns with correlation 1/2
    rows = [correlate(group_of(related(40, seed)), "x", "y") for seed in range(60)]
    covered = sum(row["low"] <= truth <= row["high"] for row in rows)
    assert 51 <= covered <= 60
    permuted = np.array([row["p_permutation"] < 0.05 for row in rows])
    assert permuted.mean() > 0.8  # power


def test_resampling_within_categories_keeps_their_means():
    # All of r is between the two categories: within them, resampling cannot lose it.
    categories = "a" * 10 + "b" * 10
    noise = np.random.default_rng(0).standard_normal((2, 20))
    level = np.repeat([0, 20], 10)
    row = correlate(group_of({"x": level + noise[0], "y": level + noise[1]}, categories), "x", "y")
    assert row["high_stratified"] - row["low_stratified"] < row["high"] - row["low"]


def test_without_each_category():
    # Within a and b, y falls with x; the two together rise.
    x = np.array([1, 2, 3, 11, 12, 13.0])
    y = np.array([3, 2, 1, 13, 12, 11.0])
    row = correlate(group_of({"x": x, "y": y}, "aaabbb"), "x", "y")
    assert row["r"] > 0
    assert (row["r_least"], row["r_most"]) == pytest.approx((-1, -1))
    assert row["sign_turns_without"] == "a, b"


def test_given_the_control():
    columns = related(40) | {CONTROL: related(40)["z"]}
    row = correlate(group_of(columns, control=CONTROL), "x", "y")
    plain = [
        stats.spearmanr(columns[a], columns[b]).statistic
        for a, b in (("x", "y"), ("x", "z"), ("y", "z"))
    ]
    r = (plain[0] - plain[1] * plain[2]) / np.sqrt((1 - plain[1] ** 2) * (1 - plain[2] ** 2))
    assert row["r_given"] == pytest.approx(r, abs=1e-12)
    t = r * np.sqrt(37 / (1 - r**2))
    assert row["p_given"] == pytest.approx(2 * stats.t.sf(abs(t), 37), abs=1e-12)
    assert row["low_given"] < r < row["high_given"]
    assert "r_given" not in correlate(group_of(columns, control=CONTROL), "x", CONTROL)


def test_models_without_the_control_are_counted_out():
    columns = related(40) | {CONTROL: related(40)["z"]}
    columns[CONTROL][:4] = np.nan
    row = correlate(group_of(columns, control=CONTROL), "x", "y")
    assert (row["n"], row["n_given"]) == (40, 36)
    assert given(pd.Series(row)).endswith("n\u00a0=\u00a036")
    fewer = {name: values[4:] for name, values in columns.items()}
    alone = correlate(group_of(fewer, control=CONTROL), "x", "y")
    assert row["r_given"] == alone["r_given"]
    assert "n" not in given(pd.Series(alone))


def test_corrections_are_of_the_tests_that_there_are():
    p = pd.Series([0.001, np.nan, 0.02, 0.04, 0.3], index=list("abcde"))
    result = corrected(p)
    known = p.dropna().to_numpy()
    for name, method in {"holm": "holm", "bh": "fdr_bh", "by": "fdr_by"}.items():
        np.testing.assert_allclose(result[name].dropna(), multipletests(known, method=method)[1])
        assert np.isnan(result.loc["b", name])
    np.testing.assert_allclose(result["holm"].dropna(), [0.004, 0.06, 0.08, 0.3])  # by hand
    np.testing.assert_allclose(stats.false_discovery_control(known), result["bh"].dropna())
    assert corrected(pd.Series([np.nan])).isna().all(axis=None)


def test_a_table_has_a_row_for_every_group_and_pair():
    columns = pd.DataFrame(related(12))
    groups = {"Total": np.ones(12, bool), "none": np.zeros(12, bool)}
    table = correlation_table(columns, np.array(["a"] * 12), groups, ["x", "y"], ["z"])
    assert table[["group", "bias"]].to_numpy().tolist() == [
        ["Total", "x"],
        ["Total", "y"],
        ["none", "x"],
        ["none", "y"],
    ]
    assert table["r"].notna().tolist() == [True, True, False, False]
    again = correlation_table(columns, np.array(["a"] * 12), groups, ["x", "y"], ["z"])
    pd.testing.assert_frame_equal(table, again)
    assert correlation_table(columns, np.array(["a"] * 12), groups, [], ["z"]).empty
