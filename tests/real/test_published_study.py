"""The published table: our numbers are an independent computation's; what holds, in numbers."""

import json

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from bvg.analysis import prediction
from bvg.analysis.findings import findings
from bvg.analysis.published_faults import published_faults
from bvg.analysis.study import analyse
from bvg.analysis.wording import survives
from bvg.page.page import page_of
from bvg.table.study_table import read_study_table
from oracles import study as oracle


@pytest.fixture(scope="module")
def published(fixtures):
    folder = fixtures / "published"
    return folder / "benchmark.csv", folder / "r50_categories.json"


@pytest.fixture(scope="module")
def study(published):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction, "SHUFFLES", 100)
        return analyse(read_study_table(*published))


@pytest.fixture(scope="module")
def raw(published):
    groups = json.loads(published[1].read_text())
    table = pd.read_csv(published[0]).set_index("model")
    robust = {model: name == "adversarial_training" for name in groups for model in groups[name]}
    return table.loc[[*robust]], pd.Series(robust)


def test_48_models_of_7_categories(study):
    counts = study.table.categories.value_counts()
    assert len(study.table.values) == 48
    assert counts["adversarial_training"] == 15
    assert len(counts) == 7
    assert [int(study.groups[name].sum()) for name in ("Total", "AT", "Other")] == [48, 15, 33]


def test_aggregates_and_biases_are_the_oracles(study, raw):
    pd.testing.assert_frame_equal(
        study.measures.targets, oracle.aggregates(raw[0]), rtol=1e-12, atol=0, check_names=False
    )
    pd.testing.assert_frame_equal(
        study.measures.biases, oracle.biases(raw[0]), rtol=1e-12, atol=0, check_names=False
    )


def test_r_and_p_are_the_oracles(study, raw):
    rows = study.correlations.set_index(["group", "bias", "target"])
    expected = oracle.correlations(*raw)
    assert len(expected) == 84
    for key, (r, p) in expected.items():
        assert rows.loc[key, "r"] == pytest.approx(r, abs=1e-12)
        assert rows.loc[key, "p"] == pytest.approx(p, abs=1e-12)


def test_corrections_are_over_the_84_tests(study, raw):
    rows = study.correlations.set_index(["group", "bias", "target"])
    expected = oracle.correlations(*raw)
    adjusted = multipletests([p for _, p in expected.values()], method="holm")[1]
    np.testing.assert_allclose([rows.loc[key, "holm"] for key in expected], adjusted, atol=1e-12)
    strict = study.correlations["group"] == "AT without ε = 0"
    assert study.correlations.loc[strict, "holm"].isna().all()


def test_what_survives(study):
    rows = study.correlations[study.correlations["group"].isin(["Total", "AT", "Other"])]
    assert int((rows["p"] < 0.05).sum()) == 50
    assert int((rows["holm"] < 0.05).sum()) == 26
    assert int((rows["bh"] < 0.05).sum()) == 45
    assert int((rows["by"] < 0.05).sum()) == 34
    assert int(survives(rows).sum()) == 25  # by t and by permutation
    strong = rows[survives(rows)].groupby("group").size()
    assert strong.to_dict() == {"AT": 9, "Other": 5, "Total": 11}


def test_signs_that_turn(study):
    r = study.correlations.set_index(["group", "bias", "target"])["r"]
    total, other = r["Total"], r["Other"]
    assert int((total * other < 0).sum()) == 9
    given = study.correlations.set_index(["group", "bias", "target"]).loc["Total"]
    turned = given[(given["r"] * given["r_given"] < 0)].drop(index="ID", level=1)
    assert sorted(turned.index) == [
        ("metric/bandpass/LPP", "Robustness"),
        ("metric/criticalband/pns_norm", "Robustness"),
        ("shape-bias", "Robustness"),
    ]
    assert given.loc[("shape-bias", "Robustness"), "r_given"] == pytest.approx(0.446, abs=0.001)


def test_the_faults_are_stated_wherever_the_table_is_used(study):
    assert len(study.faults) == 5
    assert "is missing for 26 of these 48 models" in study.faults[3]
    assert "20 (bw), 20 (cf), 11 (pns)" in study.faults[4]
    page = page_of(study)
    assert "326 images only" in page
    assert "CC BY-SA 4.0" in page


def test_findings_say_so(study):
    said = " ".join(sentence for finding in findings(study) for sentence in finding.sentences)
    assert "25 survive Holm" in said
    assert "9 of 28 correlations change their sign" in said
    assert "trained with ε = 0 as adversarially trained" in said


def test_measurement_error_of_the_last_batch_shows(study):
    real = study.errors["top1_acc/imagenet-real"]
    assert real.between(1.5, 2.6).all()  # points; of all labelled images it would be 0.15
    assert study.errors["top1_acc/imagenet"].max() < 0.23


ROWS = {
    "all": slice(None),
    "three": [3, 40, 61],
    "one": [36],
    "backwards": slice(None, None, -1),
}
COLUMNS = {
    "all": ("top1_acc/imagenet-real", "top1_acc/PGD-40/low", "shape-bias", "top1_acc/imagenet"),
    "real and shape": ("top1_acc/imagenet-real", "shape-bias"),
    "pgd and band": ("metric/criticalband/bw_norm", "shape-bias", "top1_acc/PGD-40/low"),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("digits", [15, 4])
def test_any_part_of_the_table_has_its_faults(rows, columns, digits, published):
    table = pd.read_csv(published[0])[[*COLUMNS[columns]]].iloc[ROWS[rows]].round(digits)
    found = " ".join(published_faults(table.set_axis([f"m{k}" for k in range(len(table))])))
    assert ("326 images only" in found) == ("real" in columns or columns == "all")
    assert ("50,048" in found) == ("pgd" in columns or columns == "all")


def test_faults_are_not_of_what_was_measured_again(published):
    table = pd.read_csv(published[0]).set_index("model")
    counts = (table["top1_acc/imagenet"] * 468.37 + 7 * 468.37).clip(upper=46_837).round()
    table["top1_acc/imagenet-real"] = counts / 468.37
    counts = (table["top1_acc/PGD-40/low"] * 500.48).round() - 48  # the padding was robust
    table["top1_acc/PGD-40/low"] = counts / 500
    found = " ".join(published_faults(table.drop(columns=["top1_acc/PGD-40/high"])))
    assert "326 images only" not in found or "for 1 of these 70" in found  # by chance
    assert "50,048" not in found
