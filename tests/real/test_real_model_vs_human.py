"""Published stimuli through real models, and published human decisions, against plain scripts.

BVG_EVERY=1 looks at all stimuli instead of 64 of each set (minutes instead of seconds).
"""

import csv
import itertools
import os

import pandas as pd
import pytest

import eval_model_vs_human
from bvg.data.model_vs_human import DATA_SETS, condition_of
from bvg.predictions.table import read_predictions
from bvg.scores.error_consistency import error_consistency
from bvg.scores.humans import fingerprint, read_humans
from bvg.scores.model_vs_human import human_metrics
from oracles import model_vs_human as oracle
from oracles import straight_line

FACTORIES = ("mobilenet_v2", "mobilenet_v1_075", "mobilenet_v1_025")
EVERY = os.environ.get("BVG_EVERY") == "1"
SETS = ("edge", "silhouette", "cue-conflict")
# The conditions as the published tables write them.
COUNTED = {
    "contrast": ["c50", "c30", "c15", "c10", "c05"],
    "uniform-noise": ["0.03", "0.05", "0.10", "0.20", "0.35"],
}
EXCLUDED = {"contrast": ["c100", "c03", "c01"], "uniform-noise": ["0.00", "0.60", "0.90"]}


@pytest.fixture(scope="module")
def humans(fixtures):
    return fixtures / "published" / "human"


@pytest.fixture(scope="module")
def results(fixtures, humans, tmp_path_factory):
    """Return the results of all three models on the stimuli that are there, in one call."""
    results = tmp_path_factory.mktemp("mvh")
    words = ["--stimuli", str(fixtures / "model-vs-human"), "--datasets", *SETS]
    words += ["--humans", str(humans), "--results", str(results)]
    if not EVERY:
        words += ["--limit", "64"]
    models = [f"{fixtures}/models/mobilenet_tf.py:{name}" for name in FACTORIES]
    assert eval_model_vs_human.main(["--model", *models, *words]) == 0
    return results / "imagenet_model_vs_human"


@pytest.mark.parametrize("name", FACTORIES)
def test_every_decision_equals_the_straight_line(name, results, fixtures, networks):
    predictions = read_predictions(results / name / "predictions.parquet")
    assert len(predictions) == (960 if EVERY else 3 * 64)
    members = straight_line.read_members(fixtures)
    # Each model on a third of the images.
    for row in range(0 if EVERY else FACTORIES.index(name), len(predictions), 1 if EVERY else 3):
        image = predictions.images[row]
        path = fixtures / "model-vs-human" / image
        logits = straight_line.logits_of(networks[name], path, False)
        answer = predictions.classes[predictions.answers[row, 0]]
        assert answer == straight_line.category(logits, members), image
        second = predictions.classes[predictions.columns["answer_max"][row]]
        assert second == straight_line.category_of_best(logits, members), image


@pytest.mark.parametrize("name", FACTORIES)
def test_metrics_equal_the_plain_script_on_the_decision_tables(name, results, humans):
    with open(results / "human_comparison.csv", newline="") as file:
        rows = {(r["observer"], r["metric"]): r["value"] for r in csv.DictReader(file)}
    for data_set in SETS:
        subject = name.replace("_", "-")
        (path,) = (results / name).glob(f"{data_set}_{subject}_session-1.csv")
        tables = path.parent / data_set  # the oracle reads a folder
        tables.mkdir()
        (tables / path.name).write_bytes(path.read_bytes())
        (model,) = oracle.responses(tables, name).values()
        people = oracle.responses(humans / data_set)
        expected = oracle.with_each(model, people, ["0"])
        key = f"error-consistency/{data_set}"
        assert float(rows[name, key]) == pytest.approx(expected, abs=1e-12)
        seen = {o: {k: v for k, v in a.items() if k in model} for o, a in people.items()}
        own = oracle.among(seen, ["0"])
        assert float(rows["humans", key]) == pytest.approx(own, abs=1e-12)


def test_humans_among_themselves_equal_the_plain_script(humans):
    metrics = human_metrics(read_humans(humans))
    found = sorted(path.name for path in humans.iterdir())
    assert found == ["contrast", "cue-conflict", "edge", "silhouette", "uniform-noise"]
    for name in found:
        people = oracle.responses(humans / name)
        counted = COUNTED.get(name, ["0"])
        expected = oracle.among(people, counted)
        assert metrics[f"error-consistency/{name}"].value == pytest.approx(expected, abs=1e-12)
        written = counted + EXCLUDED.get(name, [])
        accuracy = 100 * oracle.accuracy(people, written)
        assert metrics[f"top1_acc/{name}"].value == pytest.approx(accuracy, abs=1e-12)
        for condition in written if len(written) > 1 else ():
            key = f"top1_acc/{name}/{condition_of(name, condition)}"
            accuracy = 100 * oracle.accuracy(people, [condition])
            assert metrics[key].value == pytest.approx(accuracy, abs=1e-12)
        assert {condition_of(name, c) for c in counted} == set(DATA_SETS[name].counted)


def test_every_pair_of_humans_under_every_condition_equals_the_plain_script(humans):
    right = read_humans(humans)
    pairs = 0
    for name, table in right.items():
        people = oracle.responses(humans / name)
        for condition in COUNTED.get(name, ["0"]) + EXCLUDED.get(name, []):
            seen = table.loc[condition_of(name, condition)]
            for one, other in itertools.combinations(people, 2):
                ours = error_consistency(seen[one], seen[other])
                theirs = oracle.kappa(people[one], people[other], condition)
                assert ours == pytest.approx(theirs, abs=1e-12)
                pairs += 1
    assert pairs == 3 * 45 + 2 * 8 * 6


@pytest.mark.parametrize(
    "changes",
    [
        {"object_response": str.upper, "subj": str.upper},
        {"object_response": "{}  ".format, "category": str.title, "imagename": "C:\\s\\{}".format},
        {"condition": " {} ".format, "imagename": str.upper},
    ],
)
def test_published_tables_in_another_spelling_say_the_same(changes, humans, tmp_path):
    """All 26,240 trials, saved by a spreadsheet: semicolons, a byte-order mark, CRLF."""
    for path in humans.glob("*/*.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for column, change in changes.items():
            table[column] = table[column].map(change)
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        text = table.to_csv(sep=";", lineterminator="\r\n", index=False)
        (tmp_path / path.parent.name / path.name).write_bytes(text.encode("utf-8-sig"))
    before, after = read_humans(humans), read_humans(tmp_path)
    assert [*before] == [*after]
    assert all(before[name].equals(after[name]) for name in before)
    assert fingerprint(before) == fingerprint(after)
