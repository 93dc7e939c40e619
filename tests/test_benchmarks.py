"""The measurements of benchmarks/ run and write their tables; how fast anything is, is no test."""

import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import bench
import conditions
import corruptions
import decoding
import gpu
import revisions
from bvg.errors import UserError
from inputs import Inputs
from measuring import Cost, in_turns, timed
from table import row

NUMBERS = ["here_clock_ms", "there_clock_ms", "clock_ratio"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a folder for tables and the miniature world, which is drawn once."""
    return tmp_path_factory.mktemp("bench")


def test_every_part_writes_its_lines(results, monkeypatch):
    package = SimpleNamespace(corrupt=lambda image, severity, corruption_name: image.copy())
    monkeypatch.setitem(sys.modules, "imagecorruptions", package)
    few = {
        "corruptions": partial(corruptions.imagenet_c_rows, names=("contrast",)),
        "decoding": partial(decoding.decoding, workers=(0,)),
    }
    for part, smaller in few.items():
        monkeypatch.setitem(bench.PARTS, part, smaller)
    one = {"one condition": conditions.SCRIPTS["one condition"]}
    monkeypatch.setitem(bench.PARTS, "runs", partial(conditions.runs, scripts=one))
    parts = [part for part in bench.PARTS if part != "revisions"]
    words = ["--limit", "1", "--batch_size", "1", "--turns", "1", "--steps", "1", "--device", "cpu"]
    assert bench.main(["--parts", *parts, *words, "--results", str(results)]) == 0
    table = pd.read_csv(results / "bench.csv")
    expected = {"stimuli": 2, "runs": 1, "attacks": 3, "corruptions": 1}
    assert table["part"].value_counts().to_dict() == {**expected, "decoding": 1}
    assert (table[NUMBERS] > 0).all(axis=None)
    for about in ("date", "commit", "device", "cpu", "versions"):
        assert table[about].notna().all()
    text = (results / "bench.md").read_text(encoding="utf-8")
    assert sum(line.startswith("|") for line in text.splitlines()) == len(table) + 2
    assert f"torch {torch.__version__.split('+')[0]}" in text
    attacked = table[table["part"] == "attacks"]["note"]
    assert attacked.str.contains("of 1 misclassified, 0 differ").all()


def test_what_is_missing_is_named(results, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)  # as if not installed
    words = ["--limit", "1", "--device", "cpu", "--results", str(results)]
    assert bench.main(["--parts", "corruptions", *words]) == 2
    assert "make bench" in capsys.readouterr().err
    assert bench.main(["--parts", "stimuli", *words, "--model", "resnet50"]) == 2
    assert "--imagenet" in capsys.readouterr().err


def test_where_a_second_goes(results, monkeypatch):
    monkeypatch.setattr(gpu, "MINIATURE_NETWORK", "miniature_plain")
    words = ["--limit", "1", "--batch_size", "1", "--device", "cpu", "--results", str(results)]
    words += ["--workloads", "spectral", "pgd", "--precision", "fp32", "bf16"]
    assert gpu.main(words) == 0
    table = pd.read_csv(results / "gpu.csv").set_index(["workload", "precision"])
    # A clean image and 22 filtered ones; of an attack, 2 decisions, 2 answers, 40 gradients.
    assert table["inputs"].to_list() == [23, 23, 84, 84]
    assert table.loc[(slice(None), "fp32"), "ratio"].to_list() == [1, 1]
    shares = table[["model", "stimuli", "waiting", "rest"]]
    assert (shares >= 0).all(axis=None)
    assert shares.sum(axis=1).to_list() == pytest.approx([1] * 4)
    assert table.loc[("pgd", "fp32"), "stimuli"] > table.loc[("pgd", "fp32"), "model"]
    assert table["busy"].isna().all()


def test_the_time_that_kernels_cover_is_counted_once():
    spans = [(0.0, 2.0), (1.0, 3.0), (1.5, 2.5), (5.0, 6.0)]
    assert gpu.covered(spans) == 4


def test_ratios_are_those_of_turns():
    here = [Cost(1.0, 2.0), Cost(4.0, 1.0), Cost(2.0, 1.0)]
    there = [Cost(3.0, 2.0), Cost(4.0, 5.0), Cost(10.0, 4.0)]
    found = row("part", "what", "images", "other", here, there)
    assert (found.cpu_ratio, found.clock_ratio) == (4, 3)  # medians of 1 5 4, and of 3 1 5
    assert (found.here_cpu_ms, found.there_clock_ms, found.turns) == (1000, 4000, 3)


def test_sides_take_turns():
    order = []
    sides = {name: lambda name=name: order.append(name) or Cost(1, 1) for name in "ab"}
    costs = in_turns(sides, 2)
    assert order == ["a", "b", "a", "b"]
    assert [len(each) for each in costs.values()] == [2, 2]


def test_time_of_child_processes_counts():
    spin = "import time\nwhile time.process_time() < 0.2: pass"
    cost = timed(lambda: subprocess.run([sys.executable, "-c", spin], check=True))
    assert cost.cpu >= 0.15


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return a git repository whose script logs which of its two commits ran it."""
    folder = tmp_path / "clone"
    (folder / "code").mkdir(parents=True)
    monkeypatch.setattr(revisions, "ROOT", folder)
    git = partial(subprocess.run, cwd=folder, check=True, capture_output=True)
    git(["git", "init", "-q"])
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for commit in ("old", "new"):
        script = "from pathlib import Path\n\n\ndef main(words):\n"
        script += f"    with Path(words[1]).open('a') as log:\n        log.write('{commit} ')\n"
        (folder / "code" / "eval_it.py").write_text(script + "    return 0\n")
        if commit == "new":
            (folder / "code" / "eval_added.py").write_text(script + "    return 0\n")
        git(["git", "add", "-A"])
        git(["git", *identity, "commit", "-q", "-m", commit])
    return folder


def test_a_commit_is_run_in_turns_with_the_working_tree(clone, tmp_path, capsys):
    log = tmp_path / "log"
    inputs = Inputs("none", str(log), tmp_path, (), torch.device("cpu"), 1, 1, 2)
    benchmarks = {"it": ("eval_it", []), "added": ("eval_added", [])}
    (found,) = revisions.revisions(inputs, None, benchmarks)
    assert found.what == "it" and found.turns == 2
    # One to warm up, then in turns; what the older commit lacks was tried once.
    assert log.read_text().split() == ["new", "old", "new", "old", "new", "old", "new"]
    assert "added" in capsys.readouterr().out
    listed = revisions.git("worktree", "list").splitlines()
    assert len(listed) == 1


def test_an_unknown_commit_is_refused(clone, tmp_path):
    inputs = Inputs("none", "m", tmp_path, (), torch.device("cpu"), 1, 1, 1)
    with pytest.raises(UserError, match="--against"):
        next(revisions.revisions(inputs, "v99"))
