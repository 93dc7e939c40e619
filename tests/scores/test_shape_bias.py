"""Shape bias by hand-made decisions, and against a plain loop on random ones."""

import numpy as np
import pandas as pd
import pytest

from bvg.errors import UserError
from bvg.predictions.table import Predictions
from bvg.scores.decision_table import (
    COLUMNS,
    decision_table,
    read_decisions,
    write_decisions,
)
from bvg.scores.metric import wilson
from bvg.scores.shape_bias import (
    CueDecisions,
    count_decisions,
    count_table,
    shape_bias_metrics,
    texture_of,
)
from model_vs_human_helpers import read_folder

NAMES = ("ant", "bee", "cat")


def _predictions(shape, texture, answer, answer_max=None) -> Predictions:
    images = [
        f"{NAMES[s]}/{NAMES[s]}{n + 1}-{NAMES[t]}1.png"
        for n, (s, t) in enumerate(zip(shape, texture, strict=True))
    ]
    answers = np.stack([answer, (np.array(answer) + 1) % 3], axis=1).astype(np.int16)
    columns = {"texture": texture, "answer_max": answer if answer_max is None else answer_max}
    return Predictions(
        NAMES,
        np.array(images, dtype=object),
        np.array(["clean"] * len(images), dtype=object),
        np.array(shape, np.int16),
        answers,
        np.ones(len(images), np.float32),
        {name: np.array(values, np.int16) for name, values in columns.items()},
    )


def test_images_whose_cues_agree_do_not_count():
    counts = count_decisions(
        ["ant", "bee", "cat", "ant"], ["ant"] * 4, ["bee", "bee", "bee", "ant"]
    )
    assert counts == CueDecisions(shape=1, texture=1, neither=1)
    assert counts.bias().value == 0.5


def test_no_decision_for_either_cue_is_undefined_not_zero():
    metric = CueDecisions(0, 0, 7).bias()
    assert metric.value is None
    assert "no decision followed" in metric.note


def test_the_bootstrap_equals_resampling_the_images():
    counts = CueDecisions(30, 50, 20)
    images = np.repeat([0, 1, 2], [30, 50, 20])
    draws = np.random.default_rng(1).choice(images, (4000, 100))
    shape, texture = (draws == 0).sum(1), (draws == 1).sum(1)
    low, high = np.percentile(shape / (shape + texture), (2.5, 97.5))
    metric = counts.bias()
    assert metric.low == pytest.approx(low, abs=0.01)
    assert metric.high == pytest.approx(high, abs=0.01)
    assert counts.bias() == metric  # the same every time


def test_metrics_equal_a_plain_loop():
    rng = np.random.default_rng(0)
    shape, texture, answer, second = rng.integers(0, 3, (4, 300))
    metrics = shape_bias_metrics(_predictions(shape, texture, answer, second))
    for suffix, keep in [("", {0, 1, 2}), ("/category/bee", {1})]:
        s = t = neither = 0
        for a, b, c in zip(shape, texture, answer, strict=True):
            if a != b and a in keep:
                s, t, neither = s + (c == a), t + (c == b), neither + (c not in (a, b))
        total = s + t + neither
        assert metrics[f"fraction-correct-shape{suffix}"].value == s / total
        assert metrics[f"fraction-correct-texture{suffix}"].value == t / total
        assert metrics[f"fraction-neither{suffix}"].value == neither / total
        key = "shape-bias" if not suffix else f"shape-bias{suffix}"
        assert metrics[key].value == s / (s + t)
    same = shape == texture
    assert metrics["top1_acc/cue-conflict"].value == pytest.approx(100 * (answer == shape).mean())
    congruent = metrics["top1_acc/cue-conflict/congruent"]
    assert congruent.value == pytest.approx(100 * (answer == shape)[same].mean())
    by_max = shape_bias_metrics(_predictions(shape, texture, second))
    both = [key for key in metrics if key.endswith("/max")]
    assert len(both) == 6
    assert [metrics[key] for key in both] == [by_max[key.removesuffix("/max")] for key in both]
    assert congruent.n == same.sum()
    differ = ~same
    by_max = ((second == shape) & differ).sum(), ((second == texture) & differ).sum()
    assert metrics["shape-bias/max"].value == by_max[0] / sum(by_max)


@pytest.mark.parametrize(
    ("name", "texture"),
    [
        ("0001_s5n_dnn_0_airplane_00_airplane1-bicycle2.png", "bicycle"),
        ("cat/cat10-keyboard12.png", "keyboard"),
    ],
)
def test_the_texture_is_the_last_word(name, texture):
    assert texture_of(name) == texture


def test_a_models_table_scores_like_its_predictions(tmp_path):
    rng = np.random.default_rng(2)
    predictions = _predictions(*rng.integers(0, 3, (3, 60)))
    table = decision_table(predictions, "net_1", "cue")
    (path,) = write_decisions([("cue-conflict", table)], tmp_path)
    assert path.name == "cue-conflict_net-1_session-1.csv"
    back = read_decisions(path)
    direct = count_decisions(
        predictions.answers[:, 0], predictions.labels, predictions.columns["texture"]
    )
    assert count_table(back) == direct
    assert list(back.columns) == COLUMNS
    assert back["imagename"][0].startswith("0001_cue_dnn_0_")
    assert back["trial"].tolist() == list(range(1, 61))


def test_missed_responses_and_odd_headers(tmp_path):
    rows = "s,1,1,0.5,na,true,c1,0001_x_s_c1_ant_00_ant1-bee1.png\n"
    header = "subj,Session,trial,rt,object_response,category,condition,imagename\n"
    (tmp_path / "a.csv").write_text(header + rows)
    table = read_folder(tmp_path)
    assert table.loc[0, ["session", "object_response", "category"]].tolist() == [1, "na", "true"]
    (tmp_path / "b.csv").write_text("subj,trial\n1,2\n")
    with pytest.raises(UserError, match=r"b.csv is not a decision table: it has no column session"):
        read_folder(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no decision tables"):
        read_folder(tmp_path / "none")
    assert isinstance(table, pd.DataFrame)


@pytest.mark.parametrize(("shape", "texture"), [(10, 0), (0, 3), (1, 0)])
def test_decisions_for_one_cue_alone_are_no_certainty(shape, texture):
    metric = CueDecisions(shape, texture, 30).bias()
    assert metric.value == (shape > 0)
    assert (metric.low, metric.high) == pytest.approx(wilson(shape, shape + texture))
    assert metric.low < metric.high and metric.n == shape + texture + 30


def test_the_case_of_letters_in_a_table_does_not_matter():
    table = pd.DataFrame(
        {
            "object_response": ["Ant", "bee", "na", "cat"],
            "category": ["ant", "ANT", "ant", "ant"],
            "imagename": ["1_x_ant1-bee2.png", "Ant1-Bee3.PNG", "ant1-cat1.png", "ant2-Cat2.JPEG"],
        }
    )
    assert count_table(table) == CueDecisions(shape=1, texture=2, neither=1)


@pytest.mark.parametrize("gone", [0, 2])
def test_a_category_without_an_image_is_noted(gone):
    rng = np.random.default_rng(0)
    shape, texture, answer = rng.integers(0, 3, (3, 300))
    keep = shape != gone
    metric = shape_bias_metrics(_predictions(shape[keep], texture[keep], answer[keep]))
    assert NAMES[gone] in metric["shape-bias"].note and NAMES[gone] in metric["shape-bias/max"].note
    whole = shape_bias_metrics(_predictions(shape, texture, answer))
    assert not whole["shape-bias"].note
