"""The metrics of model-vs-human against hand computation, on tiny data sets of every layout."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bvg.data.model_vs_human import DATA_SETS
from bvg.scores.decision_table import decision_table, write_decisions
from bvg.scores.humans import read_humans
from bvg.scores.max_rule import by_rule
from bvg.scores.metric import wilson
from bvg.scores.model_vs_human import (
    human_metrics,
    model_vs_human_metrics,
    on_images_of,
    ood_mean,
    rights,
    split,
    with_humans,
)
from bvg.scores.shape_bias import shape_bias_metrics
from model_vs_human_helpers import answers_of, write_humans
from oracles import model_vs_human as oracle

PER = 20


def _random(seed: int, share: float = 0.5):
    rng = np.random.default_rng(seed)
    return answers_of(lambda *_: int(rng.random() > share), PER)


def test_accuracies_equal_a_plain_count():
    predictions = _random(0)
    metrics = model_vs_human_metrics(predictions)
    for name, data_set in DATA_SETS.items():
        right = dict.fromkeys(data_set.conditions, 0)
        for condition, label, answers in zip(
            predictions.conditions, predictions.labels, predictions.answers, strict=True
        ):
            if condition.partition("/")[0] == name:
                right[condition.partition("/")[2]] += int(label == answers[0])
        total = sum(right.values())
        assert metrics[f"top1_acc/{name}"].value == pytest.approx(100 * total / (PER * len(right)))
        for condition, hits in right.items():
            key = f"top1_acc/{name}/{condition}"
            if len(right) > 1:
                assert metrics[key].value == pytest.approx(100 * hits / PER)
                assert metrics[key].n == PER
            else:
                assert key not in metrics


def test_both_rules_are_scored_alike(tmp_path):
    """By the max rule, metrics are those of a model that answers so; the others do not change."""
    for name in ("edge", "contrast"):
        write_humans(tmp_path, name, {"subject-01": lambda c, n: n % 3 > 0}, PER)
    humans = read_humans(tmp_path)
    one, other = _random(0), _random(1)
    metrics = model_vs_human_metrics(one, humans)
    with_max = replace(one, columns=one.columns | {"answer_max": other.answers[:, 0]})
    both, by_max = (model_vs_human_metrics(p, humans) for p in (with_max, other))
    own = {key for key in both if key.endswith("/max")}
    assert {key: both[key] for key in metrics.keys() - own} == {
        key: metrics[key] for key in metrics.keys() - own
    }
    assert {key: both[key] for key in own} == {key: by_max[key.removesuffix("/max")] for key in own}
    sets = {f"top1_acc/{name}/max" for name in DATA_SETS}
    assert {*sets, "top1_acc/ood_mean/max", "error-consistency/edge/max"} <= own
    assert both["top1_acc/ood_mean/max"] != both["top1_acc/ood_mean"]


def test_tables_by_the_max_rule_where_the_rules_differ():
    one, other = _random(0), _random(1)
    assert [*by_rule(one, "net")] == ["net"]
    with_max = replace(one, columns=one.columns | {"answer_max": other.answers[:, 0]})
    tables = {n: decision_table(p, n, "edg") for n, p in by_rule(with_max, "net").items()}
    for name, answers in (("net", one), ("net-max-rule", other)):
        expected = decision_table(answers, name, "edg")
        assert tables[name].equals(expected)


def test_the_ood_mean_leaves_out_what_is_excluded():
    """Right under the conditions that count and nowhere else: 100 %; the other way round: 0 %."""
    for counted, value in ((0, 100.0), (1, 0.0)):
        predictions = answers_of(
            lambda name, condition, _, counted=counted: (
                counted if condition in DATA_SETS[name].counted else 1 - counted
            ),
            PER,
        )
        assert model_vs_human_metrics(predictions)["top1_acc/ood_mean"].value == value


def test_the_ood_mean_is_pooled_within_data_sets_and_averaged_over_them():
    predictions = _random(1)
    metric = model_vs_human_metrics(predictions)["top1_acc/ood_mean"]
    values = []
    for name, part in split(predictions).items():
        keep = [c.partition("/")[2] in DATA_SETS[name].counted for c in part.conditions]
        values.append((part.answers[keep, 0] == part.labels[keep]).mean())
    assert metric.value == pytest.approx(100 * np.mean(values))
    # 17 proportions of about one half: the standard error of their mean by the formula.
    sizes = [PER * len(d.counted) for d in DATA_SETS.values()]
    variances = (v * (1 - v) / n for v, n in zip(values, sizes, strict=True))
    error = 100 * np.sqrt(sum(variances)) / 17
    assert (metric.high - metric.low) / 2 == pytest.approx(1.96 * error, rel=0.05)
    assert metric.n == sum(sizes)


def test_missing_data_sets_leave_the_mean_undefined_and_name_what_there_is():
    metrics = ood_mean({"edge": (1, 4), "sketch": (3, 4), "stylized": (0, 0)})
    assert metrics["top1_acc/ood_mean"].value is None
    assert metrics["top1_acc/ood_mean"].note.endswith("; with a value: edge, sketch")
    assert metrics["top1_acc/ood_mean/2_datasets"].value == 50
    most = ood_mean({name: (1, 2) for name in DATA_SETS if name != "colour"})
    assert most["top1_acc/ood_mean"].note.endswith("; without a value: colour")
    assert most["top1_acc/ood_mean/16_datasets"].value == 50
    assert [*ood_mean({})] == ["top1_acc/ood_mean"]


def test_shape_bias_is_that_of_the_cue_conflict_images():
    predictions = _random(2)
    metrics = model_vs_human_metrics(predictions)
    alone = shape_bias_metrics(split(predictions)["cue-conflict"])
    assert {key: metrics[key] for key in alone} == alone
    assert "shape-bias/max" in alone
    without = answers_of(lambda *_: 0, 3, ["edge"])
    assert "shape-bias" not in model_vs_human_metrics(without)


@pytest.fixture
def humans(tmp_path):
    """Return a folder of three humans on two data sets, of whom one saw fewer images."""
    rng = np.random.default_rng(5)
    for name in ("contrast", "edge"):
        people = {f"subject-0{k}": lambda c, n: rng.random() < 0.6 for k in range(1, 4)}
        write_humans(tmp_path / "humans", name, people, PER)
    table = tmp_path / "humans" / "contrast" / "contrast_subject-02_session_1.csv"
    lines = table.read_text().splitlines()
    seen = [line for number, line in enumerate(lines) if number % 7 != 3]
    table.write_text("\n".join(seen) + "\n")
    return tmp_path / "humans"


def test_consistency_with_humans_equals_the_plain_script(humans, tmp_path):
    predictions = _random(3)
    metrics = model_vs_human_metrics(predictions, read_humans(humans))
    values = []
    for name in ("contrast", "edge"):
        table = decision_table(split(predictions)[name], "net", name)
        write_decisions([(name, table)], tmp_path)
        (model,) = oracle.responses(tmp_path, "net").values()
        people = oracle.responses(humans / name)
        expected = oracle.with_each(model, people, list(DATA_SETS[name].counted))
        values.append(expected)
        assert metrics[f"error-consistency/{name}"].value == pytest.approx(expected, abs=1e-12)
        for condition in DATA_SETS[name].conditions if name == "contrast" else ():
            key = f"error-consistency/contrast/{condition}"
            assert (key in metrics) == (condition in DATA_SETS[name].counted)
        for path in tmp_path.glob("*.csv"):
            path.unlink()
    mean = metrics["error-consistency/mean/2_datasets"]
    assert mean.value == pytest.approx(np.mean(values), abs=1e-12)
    assert mean.low < mean.value < mean.high
    assert metrics["error-consistency/mean"].value is None


def test_humans_among_themselves_equal_the_plain_script(humans):
    metrics = human_metrics(read_humans(humans))
    for name in ("contrast", "edge"):
        people = oracle.responses(humans / name)
        expected = oracle.among(people, list(DATA_SETS[name].counted))
        assert metrics[f"error-consistency/{name}"].value == pytest.approx(expected, abs=1e-12)
        accuracy = oracle.accuracy(people, list(DATA_SETS[name].conditions))
        assert metrics[f"top1_acc/{name}"].value == pytest.approx(100 * accuracy, abs=1e-12)
    accuracy = oracle.accuracy(oracle.responses(humans / "contrast"), ["c15"])
    assert metrics["top1_acc/contrast/c15"].value == pytest.approx(100 * accuracy, abs=1e-12)


def test_a_model_that_errs_like_a_human_is_more_consistent_than_chance(tmp_path):
    people = {"subject-01": lambda c, n: n % 3 > 0, "subject-02": lambda c, n: n % 3 > 0}
    write_humans(tmp_path, "edge", people, PER)
    like = answers_of(lambda name, c, n: int(n % 3 == 0), PER, ["edge"])
    opposite = answers_of(lambda name, c, n: int(n % 3 > 0), PER, ["edge"])
    perfect = answers_of(lambda *_: 0, PER, ["edge"])
    models = {"like": rights(like), "opposite": rights(opposite), "perfect": rights(perfect)}
    found = with_humans(models, read_humans(tmp_path))
    values = {name: m["error-consistency/edge"].value for name, m in found.items()}
    assert values["like"] == 1
    assert values["opposite"] < -0.7
    assert values["perfect"] == 0


def test_two_perfect_observers_have_no_kappa(tmp_path):
    write_humans(tmp_path, "edge", {"subject-01": lambda c, n: True}, PER)
    perfect = {"net": rights(answers_of(lambda *_: 0, PER, ["edge"]))}
    metrics = with_humans(perfect, read_humans(tmp_path))["net"]
    assert metrics["error-consistency/edge"].value is None
    assert "right on all images that they share" in metrics["error-consistency/edge"].note
    assert metrics["error-consistency/mean"].note.endswith("; with a value: none")


def test_the_answer_does_not_depend_on_the_other_models_of_the_call(humans):
    people = read_humans(humans)
    one, two = rights(_random(3)), rights(_random(4))
    alone = with_humans({"one": one}, people)["one"]
    assert with_humans({"two": two, "one": one}, people)["one"] == alone


def test_humans_are_compared_on_the_models_images_only(humans):
    people = read_humans(humans)
    few = answers_of(lambda *_: 0, 5, ["edge"])
    shown = on_images_of({"net": rights(few)}, people)
    assert [*shown] == ["edge"]
    assert len(shown["edge"]) == 5


def test_metrics_are_fit_for_json():
    metrics = model_vs_human_metrics(_random(6))
    text = json.dumps({key: metric.as_dict() for key, metric in metrics.items()})
    assert "NaN" not in text


def _without(predictions, *conditions):
    """Return the predictions without the rows of some conditions."""
    keep = ~np.isin(predictions.conditions, conditions)
    return predictions.select(keep)


def test_a_missing_condition_takes_the_data_set_out_of_the_mean():
    whole = _random(7)
    metrics = model_vs_human_metrics(_without(whole, "contrast/c15", "colour/cr"))
    assert metrics["top1_acc/ood_mean"].value is None
    assert metrics["top1_acc/ood_mean"].note.endswith("without a value: contrast")
    values = [
        100 * (part.answers[keep, 0] == part.labels[keep]).mean()
        for name, part in split(whole).items()
        if name != "contrast"
        for keep in [[c.partition("/")[2] in DATA_SETS[name].counted for c in part.conditions]]
    ]
    assert metrics["top1_acc/ood_mean/16_datasets"].value == pytest.approx(np.mean(values))
    for name, missing in (("contrast", "c15"), ("colour", "cr")):
        assert metrics[f"top1_acc/{name}"].value is None
        assert missing in metrics[f"top1_acc/{name}"].note
        assert f"top1_acc/{name}/{missing}" not in metrics
        there = [f"top1_acc/{name}/{c}" for c in DATA_SETS[name].conditions if c != missing]
        mean = np.mean([metrics[key].value for key in there])  # of as many images each
        assert metrics[f"top1_acc/{name}/measured"].value == pytest.approx(mean)
    assert metrics["top1_acc/rotation"].value is not None


@pytest.mark.parametrize("who", ["model", "humans"])
def test_a_condition_that_one_side_lacks_takes_the_data_set_out_of_the_consistency(humans, who):
    predictions, people = _random(3), read_humans(humans)
    before = model_vs_human_metrics(predictions, people)
    if who == "model":
        predictions = _without(predictions, "contrast/c30")
    else:
        people["contrast"] = people["contrast"].drop("c30", level=0)
        own = human_metrics(people)
        assert own["top1_acc/contrast"].value is own["error-consistency/contrast"].value is None
        assert "top1_acc/ood_mean/1_datasets" in own
    metrics = model_vs_human_metrics(predictions, people)
    assert metrics["error-consistency/contrast"].value is None
    assert "c30" in metrics["error-consistency/contrast"].note
    conditions = [f"error-consistency/contrast/{c}" for c in ("c50", "c15", "c10", "c05")]
    mean = np.mean([metrics[key].value for key in conditions])
    assert metrics["error-consistency/contrast/measured"].value == pytest.approx(mean)
    edge = metrics["error-consistency/mean/1_datasets"]
    assert edge.value == before["error-consistency/edge"].value
    assert "error-consistency/mean/2_datasets" not in metrics


@pytest.mark.parametrize(("right", "value"), [(True, 100.0), (False, 0.0)])
def test_a_mean_of_what_is_always_right_or_wrong_is_no_certainty(right, value):
    metrics = ood_mean({"edge": (160 * right, 160), "colour": (20 * right, 20)})
    mean = metrics["top1_acc/ood_mean/2_datasets"]
    assert (mean.value, mean.n) == (value, 180)
    assert (mean.low, mean.high) == pytest.approx([100 * e for e in wilson(40 * right, 40)])
    alone = ood_mean({"edge": (160 * right, 160)})["top1_acc/ood_mean/1_datasets"]
    assert (alone.low, alone.high) == pytest.approx([100 * e for e in wilson(160 * right, 160)])
