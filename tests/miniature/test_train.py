"""Training from the command line: what it writes, and what it refuses."""

import json

import pytest
import torch

from miniature import train, world
from miniature.measure import load
from miniature.recipes import Recipe

TINY = Recipe(per_class=2, epochs=2, batch_size=8, noise=0.1, epsilon=2 / 255)


@pytest.fixture
def tiny(monkeypatch):
    """Let every recipe be one that takes a second."""
    monkeypatch.setattr(train, "RECIPES", {"plain": TINY})
    monkeypatch.setattr(train, "HELD_OUT_PER_CLASS", 1)
    monkeypatch.setattr(world, "CONFLICT_INSTANCES", 1)
    train._images.cache_clear()
    yield
    train._images.cache_clear()


def test_unknown_recipes_are_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(["plain", "baroque"])
    assert stop.value.code == 2
    assert "baroque" in capsys.readouterr().err


def test_no_recipe_at_all_is_refused():
    with pytest.raises(SystemExit) as stop:
        train.main([])
    assert stop.value.code == 2


def test_a_run_writes_weights_and_their_log_and_keeps_other_entries(tiny, tmp_path, capsys):
    (tmp_path / train.LOG).write_text('{"other": {"seed": 3}}')
    threads = torch.get_num_threads()
    assert train.main(["plain", "--out", str(tmp_path), "--threads", str(threads)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"plain.safetensors", train.LOG}
    log = json.loads((tmp_path / train.LOG).read_text())
    assert log["other"] == {"seed": 3}
    assert log["plain"]["recipe"]["epochs"] == len(log["plain"]["curve"]) == 2
    assert sum(log["plain"][key] for key in ("shape", "texture", "neither")) == pytest.approx(
        1, abs=3e-4
    )
    first = (tmp_path / "plain.safetensors").read_bytes()
    assert train.main(["plain", "--out", str(tmp_path), "--threads", str(threads)]) == 0
    assert (tmp_path / "plain.safetensors").read_bytes() == first
    assert load(tmp_path / "plain.safetensors").head.weight.abs().sum() > 0
    assert f"held_out_accuracy {log['plain']['held_out_accuracy']}" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_one_sentence_and_exit_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train.main(["plain", "--out", str(tmp_path / "file")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
