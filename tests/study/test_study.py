"""Cells, plans, endings and whole calls of run_study.py, with scripts that take no time."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import run_study
from conftest import REPOSITORY, refusal
from model_zoo.table import zoo
from study.benchmarks import KINDS, lacking
from study.cells import cells_of, together
from study.driving import places_of
from study.models import expanded


def _run(folder: Path, *words: str) -> int:
    data = ["--data", str(folder / "data"), "--results", str(folder / "r")]
    return run_study.main([*data, "--no_report", *words])


def _starts(folder: Path, model: str) -> int:
    return len((folder / "r" / "fake" / model / "starts").read_text())


def test_every_eval_script_is_a_benchmark_of_the_study():
    scripts = {path.name for path in (REPOSITORY / "code").glob("eval_*.py")}
    assert {kind.script for kind in KINDS.values()} == scripts


def test_data_are_found_by_flag_variable_or_cache(tmp_path, monkeypatch):
    kind = KINDS["imagenet"]
    assert [data.flag for data in lacking(kind, None)] == ["--imagenet"]
    (tmp_path / "imagenet").mkdir()
    assert lacking(kind, tmp_path) == []
    monkeypatch.setenv("BVG_IMAGENET", str(tmp_path))
    assert lacking(kind, None) == []
    assert len(lacking(KINDS["imagenet_ood"], None)) == 4
    (tmp_path / "imagenet-r").mkdir()
    assert lacking(KINDS["imagenet_ood"], tmp_path) == []  # one of the four is enough


def test_without_benchmarks_all_are_taken_whose_data_are_here(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path / "cache"))
    words = ["--model", "a", "--data", str(tmp_path), "--results", str(tmp_path / "r")]
    for key in ("imagenet", "model-vs-human/cue-conflict"):
        (tmp_path / key).mkdir(parents=True)

    def scripts() -> list[str]:
        assert run_study.main([*words, "--print_commands"]) == 0
        return [Path(shlex.split(line)[1]).stem for line in capsys.readouterr().out.splitlines()]

    first = scripts()
    assert "eval_shape_bias" not in first and "eval_model_vs_human" in first
    assert "eval_imagenet_c" in first and "eval_imagenet_cbar" not in first  # to be generated
    (tmp_path / "imagenet-c").mkdir()
    assert sorted(scripts()) == sorted(first)  # the files instead
    assert not (tmp_path / "r").exists()


def test_models_are_names_categories_and_lists(tmp_path):
    (tmp_path / "list.txt").write_text("a  # the first\n\nb\n# none\ncategory:freezing\na\n")
    freezing = [m.name for m in zoo().values() if m.category == "freezing" and not m.unavailable]
    assert expanded(["b", f"@{tmp_path / 'list.txt'}"]) == ["b", "a", *freezing]
    assert "did you mean freezing" in refusal(expanded, ["category:freezin"])
    assert "cannot be read" in refusal(expanded, [f"@{tmp_path / 'none.txt'}"])
    miniature = expanded(["miniature_*"])
    assert len(miniature) == 20 and all(name.startswith("miniature_") for name in miniature)
    assert expanded(["own?.py:factory", "a=file://x*.pth"]) == [
        "own?.py:factory",
        "a=file://x*.pth",
    ]
    assert "no model of the zoo is called minature_*" in refusal(expanded, ["minature_*"])
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert "no model is left" in refusal(expanded, [f"@{tmp_path / 'empty.txt'}"])


def test_cells_are_the_commands_one_would_run_by_hand(kinds):
    cells = cells_of(["fake --limit 7"], ["a", "x=b"], kinds / "r", kinds / "data", ["--seed", "1"])
    assert [cell.title for cell in cells] == ["fake --limit 7 of a", "fake --limit 7 of x"]
    here, results = str(kinds / "data" / "here"), str(kinds / "r")
    assert cells[1].words == [
        *("--model", "x=b", "--images", here, "--limit", "7", "--results", results, "--seed", "1")
    ]
    assert shlex.split(cells[0].shell) == [sys.executable, str(kinds / "fake.py"), *cells[0].words]
    assert (cells[0].images, cells[0].inputs) == (7, 14)
    assert len({cell.name for cell in cells}) == 2
    (both,) = together(cells, 5)
    assert both.models == ("a", "x=b") and both.inputs == 28
    assert together(cells, 1) == cells


def test_what_makes_no_study_is_refused(kinds):
    where = (kinds / "r", kinds / "data", [])
    assert "no benchmark is called 'fak'" in refusal(cells_of, ["fak"], ["a"], *where)
    assert "is there twice" in refusal(cells_of, ["fake", "fake"], ["a"], *where)
    assert "RUNNAME=MODEL" in refusal(cells_of, ["fake"], ["m.py:a", "n.py:a"], *where)


def test_what_is_done_is_not_done_again(kinds, capsys):
    assert _run(kinds, "--model", "a", "b", "--benchmark", "fake") == 0
    assert "2 cells measured, 0 failed" in capsys.readouterr().out
    assert _run(kinds, "--model", "a", "b", "c", "--benchmark", "fake") == 0
    assert "3 cells, 2 of them done" in capsys.readouterr().out
    assert [_starts(kinds, name) for name in "abc"] == [1, 1, 1]
    assert _run(kinds, "--model", "a", "--benchmark", "fake", "--", "--limit", "9") == 0
    assert _starts(kinds, "a") == 2  # other flags: the script itself decides
    (kinds / "r" / "fake" / "b" / "summary.json").unlink()
    assert _run(kinds, "--model", "b", "--benchmark", "fake", "--again") == 0
    assert _starts(kinds, "b") == 2


def test_a_failing_cell_is_reported_and_the_others_go_on(kinds, capsys):
    models = ("bad", "raises", "deadly", "killed", "fine")
    assert _run(kinds, "--model", *models, "--benchmark", "absent", "fake") == 1
    out = capsys.readouterr().out
    assert "2 cells measured, 8 failed" in out
    assert "fake of bad: the model is bad: mend it\n" in out
    assert "fake of raises: ValueError: boom\n" in out
    assert "fake of deadly: killed by SIGKILL (out of memory?)\n" in out
    assert "absent of fine: the data are not here: give --images DIR, or --data with away" in out
    assert _starts(kinds, "killed") == 2 and _starts(kinds, "deadly") == 2  # tried once more
    (command,) = [line for line in out.splitlines() if line.startswith("    ") and " bad " in line
                  and "here" in line]  # fmt: skip
    assert subprocess.run(shlex.split(command), capture_output=True).returncode == 1
    record = json.loads((kinds / "r/.study/fake_of_bad.json").read_text())
    assert (record["code"], record["reason"]) == (1, "the model is bad: mend it")


def test_models_that_share_a_cell_are_measured_one_by_one_when_it_fails(kinds, capsys):
    words = ("--model", "a", "bad", "c", "--benchmark", "fake", "--together", "3")
    assert _run(kinds, *words) == 1
    out = capsys.readouterr().out
    assert "fake of a and 2 more: failed together (the model is bad: mend it)" in out
    assert "2 cells measured, 1 failed" in out
    assert _run(kinds, "--model", "a", "c", "--benchmark", "fake", "--together", "2") == 0
    assert "2 cells, 2 of them done" in capsys.readouterr().out


def test_commands_are_printed_instead_of_run(kinds, capsys):
    words = ("--model", "a", "b", "c", "--benchmark", "fake", "--print-commands", "--together", "2")
    assert _run(kinds, *words) == 0
    commands = capsys.readouterr().out.splitlines()
    assert len(commands) == 2 and " --model a b " in commands[0]


def test_cells_share_the_places(kinds, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert _run(kinds, "--model", *"abcdef", "--benchmark", "fake") == 0
    seen = {(kinds / "r/fake" / name / "summary.json").read_text() for name in "abcdef"}
    assert seen == {"0", "1"}


def test_processors_are_shared_out_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert places_of(None) == [{}]
    assert places_of(4) == [{"OMP_NUM_THREADS": "2"}] * 4
    assert places_of(20) == [{"OMP_NUM_THREADS": "1"}] * 20
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert places_of(4) == [{}] * 4


def test_a_folder_that_cannot_be_written_is_said_at_once(kinds, capsys):
    (kinds / "r").write_text("a file")
    assert _run(kinds, "--model", "a", "--benchmark", "fake") == 2
    assert "cannot write" in capsys.readouterr().err


DRIVER = """
import sys
from pathlib import Path
import run_study
import study.cells
from cell_helpers import fake_kinds
found = fake_kinds(Path(sys.argv[1]))
study.cells.KINDS = run_study.KINDS = found
sys.exit(run_study.main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="cells end with their driver on Linux only")
@pytest.mark.parametrize("how", (signal.SIGKILL, signal.SIGTERM))
def test_cells_end_with_their_driver_and_a_new_one_goes_on(tmp_path, how):
    (tmp_path / "driver.py").write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'code'}:{REPOSITORY / 'tests'}"}
    words = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path), "--no_report"]
    words += ["--data", str(tmp_path / "data"), "--results", str(tmp_path / "r")]
    words += ["--benchmark", "fake", "--model", "a", "slow"]
    driver = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    pid = tmp_path / "r" / "fake" / "slow" / "pid"
    deadline = time.monotonic() + 120
    while not pid.exists() or not pid.read_text():
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    driver.send_signal(how)
    driver.wait(60)
    assert driver.returncode == (130 if how == signal.SIGTERM else -signal.SIGKILL)
    while Path(f"/proc/{pid.read_text()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (tmp_path / "r/.study/fake_of_slow.json").exists()
    assert (tmp_path / "r/.study/fake_of_a.json").exists()
