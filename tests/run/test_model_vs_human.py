"""A whole call of eval_model_vs_human on tiny data sets of all 17 layouts."""

import csv
import json

import pytest

import eval_model_vs_human
from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS
from bvg.predictions.table import read_predictions
from bvg.run import wandb_mirror
from model_vs_human_helpers import read_folder, write_data_set, write_humans, write_stimuli

MODEL = f"""
import torch

class Net(torch.nn.Module):
    classes = {CATEGORIES!r}

    def __init__(self, seed):
        super().__init__()
        self.head = torch.nn.Linear(3, 16)
        generator = torch.Generator().manual_seed(seed)
        self.head.bias.data.zero_()
        self.head.weight.data = torch.randn(16, 3, generator=generator) * 30

    def forward(self, x):
        return self.head(x.mean((2, 3)) - 0.5)

def one(): return Net(1)
def two(): return Net(2)
"""


@pytest.fixture
def call(tmp_path):
    (tmp_path / "net.py").write_text(MODEL)

    def run(stimuli, *words: str, models=("one", "two")) -> int:
        argv = ["--model", *(f"{tmp_path}/net.py:{name}" for name in models)]
        argv += ["--stimuli", str(stimuli), "--results", str(tmp_path / "results")]
        argv += ["--num_workers", "0", *words]
        return eval_model_vs_human.main(argv)

    run.folder = tmp_path / "results" / "imagenet_model_vs_human"
    return run


def _metrics(call, name="one"):
    return json.loads((call.folder / name / "summary.json").read_text())["metrics"]


def _humans(root, names=("edge", "contrast", "cue-conflict")):
    for name in names:
        people = {"subject-01": lambda c, n: n % 2 > 0, "subject-02": lambda c, n: n % 3 > 0}
        write_humans(root, name, people, 3)
    return root


def test_all_17_data_sets_in_one_call(call, tmp_path, capsys):
    stimuli = write_stimuli(tmp_path / "stimuli", 3)
    assert call(stimuli, "--partial") == 0
    metrics = _metrics(call)
    for name in DATA_SETS:
        assert metrics[f"top1_acc/{name}"]["n"] == 3 * len(DATA_SETS[name].conditions)
        (table,) = (call.folder / "one").glob(f"{name}_one_session-1.csv")
        assert len(table.read_text().splitlines()) == 1 + metrics[f"top1_acc/{name}"]["n"]
    assert 0 <= metrics["top1_acc/ood_mean"]["value"] <= 100
    assert not any(key.startswith("error-consistency") for key in metrics)
    written = {path.name for path in call.folder.iterdir() if path.is_file()}
    assert written == {
        "accuracy.png",
        "accuracy.pdf",
        "shape_bias.png",
        "shape_bias.pdf",
        "error_consistency.csv",
        "error_consistency.png",
        "error_consistency.pdf",
    }
    assert "top1_acc/ood_mean " in capsys.readouterr().out
    predictions = read_predictions(call.folder / "one" / "predictions.parquet")
    assert set(predictions.columns) == {"texture", "answer_max"}


def test_a_finished_result_gains_humans_without_another_pass(call, tmp_path, capsys):
    stimuli = tmp_path / "stimuli"
    for name in ("edge", "contrast", "cue-conflict"):
        write_data_set(stimuli, name, 3)
    chosen = ("--datasets", "contrast", "edge", "cue-conflict", "--partial")
    assert call(stimuli, *chosen) == 0
    assert not (call.folder / "human_comparison.csv").exists()
    before = json.loads((call.folder / "one" / "summary.json").read_text())
    predictions = (call.folder / "one" / "predictions.parquet").read_bytes()
    humans = _humans(tmp_path / "humans")
    capsys.readouterr()
    assert call(stimuli, *chosen, "--humans", str(humans)) == 0
    out = capsys.readouterr().out
    assert "already complete" in out and "decoded" not in out
    assert (call.folder / "one" / "predictions.parquet").read_bytes() == predictions
    after = json.loads((call.folder / "one" / "summary.json").read_text())
    gained = after["metrics"].keys() - before["metrics"].keys()
    assert gained and all(key.startswith("error-consistency/") for key in gained)
    assert {key: after["metrics"][key] for key in before["metrics"]} == before["metrics"]
    assert after["identity"] == before["identity"]
    with open(call.folder / "human_comparison.csv", newline="") as file:
        rows = {(row["observer"], row["metric"]): row for row in csv.DictReader(file)}
    assert ("one", "error-consistency/contrast/c15") in rows
    assert ("two", "error-consistency/mean/3_datasets") in rows
    assert float(rows["humans", "top1_acc/contrast"]["value"]) > 0
    matrix = (call.folder / "error_consistency.csv").read_text().splitlines()[0]
    assert matrix == "observer,one,two,humans"
    assert (call.folder / "error_consistency_humans.png").is_file()


def test_humans_that_are_there_at_once_are_in_the_summary_and_equal_the_file(call, tmp_path):
    stimuli = write_data_set(tmp_path / "stimuli", "contrast", 3)
    humans = str(_humans(tmp_path / "humans", ("contrast",)))
    assert call(stimuli, "--datasets", "contrast", "--humans", humans, models=("one",)) == 0
    metrics = _metrics(call)
    with open(call.folder / "human_comparison.csv", newline="") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file) if row["observer"] == "one"}
    assert len(rows) == 8  # five conditions, the data set, and the two means
    for key, row in rows.items():
        value = metrics[key]["value"]
        assert row["value"] == ("" if value is None else repr(value))


def test_our_tables_can_be_given_as_any_others_and_are_no_humans(call, tmp_path):
    stimuli = write_data_set(tmp_path / "stimuli", "rotation", 3)
    assert call(stimuli, "--datasets", "rotation", "--partial", models=("one",)) == 0
    table = read_folder(call.folder / "one")
    predictions = read_predictions(call.folder / "one" / "predictions.parquet")
    said = [predictions.classes[a] for a in predictions.answers[:, 0]]
    assert table["object_response"].tolist() == said
    assert ("rotation/" + table["condition"]).tolist() == predictions.conditions.tolist()


def test_a_call_leaves_no_figure_of_an_earlier_one(call, tmp_path):
    stimuli = write_data_set(tmp_path / "stimuli", "edge", 3)
    write_data_set(stimuli, "cue-conflict", 3)
    assert call(stimuli, "--datasets", "edge", "cue-conflict", "--partial") == 0
    kinds = {path.stem for path in call.folder.glob("*.png")}
    assert kinds == {"accuracy", "shape_bias", "error_consistency"}
    # One model has nobody to agree with; without cue-conflict there is no shape bias.
    chosen = ("--datasets", "edge", "--partial", "--overwrite")
    assert call(stimuli, *chosen, models=("one",)) == 0
    assert {path.name for path in call.folder.iterdir() if path.is_file()} == {
        "accuracy.png",
        "accuracy.pdf",
    }


def test_what_is_missing_is_said_before_any_model_is_loaded(call, tmp_path, capsys):
    stimuli = write_data_set(tmp_path / "stimuli", "edge", 1)
    assert call(stimuli, models=("not_there",)) == 2
    assert "lacks the data set(s) silhouette" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        call(stimuli, "--datasets", "unknown")
    assert call(stimuli, "--datasets", "edge", "--humans", str(stimuli / "edge")) == 2
    assert f"{stimuli}, with --humans" in capsys.readouterr().err


def test_a_limit_is_per_condition(call, tmp_path):
    stimuli = write_data_set(tmp_path / "stimuli", "contrast", 3)
    assert call(stimuli, "--datasets", "contrast", "--limit", "2", models=("one",)) == 0
    assert _metrics(call)["top1_acc/contrast/c03"]["n"] == 2


def _consistency(call, name="one"):
    return _metrics(call, name).get("error-consistency/mean/1_datasets", {}).get("value")


def test_other_humans_none_and_downloaded_ones_are_followed(call, tmp_path, capsys, monkeypatch):
    stimuli = write_data_set(tmp_path / "stimuli", "silhouette", 16)
    two, three = tmp_path / "two", tmp_path / "three"
    people = {f"subject-0{k}": lambda c, n, k=k: n % (k + 1) > 0 for k in (1, 2, 3)}
    write_humans(three, "silhouette", people, 16)
    write_humans(two, "silhouette", {k: people[k] for k in list(people)[:2]}, 16)
    words = ("--datasets", "silhouette")
    expected = {}
    for folder in (two, three, None):
        given = ("--humans", str(folder)) if folder else ()
        assert call(stimuli, *words, *given, "--overwrite") == 0
        expected[folder] = _consistency(call), _consistency(call, "two")
    assert len(set(expected.values())) == 3 and expected[None] == (None, None)
    predictions = (call.folder / "one" / "predictions.parquet").read_bytes()
    for folder in (three, two, None, two):
        capsys.readouterr()
        given = ("--humans", str(folder)) if folder else ()
        assert call(stimuli, *words, *given) == 0
        out = capsys.readouterr().out
        assert out.count("re-scored") == 2 and "decoded" not in out
        assert (_consistency(call), _consistency(call, "two")) == expected[folder]
        assert (call.folder / "human_comparison.csv").exists() == (folder is not None)
        assert (call.folder / "error_consistency_humans.png").exists() == (folder is not None)
    assert call(stimuli, *words, "--humans", str(two)) == 0
    assert "re-scored" not in capsys.readouterr().out
    cache = tmp_path / "cache"
    monkeypatch.setenv("BVG_CACHE", str(cache))
    write_humans(cache / "data" / "human-decisions", "silhouette", people, 16)
    assert call(stimuli, *words) == 0
    assert (_consistency(call), _consistency(call, "two")) == expected[three]
    assert (call.folder / "one" / "predictions.parquet").read_bytes() == predictions


def test_one_model_of_a_call_is_scored_again_and_another_is_measured(call, tmp_path, capsys):
    stimuli = write_data_set(tmp_path / "stimuli", "edge", 16)
    humans = str(_humans(tmp_path / "humans", ("edge",)))
    assert call(stimuli, "--datasets", "edge", models=("one",)) == 0
    assert call(stimuli, "--datasets", "edge", "--humans", humans) == 0
    assert _consistency(call) is not None and _consistency(call, "two") is not None
    assert capsys.readouterr().out.count("re-scored") == 1


def test_missing_conditions_need_partial_and_have_another_name(call, tmp_path, capsys):
    stimuli = write_data_set(tmp_path / "stimuli", "rotation", 16)
    write_data_set(stimuli, "sketch", 16)
    for path in stimuli.rglob("*_dnn_90_*"):
        path.unlink()
    words = ("--datasets", "rotation", "sketch")
    assert call(stimuli, *words, models=("one",)) == 2
    error = capsys.readouterr().err
    assert "rotation" in error and "90" in error and "--partial" in error
    assert call(stimuli, *words, "--partial", models=("one",)) == 0
    assert "top1_acc/rotation/measured" in capsys.readouterr().out
    metrics = _metrics(call)
    assert metrics["top1_acc/rotation"]["value"] is None
    assert metrics["top1_acc/rotation/measured"]["n"] == 48
    assert metrics["top1_acc/ood_mean/1_datasets"]["n"] == 16
    assert "top1_acc/ood_mean/2_datasets" not in metrics


def test_wandb_is_told_again_what_was_scored_again(call, tmp_path, monkeypatch):
    told = []

    def mirror(summaries, mode):
        told.extend(json.loads(path.read_text()) for path in summaries)

    monkeypatch.setattr(wandb_mirror, "mirror", mirror)
    stimuli = write_data_set(tmp_path / "stimuli", "edge", 16)
    humans = str(_humans(tmp_path / "humans", ("edge",)))
    for given in ((), ("--humans", humans), ("--humans", humans)):
        assert call(stimuli, "--datasets", "edge", *given, models=("one",)) == 0
    first, again = told  # and nothing the third time
    assert first["scored_with"] == {"humans": None}
    assert again["scored_with"]["humans"].startswith("2 observers in 1 data set")
    assert again["identity"] == first["identity"]
    key = "error-consistency/edge"
    assert key not in first["metrics"]
    assert again["metrics"][key] == _metrics(call)[key]
