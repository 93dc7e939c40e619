import json
from types import SimpleNamespace

import pytest
import wandb

from bvg.scores.metric import Metric
from bvg.table.sources import from_folder, from_wandb
from collection_helpers import finish, imagenet
from conftest import refusal


def test_finished_results_are_read_and_unfinished_ones_named(tmp_path):
    finish(tmp_path, "imagenet_real", "b", {"top1_acc/imagenet-real": Metric(None, note="why")})
    folder = finish(tmp_path, "imagenet", "a", imagenet(70))
    (folder / "partial").mkdir()
    (tmp_path / "imagenet" / "c" / "partial").mkdir(parents=True)
    (tmp_path / "miniature" / "val").mkdir(parents=True)
    results, notes = from_folder(tmp_path)
    assert [(r.benchmark, r.model) for r in results] == [("imagenet", "a"), ("imagenet_real", "b")]
    assert results[0].metrics["top1_acc/imagenet"] == Metric(70, 69, 71, 50_000)
    assert results[1].metrics["top1_acc/imagenet-real"].note == "why"
    assert results[0].source == "imagenet/a"
    assert "is being re-run" in notes[0]
    assert "incomplete" in notes[1]
    assert "private" not in json.dumps(results[0].record)


def test_results_copied_in_part_are_named(tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(70))
    (finish(tmp_path, "imagenet", "b", {}) / "summary.json").rename(
        tmp_path / "imagenet" / "b" / "predictions.parquet"
    )
    (tmp_path / "imagenet" / "c").symlink_to(tmp_path / "nowhere")
    results, notes = from_folder(tmp_path)
    assert [result.model for result in results] == ["a"]
    assert ["b has no summary.json" in notes[0], "c has no summary.json" in notes[1]] == [True] * 2


@pytest.mark.parametrize("given", ["", "results/imagenet"])
def test_the_folder_above_or_below_is_named(given, tmp_path):
    finish(tmp_path / "results", "imagenet", "a", imagenet(70))
    assert f"give {tmp_path / 'results'} with" in refusal(from_folder, tmp_path / given)


def test_nothing_there_is_said(tmp_path):
    assert "--results" in refusal(from_folder, tmp_path / "no")
    assert "no finished result" in refusal(from_folder, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"metrics": {}}', '{"metrics": {"a": {"b": 1}}}'])
def test_a_broken_summary_is_named(text, tmp_path):
    folder = finish(tmp_path, "imagenet", "a", {})
    (folder / "summary.json").write_text(text)
    assert f"{folder / 'summary.json'} cannot be read" in refusal(from_folder, tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"identity": {}},
        {"identity": []},
        {"identity": {"benchmark": "imagenet", "model": None}},
        {"metrics": []},
        {"images": None},
        *(
            {"metrics": {"top1_acc/imagenet": {"value": v}}}
            for v in ("7,6", True, [76], float("nan"))
        ),
        {"metrics": {"top1_acc/imagenet": {"value": 76, "low": "75"}}},
    ],
)
def test_an_edited_summary_is_named(changed, tmp_path):
    path = finish(tmp_path, "imagenet", "a", imagenet(70)) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    assert f"{path} cannot be read" in refusal(from_folder, tmp_path)


def test_another_format_is_refused(tmp_path):
    path = finish(tmp_path, "imagenet", "a", {}) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    assert "has format 2, not 1" in refusal(from_folder, tmp_path)


class FakeApi:
    """W&B's Api as far as it is used: projects, and their runs, oldest first."""

    def __init__(self):
        runs = [run("a", 60.0), run("a", 70.0), run("b", 50.0, "crashed")]
        self.kept = {"us/imagenet": runs}

    def projects(self, entity):
        return [SimpleNamespace(name="imagenet"), SimpleNamespace(name="cats")]

    def runs(self, path, order):
        assert order == "+created_at"
        return self.kept[path]


def run(name: str, value: float, state: str = "finished") -> SimpleNamespace:
    key = "top1_acc/imagenet"
    interval = {f"interval/{key}/low": value - 1, f"interval/{key}/high": value + 1}
    summary = {key: value, **interval, "_runtime": 3, "note": "x", "done": True}
    summary["undefined"] = float("nan")
    config = {"benchmark": "imagenet", "protocol": {"limit": None}, "other": 1}
    return SimpleNamespace(
        name=name, id=f"id{value:g}", state=state, config=config, summary_metrics=summary
    )


@pytest.mark.parametrize("projects", [["us/imagenet"], ["us"]])
def test_finished_runs_are_read_and_the_newest_counts(projects, monkeypatch):
    monkeypatch.setattr(wandb, "Api", FakeApi)
    results, notes = from_wandb(projects)
    assert len(results) == 1
    assert results[0].metrics == {"top1_acc/imagenet": Metric(70.0, 69.0, 71.0)}
    assert results[0].identity == {"benchmark": "imagenet", "protocol": {"limit": None}}
    assert results[0].source == "wandb:us/imagenet/id70"
    assert notes == [
        "wandb:us/imagenet/id60 (a) is older than wandb:us/imagenet/id70",
        "wandb:us/imagenet/id50 (b) is crashed and is skipped",
    ]


def test_without_login_network_or_project_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(wandb, "Api", FakeApi)
    assert "W&B could not be read" in refusal(from_wandb, ["us/gone"])

    def no_login():
        raise wandb.errors.UsageError("No API key configured.\nUse wandb login")

    monkeypatch.setattr(wandb, "Api", no_login)
    assert "(No API key configured)" in refusal(from_wandb, ["us/imagenet"])
