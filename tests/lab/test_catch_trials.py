"""Catch trials: where they come, that they are kept apart, and what is reported of them."""

import json
from collections import Counter

import pandas as pd
import pytest

import lab.serve
from bvg.data.categories import CATEGORIES
from bvg.scores.decision_table import COLUMNS
from bvg.scores.decisions import decision_metrics
from bvg.scores.humans import humans_of_one_set
from bvg.scores.observers import Source, read_observers
from bvg.scores.shape_bias import count_table
from conftest import draw, refusal
from lab.serve import main
from lab.stimuli import interspersed
from lab.tables import Study, check_protocol
from lab_helpers import TOKEN, answer, asked, draw_conflicts, made_study, sent, served, url_of

RATE = {"catch_rate": 0.2, "trials_per_block": 8}  # 4 catch trials for 20 pictures


@pytest.fixture(scope="module")
def conflicts(tmp_path_factory):
    return draw_conflicts(tmp_path_factory.mktemp("lab") / "cue-conflict")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Photographs of the 16 categories, one of each."""
    folder = tmp_path_factory.mktemp("originals")
    for number, category in enumerate(CATEGORIES):
        draw(folder / category / f"{category}1.png", number, (224, 224))
    return folder


@pytest.fixture
def make(conflicts, originals, tmp_path):
    def study(out: str = "out", catch=originals, **settings) -> Study:
        given = json.loads((lab.serve.HERE / "settings.json").read_text(encoding="utf-8"))
        path = tmp_path / "settings.json"
        path.write_text(json.dumps({**given, **RATE, **settings}), encoding="utf-8")
        return made_study(conflicts, tmp_path / out, path, **({"catch": catch} if catch else {}))

    return study


def take_part(server, study, subject=1, catch="cat") -> None:
    """Answer 14 of the 20 pictures by shape, the others by texture, and all catch trials alike."""
    shapes = iter([*[True] * 14, *[False] * 6])
    for trial, shown in enumerate(study.order(subject), start=1):
        kind = "neutral" if shown.is_catch or next(shapes) else "texture"
        response = catch if shown.is_catch else shown.right(kind, study.categories)
        assert sent(server, answer(trial, response, subject=subject))[0] == 200


def test_the_pictures_keep_their_order_and_catch_trials_are_spread_among_them(make):
    study, without = make(), make("without", catch=None)
    places = set()
    for subject in range(1, 9):
        order = study.order(subject)
        assert [one for one in order if not one.is_catch] == without.order(subject)
        assert order == study.order(subject)
        numbers = [k - len([o for o in order[:k] if o.is_catch]) for k in range(24)]
        before = [number for number, one in zip(numbers, order, strict=True) if one.is_catch]
        assert [number // 5 for number in before] == [0, 1, 2, 3]  # one in each fifth picture
        shown = [one.file for one in order if one.is_catch]
        assert len({*shown}) == 4
        places.add((*before, *shown))
    assert len(places) == 8


def test_each_place_of_a_part_is_as_likely(make):
    study = make()
    firsts: Counter[int] = Counter()
    for subject in range(1, 501):
        order = interspersed(study.stimuli[:4], study.catch[:1], 0, subject)
        firsts[next(k for k, one in enumerate(order) if one.is_catch)] += 1
    # 125 of each are expected, with a standard deviation of 9.7.
    assert {*firsts} == {0, 1, 2, 3} and all(86 <= count <= 164 for count in firsts.values())


def test_no_score_knows_of_catch_trials(make):
    with_catch, without = make(), make("without", catch=None)
    for study in (with_catch, without):
        with served(study) as server:
            take_part(server, study)
    tables = [
        humans_of_one_set(study.out)[["object_response", "category"]].to_numpy().tolist()
        for study in (with_catch, without)
    ]
    assert tables[0] == tables[1] and len(tables[0]) == 20
    assert count_table(humans_of_one_set(with_catch.out)).bias().value == pytest.approx(14 / 20)
    scores = [
        {
            name: metric.as_dict()
            for name, metric in decision_metrics(read_observers([Source(study.out)])).items()
        }
        for study in (with_catch, without)
    ]
    assert scores[0] == scores[1]
    catch = pd.read_csv(with_catch.catch_table(1), sep="\t")
    assert [*catch.columns] == COLUMNS and {*catch["condition"]} == {"catch"}
    order = with_catch.order(1)
    assert [order[trial - 1].category for trial in catch["trial"]] == [*catch["category"]]
    assert {*catch["object_response"]} == {"cat"}
    timing = pd.read_csv(with_catch.timing_table(1), sep="\t")
    assert [*timing["trial"]] == [*range(1, 25)]


def test_a_session_is_resumed_and_blocks_are_of_pictures(make):
    study = make()
    with served(study) as server:
        for trial in range(1, 13):
            assert sent(server, answer(trial))[0] == 200
    with served(make()) as again:
        plan = json.loads(asked(f"{url_of(again)}/begin", {"subject": 1, "token": TOKEN})[1])
    assert plan["done"] == [*range(1, 13)]
    blocks = Counter(one["block"] for one in plan["trials"] if not one["catch"])
    assert blocks == {0: 8, 1: 8, 2: 4}
    numbers = [one["block"] for one in plan["trials"]]
    assert numbers == sorted(numbers) and len(numbers) == 24
    for one, stimulus in zip(plan["trials"], study.order(1), strict=True):
        assert one["catch"] == stimulus.is_catch == one["url"].startswith("/catch/")
        assert one["right"] == stimulus.category or not one["catch"]


def test_accuracy_in_catch_trials_is_reported_by_subject(make, monkeypatch, capsys):
    study = make()
    answers = {1: None, 2: study.order(2)}
    rights = [one.category for one in answers[2] if one.is_catch]
    with served(study) as server:
        take_part(server, study, 1, catch=None)
        take_part(server, study, 2, catch=rights[0])
    assert "subject-02: 1 of 4" in capsys.readouterr().out
    assert study.catch_score(1) == ["subject-01", "4", "0", "4", "0.0"]
    assert study.catch_score(3) == []
    monkeypatch.setattr(lab.serve, "install_libraries", lambda: None)
    monkeypatch.setattr(lab.serve.Server, "serve_forever", lambda self: None)
    words = [str(study.stimuli[0].path.parents[1]), "--out", str(study.out), "--port", "0"]
    settings = study.out.parent / "settings.json"
    words += ["--catch", str(study.catch[0].path.parents[1]), "--settings", str(settings)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "20 trials and 4 catch trials" in out and "subject-01: 0 of 4" in out
    table = pd.read_csv(study.out / "catch.tsv", sep="\t")
    assert [*table["percent_correct"]] == [0, 25] and [*table["missed"]] == [4, 0]


def test_catch_trials_of_other_kinds_are_refused(make, conflicts, originals, tmp_path):
    study = make()
    check_protocol(study)
    study.save(1, answer(1), "")
    assert "catch" in refusal(check_protocol, make(catch=None))
    assert "--catch" in refusal(make, "out", conflicts)
    draw(tmp_path / "few" / "cat" / "cat1.png", 1, (224, 224))
    assert "--catch" in refusal(make, "out", tmp_path / "few")
    draw(tmp_path / "mouse" / "mouse" / "mouse1.png", 1, (224, 224))
    assert "mouse" in refusal(make, "out", tmp_path / "mouse")
    path = tmp_path / "same" / "cat" / "a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(study.stimuli[0].path.read_bytes())
    assert "one of the stimuli" in refusal(make, "out", tmp_path / "same")
