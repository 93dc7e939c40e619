"""Measures of single cues: columns decide, and measures of shape are compared in pairs."""

import numpy as np
import pytest
from scipy import stats

from browser import chromium, click, complaints, open_page
from bvg.analysis.cues import as_measured, verdicts
from bvg.analysis.findings import findings
from bvg.analysis.measures import TOWARDS_SHAPE, measures_of
from bvg.analysis.study import analyse
from bvg.page.page import page_of
from bvg.table.measures import ADVERSARIAL, BIASES, CUES, IMAGENET, LABELS
from oracles.families import partial, spearman
from study_helpers import made_up, quick, read

MODELS = 24
LOCAL, TEXTURE = (f"metric/suppression/{cue}/relative" for cue in ("local-shape", "texture"))
QUESTION = "Do measures of shape agree?"
BEYOND = "What do measures of single cues say beyond accuracy?"


@pytest.fixture(autouse=True)
def in_a_second(monkeypatch):
    quick(monkeypatch)


def table():
    """Return a table in which texture agrees with shape bias, local shape contradicts it.

    CSS goes with no measure, and colour is no measure of shape.
    """
    frame = made_up(MODELS, names=("shape-bias", IMAGENET, "top1_acc/imagenet-r", ADVERSARIAL))
    order = np.arange(MODELS)
    generator = np.random.default_rng(1)
    frame["shape-bias"] = (order + 1) / (MODELS + 1)
    frame[TEXTURE] = 0.5 + order / 60 + generator.normal(0, 0.05, MODELS)
    frame[LOCAL] = 0.2 + order / 60 + generator.normal(0, 0.05, MODELS)  # less shape, the higher
    frame["metric/suppression/colour/relative"] = generator.random(MODELS)
    frame["css/1440"] = generator.random(MODELS)
    return frame


def said(study) -> dict[str, str]:
    return {finding.question: " ".join(finding.sentences) for finding in findings(study)}


def test_every_measure_of_shape_is_a_bias_and_no_name_is_two_things():
    assert {*TOWARDS_SHAPE} <= {*BIASES, *CUES}
    assert {*TOWARDS_SHAPE.values()} == {1, -1}
    assert not {*BIASES} & {*CUES}
    assert len({*LABELS.values()}) == len(LABELS)


def test_without_cue_measures_nothing_is_there(tmp_path):
    study = analyse(read(made_up(12), tmp_path))
    assert [*study.measures.biases] == [*BIASES]
    assert not len(study.shape_pairs) and not len(study.cues_given_accuracy)
    assert not {QUESTION, BEYOND} & {*said(study)}
    page = page_of(study)
    assert 'id="cues"' not in page and "shape_measures.csv" not in page
    assert 'id="suppression"' not in page and 'id="calibration"' not in page


def test_columns_decide_what_is_a_bias():
    frame = table().assign(**{"imagenet-w/gap": np.nan})
    assert [*measures_of(frame).biases] == [
        "shape-bias",
        LOCAL,
        TEXTURE,
        "metric/suppression/colour/relative",
        "css/1440",
    ]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        return analyse(read(table(), tmp_path_factory.mktemp("cues")))


def test_pairs_are_turned_so_that_more_is_more_shape(study):
    frame = study.table.values.assign(**{LOCAL: -study.table.values[LOCAL]})
    pairs = study.shape_pairs
    names = ["shape-bias", LOCAL, TEXTURE, "css/1440"]
    assert [*zip(pairs["bias"], pairs["target"], strict=True)] == [
        (a, b) for k, a in enumerate(names) for b in names[k + 1 :]
    ]
    for _, row in pairs.iterrows():
        a, b = row["bias"], row["target"]
        expected = stats.spearmanr(frame[a], frame[b])
        assert (row["r"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        assert row["r_given"] == pytest.approx(partial(frame, a, b, IMAGENET))
        assert row["low"] <= row["r"] <= row["high"]
    order = pairs["p_permutation"].sort_values().to_numpy()
    holm = np.minimum(1, np.maximum.accumulate(order * np.arange(len(order), 0, -1)))
    np.testing.assert_allclose(pairs["holm_permutation"].sort_values(), holm)
    plain = as_measured(pairs)
    for _, row in plain.iterrows():
        assert row["r"] == pytest.approx(spearman(study.table.values, row["bias"], row["target"]))
        assert row["low"] <= row["r"] <= row["high"]


def test_planted_agreement_and_contradiction_are_found(study):
    found = {
        (row["bias"], row["target"]): verdict
        for (_, row), verdict in zip(
            study.shape_pairs.iterrows(), verdicts(study.shape_pairs), strict=True
        )
    }
    assert found.pop(("shape-bias", TEXTURE)) == 1
    assert found.pop(("shape-bias", LOCAL)) == found.pop((LOCAL, TEXTURE)) == -1
    assert {*found.values()} == {0}
    answer = said(study)[QUESTION]
    assert answer.startswith("1 of 6 pairs agree")
    assert "2 contradict" in answer and "other 3" in answer


def test_what_measures_say_beyond_accuracy_is_corrected_as_a_family(study):
    rows = study.cues_given_accuracy
    assert {*rows["bias"]} == {"shape-bias", LOCAL, TEXTURE, "css/1440"} | {
        "metric/suppression/colour/relative"
    }
    assert {*rows["target"]} == {"Concepts (1 of 3)", "Adversarial"} and len(rows) == 10
    values = study.table.values.join(study.measures.targets)
    for _, row in rows.iterrows():
        expected = partial(values, row["bias"], row["target"], IMAGENET)
        assert row["r_given"] == pytest.approx(expected)
        assert row["holm_given"] >= row["p_given"]
    assert f"of {len(rows)} correlations" in said(study)[BEYOND]


def test_reliability_is_known_where_intervals_are(tmp_path):
    lines = [
        f"model_{k},css/1440,{value - 0.3},{value + 0.3},72,\n"
        for k, value in enumerate(table()["css/1440"])
    ]
    (tmp_path / "intervals.csv").write_text("model,column,low,high,n,note\n" + "".join(lines))
    pairs = analyse(read(table(), tmp_path)).shape_pairs.set_index(["bias", "target"])
    variance = table()["css/1440"].var()
    reliability = pairs.loc[("shape-bias", "css/1440"), "reliability_target"]
    assert reliability == pytest.approx(1 - (0.3 / 1.959964) ** 2 / variance, rel=1e-4)
    assert np.isnan(pairs.loc[("shape-bias", TEXTURE), "reliability_target"])


def test_a_measure_of_few_models_does_not_take_the_others_from_the_prediction(tmp_path):
    frame = table()
    frame.loc[frame.index[5:], "css/1440"] = np.nan
    study = analyse(read(frame, tmp_path))
    assert (study.predictions.loc[study.predictions["biases"] == "all", "n"] >= MODELS / 2).all()
    assert "css/1440" not in set(study.predictions["biases"])
    assert TEXTURE in set(study.predictions["biases"])
    assert (study.shape_pairs.set_index("target").loc["css/1440", "n"] == 5).all()


def test_the_page_has_a_cell_for_each_pair(study):
    section = page_of(study).partition('<section id="cues">')[2].partition("</section>")[0]
    assert section.count("data-bias=") == len(study.shape_pairs)
    assert section.count(" kept") == 3
    assert "shape_bias_lowpass" in section  # the control of shape bias


def test_a_pair_of_the_page_is_drawn_with_its_own_sign(study, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page_of(study), encoding="utf-8")
    with chromium() as driver:
        open_page(driver, path)
        click(driver, f'#cues button[data-bias="shape-bias"][data-target="{LOCAL}"]')
        axes = "return ['scatter-x', 'scatter-y'].map((id) => document.getElementById(id).value)"
        assert driver.execute_script(axes) == ["shape-bias", LOCAL]
        text = "return document.getElementById('scatter-said').textContent"
        assert driver.execute_script(text).startswith("Total: r = 0.9")  # in the matrix -0.9
        points = "return document.getElementById('suppression-chart').data.flatMap((t) => t.x)"
        assert len(driver.execute_script(points)) == 3 * MODELS
        assert complaints(driver) == []
