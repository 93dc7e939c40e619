"""Whole calls of score_decisions.py on small tables."""

import csv
import json

import pandas as pd
import pytest

import collect
import score_decisions
from bvg.data.categories import CATEGORIES
from bvg.figures.drawing import remove
from bvg.scores.decisions import decision_metrics
from bvg.scores.observers import Source, read_observers
from conftest import draw
from model_vs_human_helpers import write_humans

PEOPLE = {"subject-01": lambda c, n: n % 2 > 0, "subject-02": lambda c, n: n % 3 > 0}
NETS = {f"net{k}": lambda c, n, k=k: n % (k + 2) > 0 for k in range(2)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    for name in ("cue-conflict", "edge", "contrast"):
        write_humans(root, name, PEOPLE | NETS, 3)
    for category in CATEGORIES[:3]:
        draw(root.parent / "stimuli" / "silhouette" / category / f"{category}1.png", 1)
    return root


def test_a_whole_call(tables, tmp_path, capsys):
    argv = [str(tables), "--results", str(tmp_path / "results")]
    assert score_decisions.main([*argv, "--stimuli", str(tables.parent / "stimuli")]) == 0
    folder = tmp_path / "results" / "decisions"
    summary = json.loads((folder / "net0" / "summary.json").read_text())
    right = sum(n % 2 > 0 for n in range(24))
    accuracy = summary["metrics"]["top1_acc/contrast"]
    assert (accuracy["value"], accuracy["n"]) == (pytest.approx(100 * right / 24), 24)
    assert {path.name for path in folder.glob("*.png")} == {
        "accuracy.png",
        "confusion_cue-conflict.png",
        "confusion_edge.png",
        "cues.png",
        "distortions.png",
        "edges.png",
        "error_consistency.png",
        "response_times.png",
        "response_times_by_condition.png",
        "shape_bias.png",
        "shape_bias_by_texture.png",
        "summary.png",
    }
    out = capsys.readouterr().out
    assert "shape-bias" in out and "net1" in out and "humans" in out
    with open(folder / "confusion.csv", newline="") as file:
        assert sum(int(row["n"]) for row in csv.DictReader(file)) == 4 * (3 + 3 + 24)

    # The rows are a table's.
    words = ["--results", str(tmp_path / "results"), "--out", str(tmp_path / "table")]
    assert collect.main(words) == 0
    table = pd.read_csv(tmp_path / "table" / "benchmark.csv", index_col="model")
    assert [*table.index] == ["humans", "net0", "net1"]
    value = summary["metrics"]["shape-bias"]["value"]
    assert table.loc["net0", "decisions/shape-bias"] == value

    # What a later call does not draw is gone: one observer agrees with nobody.
    capsys.readouterr()
    (folder / "mine.png").write_text("a user's")
    assert score_decisions.main([*argv, "--observers", "net1"]) == 0
    left = {path.name for path in folder.glob("*.png")}
    assert "error_consistency.png" not in left and "summary.png" not in left
    assert "confusion_edge.png" in left and "mine.png" in left
    assert "humans, net0: collect.py takes them" in capsys.readouterr().out
    assert score_decisions.main([*argv, "--observers", "net7"]) == 2
    assert "net0" in capsys.readouterr().err


def summarise(trials, results):
    """Write the results of score_decisions.py without its figures."""
    for name, own in trials.groupby("observer"):
        metrics = decision_metrics(own)
        score_decisions.write_summary(results / "decisions" / name, own, metrics)


def test_other_images_are_said_and_not_collected(tables, tmp_path, capsys):
    write_humans(tmp_path / "other", "edge", {"other": lambda c, n: n % 2 > 0}, 4)
    trials = read_observers([Source(tables), Source(tmp_path / "other")])
    networks = trials[trials["observer"].isin(["net0", "net1", "other"])]
    assert score_decisions.differing_images(networks) == ["edge: other saw other images than net0"]
    summarise(trials, tmp_path / "results")
    argv = ["--results", str(tmp_path / "results"), "--out", str(tmp_path / "table")]
    capsys.readouterr()
    assert collect.main(argv) == 2
    error = capsys.readouterr().err
    assert "3 images" in error and "4 images" in error and "--without" in error
    assert collect.main([*argv, "--without", "other"]) == 0
    # Who lacks a data set is compared in the others.
    write_humans(tmp_path / "one", "cue-conflict", {"one": lambda c, n: n % 2 > 0}, 3)
    summarise(read_observers([Source(tmp_path / "one")]), tmp_path / "results")
    assert collect.main([*argv, "--without", "other"]) == 0
    table = pd.read_csv(tmp_path / "table" / "benchmark.csv", index_col="model")
    assert pd.isna(table.loc["one", "decisions/top1_acc/edge"])


def test_figures_of_data_sets_that_are_gone_are_removed(tmp_path):
    pd.DataFrame({"data_set": ["edge"]}).to_csv(tmp_path / "confusion.csv")
    for name in ("confusion_edge.png", "error_consistency_edge.pdf", "cues.png", "cues_other.png"):
        (tmp_path / name).touch()
    remove(*score_decisions.drawn_before(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"confusion.csv", "cues_other.png"}


def test_people_who_saw_other_images_are_pooled_with_a_note(tables, tmp_path):
    assert not score_decisions.differing_people(read_observers([Source(tables)]))
    write_humans(tmp_path / "more", "edge", {"subject-03": lambda c, n: n % 2 > 0}, 4)
    for path in tables.glob("edge/*subject*"):
        (tmp_path / "more" / "edge" / path.name).write_bytes(path.read_bytes())
    trials = read_observers([Source(tmp_path / "more")])
    assert decision_metrics(trials)["top1_acc/edge"].n == 3 + 3 + 4
    (note,) = score_decisions.differing_people(trials)
    assert note.startswith("edge: ") and "3 to 4 of 4" in note


def test_an_observer_who_is_named_twice_counts_once(tables):
    trials = read_observers([Source(tables)])
    once, twice = (score_decisions._chosen(trials, ["humans"] * k) for k in (1, 2))
    pd.testing.assert_frame_equal(once, twice)


@pytest.mark.parametrize(("name", "folder"), [("..", "-"), ("net\none", "net-one")])
def test_observers_have_names_that_folders_can_have(name, folder, tmp_path):
    """Not the folder above, whose summary.json would be that of the results."""
    write_humans(tmp_path, "edge", {"one": lambda c, n: n % 2 > 0}, 3)
    (path,) = (tmp_path / "edge").glob("*.csv")
    pd.read_csv(path).assign(subj=name).to_csv(path, index=False)
    assert {*read_observers([Source(tmp_path)])["observer"]} == {folder}


def test_people_under_other_names_are_said(tmp_path):
    write_humans(tmp_path, "edge", {"P01": lambda c, n: n % 2 > 0}, 3)
    (note,) = score_decisions.perhaps_people(read_observers([Source(tmp_path)]))
    assert "P01" in note and "subject-01" in note
