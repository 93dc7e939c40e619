import json

import numpy as np
import pytest

from bvg.analysis.findings import findings
from bvg.analysis.study import Study, analyse
from bvg.analysis.wording import listed, number, p_value
from bvg.table.measures import BIASES
from bvg.table.study_table import StudyTable, read_study_table
from study_helpers import made_up, quick, read, write


@pytest.fixture(autouse=True)
def in_a_second(monkeypatch):
    quick(monkeypatch)


def said(table: StudyTable) -> dict[str, str]:
    return said_of(analyse(table))


def said_of(study: Study) -> dict[str, str]:
    found = findings(study)
    assert all(sentence.endswith(".") for finding in found for sentence in finding.sentences)
    return {finding.question: " ".join(finding.sentences) for finding in found}


def question(answers: dict[str, str], words: str) -> str:
    return next(answer for text, answer in answers.items() if words in text)


def strong(models: int = 24):
    """Return a table in which shape bias decides Concepts, and adversarial training turns it."""
    frame = made_up(models)
    order = np.arange(models)
    frame["shape-bias"] = (order + 1) / (models + 1)
    for name in ("imagenet-sketch", "imagenet-r", "stylized"):
        frame[f"top1_acc/{name}"] = 20.0 + 2 * order
    return frame


def test_a_strong_correlation_is_a_claim(tmp_path):
    answers = said(read(strong(), tmp_path))
    claims = question(answers, "Which biases go")
    assert "survive Holm's correction" in claims
    assert "Total, Concepts: shape bias (r\u00a0=\u00a01.00 [1.00, 1.00])" in claims
    assert "Other, Concepts: shape bias (r\u00a0=\u00a01.00" in claims
    assert "84 correlations were tested (Total, AT and Other)" in claims


def test_a_sign_that_hangs_on_adversarial_training_is_named(tmp_path):
    frame = strong(40)
    robust = np.arange(40) < 20
    order = np.arange(40)
    frame["shape-bias"] = np.where(robust, 0.9 + order / 1000, 0.3 - order / 1000)
    for name in ("imagenet-sketch", "imagenet-r", "stylized"):
        frame[f"top1_acc/{name}"] = np.where(robust, 80.0, 20.0) + order / 10
    of = {"adversarial_training": 20, "augmentation": 10, "baseline": 10}
    names = iter(frame.index)
    groups = {name: [next(names) for _ in range(count)] for name, count in of.items()}
    (tmp_path / "groups.json").write_text(json.dumps(groups))
    table = read_study_table(write(frame, tmp_path), tmp_path / "groups.json")
    answers = said(table)
    turned = question(answers, "without adversarially trained")
    assert "Shape bias with Concepts: r = " in turned
    assert "−1.00 without them" in turned
    assert "without adversarial training" in question(answers, "depend on one kind")


def test_few_models_say_that_little_can_be_said(tmp_path):
    answers = said(read(made_up(6), tmp_path))
    assert "almost nothing can be said" in question(answers, "How much")
    assert "p = 0.0028" in question(answers, "How much")  # 2 of 6! permutations
    assert "None survives Holm's correction" in question(answers, "Which biases")
    assert "at least ten models" in question(answers, "all biases together")


@pytest.mark.parametrize("models", [3, 4, 5])
def test_fewer_than_six_models_claim_nothing(models, tmp_path):
    frame = made_up(models)
    order = np.arange(models)
    for name in frame:  # perfect correlations everywhere, of both signs
        high = 0.9 if name in BIASES else 90
        sign = 1 if name.endswith(("imagenet", "bias", "sketch")) else -1
        frame[name] = high * (0.5 + sign * (order - models / 2) / (2 * models))
    answers = said(read(frame, tmp_path))
    assert [*answers] == [
        "How much can this table say?",
        "Which biases go with which kind of generalisation?",
        "Do all biases together predict generalisation?",
        "What does the low-pass control say about shape bias?",
    ]
    assert "None survives Holm's correction" in question(answers, "Which biases")
    assert "0 survive Holm's" in question(answers, "Which biases")


def test_n_is_counted_pair_by_pair_and_told_where_models_lack_a_value(tmp_path):
    frame = strong()
    frame.loc[["model_3", "model_7"], "top1_acc/stylized"] = np.nan
    study = analyse(read(frame, tmp_path))
    claims = question(said_of(study), "Which biases go")
    assert (
        "Total, Concepts: shape bias (r\u00a0=\u00a01.00 [1.00, 1.00], n\u00a0=\u00a022)" in claims
    )
    n = study.correlations.set_index(["group", "bias", "target"])["n"]
    assert n["Total", "shape-bias", "Concepts"] == 22
    assert n["Total", "shape-bias", "ID"] == 24


@pytest.mark.parametrize("models", [1, 2])
def test_one_or_two_models_say_nothing(models, tmp_path):
    answers = said(read(made_up(models), tmp_path))
    assert "No correlation can be computed: this needs three models" in question(
        answers, "How much"
    )
    assert not any("Which biases" in text for text in answers)


def test_a_constant_column_is_no_test(tmp_path):
    frame = made_up(12)
    frame["shape-bias"] = 0.5
    study = analyse(read(frame, tmp_path))
    assert "72 correlations were tested" in str(said_of(study))
    rows = study.correlations[study.correlations["bias"] == "shape-bias"]
    assert rows["r"].isna().all()
    assert rows["holm"].isna().all()


def test_only_biases_or_only_benchmarks(tmp_path):
    only = said(read(made_up(12, names=("shape-bias",)), tmp_path / "a"))
    assert "needs a bias and a benchmark" in question(only, "How much")
    only = said(read(made_up(12, names=("top1_acc/imagenet",)), tmp_path / "b"))
    assert "needs a bias and a benchmark" in question(only, "How much")


def test_wording():
    assert number(-0.304) == "−0.30"
    assert number(-0.001) == "0.00"
    assert number(float("nan")) == "–"
    assert p_value(1e-9) == "< 0.0001"
    assert p_value(0.00123) == "= 0.0012"
    assert p_value(0.2) == "= 0.20"
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed("abc") == "a, b and c"
