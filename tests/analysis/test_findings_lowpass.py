"""The low-pass control beside what findings say about shape bias."""

import numpy as np
import pytest

from bvg.analysis.findings import findings
from bvg.analysis.findings_lowpass import QUESTION, beside
from bvg.analysis.study import Study, analyse
from bvg.page.page import page_of
from study_helpers import made_up, quick, read

COMMAND = "--benchmark shape_bias_lowpass"
BESIDE = "Low-pass control of shape bias"


@pytest.fixture(autouse=True, scope="module")
def in_a_second():
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        yield


def table(models: int = 24, **columns):
    """Return a table in which shape bias decides Concepts, with these columns as well."""
    frame = made_up(models)
    order = np.arange(models)
    frame["shape-bias"] = (order + 1) / (models + 1)
    for name in ("imagenet-sketch", "imagenet-r", "stylized"):
        frame[f"top1_acc/{name}"] = 20.0 + 2 * order
    return frame.assign(**columns)


@pytest.fixture(scope="module")
def uncontrolled(in_a_second, tmp_path_factory) -> Study:
    """Return the study of the table without the control."""
    return analyse(read(table(), tmp_path_factory.mktemp("table")))


def said(study: Study) -> dict[str, tuple[str, ...]]:
    return {f.question: f.sentences for f in findings(study)}


def test_without_the_control_every_mention_names_the_command(uncontrolled):
    answers = said(uncontrolled)
    assert [COMMAND in sentence for sentence in answers[QUESTION]] == [True]
    mentions = [
        s for q, s in answers.items() if q != QUESTION and "shape bias" in " ".join(s).lower()
    ]
    assert len(mentions) > 1 and all(COMMAND in sentences[-1] for sentences in mentions)
    others = [s for q, s in answers.items() if "shape bias" not in " ".join((q, *s)).lower()]
    assert others and not any(COMMAND in " ".join(sentences) for sentences in others)


def test_the_control_says_how_shape_bias_changes(tmp_path):
    order = np.arange(24)
    columns = {
        "shape-bias/blur=1": 0.5 + order / 100,
        "shape-bias/blur=2.5": 0.9 - order / 100,
        "shape-bias/blur=10": np.full(24, 0.99),
        "shape-bias/downsample=64": 0.6 + order / 100,
        "shape-bias/unfiltered": (order + 2) / 25,
        "fraction-neither": np.full(24, 0.3),  # of other images, perhaps
        "fraction-neither/unfiltered": np.full(24, 0.31),
        "fraction-neither/blur=2.5": np.full(24, 0.62),
    }
    answers = said(analyse(read(table(**columns), tmp_path)))
    control = [s for s in answers[QUESTION] if "median" in s]
    assert [s.partition(" (")[0].replace("\u00a0", " ") for s in control] == [
        "With downsampling to 64 px",
        "With a blur of σ = 1 px",
        "With a blur of σ = 2.5 px",
        "With a blur of σ = 10 px",
    ]
    assert (
        "0.79 instead of 0.54" in control[2]
        and "62 % of the decisions" in control[2]
        and "31 %" in control[2]
    )
    assert "−1.00" in control[2] and "1.00" in control[1]
    (benchmarks,) = [s for s in answers[QUESTION] if "2.5 px, r of" in s.replace("\u00a0", " ")]
    assert "Concepts 1.00 becomes −1.00" in benchmarks
    (constant,) = [s for s in answers[QUESTION] if "10 px, r of" in s.replace("\u00a0", " ")]
    assert "Concepts 1.00 becomes –" in constant
    assert COMMAND not in str(answers)
    for question, sentences in answers.items():
        mentioned = question != QUESTION and "shape bias" in " ".join(sentences).lower()
        assert mentioned == sentences[-1].startswith(BESIDE)
    assert (
        "from 0.54 to 0.79 (24 models"
        in answers["Which biases go with which kind of generalisation?"][-1]
    )


def test_only_models_that_have_both_are_compared(tmp_path):
    filtered = np.where(np.arange(24) < 3, 0.8, np.nan)
    study = analyse(read(table(**{"shape-bias/downsample=32": filtered}), tmp_path))
    assert "from 0.08 to 0.80 (3 models of 24" in beside(study)
    (sentence,) = findings(study)[-1].sentences
    assert "r of" not in sentence  # of so few models


def test_a_table_without_shape_bias_has_no_control(tmp_path):
    answers = said(analyse(read(table().drop(columns="shape-bias"), tmp_path)))
    assert QUESTION not in answers and COMMAND not in str(answers)


def test_the_page_has_it_in_the_section_on_shape_bias(uncontrolled, tmp_path):
    columns = {"shape-bias/blur=2.5": np.full(24, 0.9)}
    controlled = analyse(read(table(**columns), tmp_path))
    for study, words in ((uncontrolled, COMMAND), (controlled, BESIDE)):
        section = page_of(study).partition('<section id="shape">')[2].partition("</section>")[0]
        assert words in section
