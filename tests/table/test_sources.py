import json

import pytest

from bvg.scores.metric import Metric
from bvg.table.sources import from_folder
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


def test_nothing_there_is_said(tmp_path):
    assert "--results" in refusal(from_folder, tmp_path / "no")
    assert "no finished result" in refusal(from_folder, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"metrics": {}}', '{"metrics": {"a": {"b": 1}}}'])
def test_a_broken_summary_is_named(text, tmp_path):
    folder = finish(tmp_path, "imagenet", "a", {})
    (folder / "summary.json").write_text(text)
    assert f"{folder / 'summary.json'} cannot be read" in refusal(from_folder, tmp_path)


def test_another_format_is_refused(tmp_path):
    path = finish(tmp_path, "imagenet", "a", {}) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    assert "has format 2, not 1" in refusal(from_folder, tmp_path)
