"""Cells, plans, skipping and whole calls of run_study.py, with scripts that take no time."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import run_study
from bvg.progress import duration
from bvg.run.engines import devices_for
from conftest import REPOSITORY
from run_study import BENCHMARKS, Cell, has_data


def _run(folder: Path, *words: str) -> int:
    data = ["--data", str(folder / "data"), "--results", str(folder / "r")]
    more = () if "--benchmark" in words else ("--benchmark", "fake")
    return run_study.main([*data, "--no_report", *more, *words])


def _starts(folder: Path, model: str) -> int:
    return len((folder / "r" / "fake" / model / "starts").read_text())


def _commands(capsys, *words: str) -> list[list[str]]:
    capsys.readouterr()
    assert run_study.main([*words, "--print-commands"]) == 0
    return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


def test_every_eval_script_is_a_benchmark_of_the_study():
    scripts = {path.name for path in (REPOSITORY / "code").glob("eval_*.py")}
    assert {kind.script for kind in BENCHMARKS.values()} == scripts


def _inputs(name: str, *flags: str) -> int:
    return Cell(name, BENCHMARKS[name], ("m",), flags, Path("r")).inputs


def test_model_inputs_are_those_of_the_published_data_sets():
    assert {name: _inputs(name) for name in BENCHMARKS} == {
        "imagenet": 50_000,
        "imagenet_real": 46_837,
        "imagenet_ood": 98_389,
        "imagenet_c": 4_750_000,
        "imagenet_c_generated": 96 * 50_000,
        "imagenet_cbar": 2_500_000,
        "imagenet_p": 31 * 500_000,
        "model_vs_human": 18_080,
        "shape_bias": 1_280,
        "model_vs_human_lowpass": 5 * 18_080,
        "shape_bias_lowpass": 5 * 1_280,
        "refined_bias": 6_000,
        "css": 144,
        "frequency_cue_conflict": 1_280,
        "imagenet9": 8 * 4_050,
        "stylized_imagenet": 50_000,
        "laion_c": 130_000,
        "laion_c_generated": 21 * 4_800,
        "spectral": 23 * 50_000,
        "criticalband": 29 * 50_000,
        "critical_band_masking": 1_050,
        "suppression": 5 * 50_000,
        "imagenet_w": 2 * 50_000,
        "adv": 50_000 * (2 + 1 + 40 * 2 + 1),
    }


@pytest.mark.parametrize(
    ("name", "flags", "inputs"),
    [
        ("imagenet", ("--limit", "10"), 10),
        ("imagenet", ("--limit=60000",), 50_000),
        ("imagenet_c", ("--limit", "10"), 950),  # of each condition
        ("imagenet_p", ("--limit", "3"), 31 * 30),
        ("spectral", ("--limit", "5", "--seed", "1", "--limit", "7"), 23 * 7),
    ],
)
def test_a_limit_counts(name, flags, inputs):
    assert _inputs(name, *flags) == inputs


def test_data_are_found_by_flag_variable_or_cache(tmp_path, monkeypatch):
    imagenet, ood = BENCHMARKS["imagenet"], BENCHMARKS["imagenet_ood"]
    assert not has_data(imagenet, ()) and not has_data(ood, ())
    assert has_data(imagenet, ["--imagenet", "x"]) and has_data(ood, ["--imagenet-r=x"])
    (tmp_path / "imagenet-r").mkdir()
    flags = run_study.data_flags(ood, tmp_path)
    assert flags == ["--imagenet_r", str(tmp_path / "imagenet-r")] and has_data(ood, flags)
    monkeypatch.setenv("BVG_IMAGENET", str(tmp_path))
    assert has_data(imagenet, ())
    monkeypatch.setenv("BVG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "data" / "imagenet-sketch").mkdir(parents=True)
    assert has_data(ood, ())


def test_without_benchmarks_all_are_taken_whose_data_are_here(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run_study.metadata, "distributions", lambda name: [])
    words = ["--model", "a", "--data", str(tmp_path), "--results", str(tmp_path / "r")]
    assert run_study.main([*words, "--print_commands"]) == 2
    for key in ("imagenet", "model-vs-human/cue-conflict", "human-decisions"):
        (tmp_path / key).mkdir(parents=True)
    first = {Path(command[1]).stem: command for command in _commands(capsys, *words)}
    assert "eval_shape_bias" not in first
    filtered = ["--blur" in command for command in _commands(capsys, *words)]
    assert filtered.count(True) == 1
    assert {"--stimuli", "--humans"} < {*first["eval_model_vs_human"]}
    assert "--generate" in first["eval_imagenet_c"] and "eval_imagenet_cbar" not in first
    (tmp_path / "imagenet-c").mkdir()
    second = {Path(command[1]).stem: command for command in _commands(capsys, *words)}
    assert {*second} == {*first} and "--generate" not in second["eval_imagenet_c"]
    monkeypatch.setattr(run_study.metadata, "distributions", lambda name: [name])
    assert "eval_imagenet_w" not in first
    assert any("eval_imagenet_w" in command[1] for command in _commands(capsys, *words))
    assert not (tmp_path / "r").exists()


def test_cells_are_the_commands_one_would_type(fake, capsys):
    words = ["--data", str(fake / "data"), "--results", str(fake / "r"), "--model", "a", "x=b", "c"]
    words += ["--together", "2", "--benchmark", "fake --limit 7", "absent"]
    first, second, absent, _ = _commands(capsys, *words)
    start = [sys.executable, str(fake / "fake.py"), "--model"]
    flags = ["--images", str(fake / "data" / "here"), "--limit", "7", "--results", str(fake / "r")]
    assert first == [*start, "a", "x=b", *flags]
    assert second == [*start, "c", *flags]
    assert absent == [*start, "a", "x=b", "--results", str(fake / "r")]
    assert not (fake / "r").exists()


def test_benchmarks_on_the_same_crops_keep_them(tmp_path, capsys):
    (tmp_path / "imagenet").mkdir()
    words = ["--data", str(tmp_path), "--results", str(tmp_path / "r"), "--model", "a"]
    kept = ["--cache_crops", str(tmp_path / "r" / ".study" / "crops")]

    def keeps(*more: str) -> dict[str, bool]:
        commands = _commands(capsys, *words, *more)
        return {Path(c[1]).stem: " ".join(kept) in " ".join(c) for c in commands}

    assert keeps("--benchmark", "spectral", "imagenet", "suppression") == {
        "eval_spectral": True,
        "eval_imagenet": True,
        "eval_suppression": False,
    }
    assert not any(keeps("--benchmark", "spectral", "suppression").values())
    assert not any(keeps("--no_crop_cache", "--benchmark", "spectral", "imagenet").values())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--model", "a", "--benchmark", "fak"), "'fak'"),
        (("--model", "a", "--benchmark", " "), "''"),
        (("--model", "m.py:a", "n.py:a"), "RUNNAME=MODEL"),
        (("--model", "a", "--benchmark", "fake", "absent"), "--data"),
    ],
)
def test_what_makes_no_study_is_refused_before_anything_runs(fake, capsys, words, named):
    assert _run(fake, *words) == 2
    assert named in capsys.readouterr().err
    assert not (fake / "r").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--workers", "0"),
        ("--together", "x"),
        ("--rate", "0"),
        ("--benchmark", "fake '"),
        ("--benchmark", ""),
    ],
)
def test_what_is_no_value_of_a_flag_is_refused(fake, words):
    with pytest.raises(SystemExit):
        _run(fake, "--model", "a", *words)


def test_what_is_done_is_not_done_again(fake, capsys):
    assert _run(fake, "--model", "a", "b") == 0
    assert "2 cells completed, 0 failed" in capsys.readouterr().out
    assert _run(fake, "--model", "a", "b", "c") == 0
    assert "3 cells, 2 already done" in capsys.readouterr().out
    assert [_starts(fake, name) for name in "abc"] == [1, 1, 1]
    assert _run(fake, "--model", "a", "--", "--limit", "9") == 0
    assert _starts(fake, "a") == 2  # other flags: the script itself decides


def _without_summary(folder: Path) -> None:
    (folder / "fake/a/summary.json").unlink()


def _another_result(folder: Path) -> None:
    (folder / "fake/a/summary.json").write_text("measured by hand, with other flags")


def _under_way(folder: Path) -> None:
    (folder / "fake/a/partial").mkdir()


def _unrecorded(folder: Path) -> None:
    (folder / ".study/fake_of_a.json").unlink()


@pytest.mark.parametrize("disturb", [_without_summary, _another_result, _under_way, _unrecorded])
def test_what_is_not_certainly_done_is_left_to_the_script(fake, disturb):
    assert _run(fake, "--model", "a") == 0
    disturb(fake / "r")
    assert _run(fake, "--model", "a") == 0
    assert _starts(fake, "a") == 2
    assert _run(fake, "--model", "a") == 0
    assert _starts(fake, "a") == 2


def test_a_command_with_several_results_is_done_while_all_of_them_are_there(fake):
    script = fake / "fake.py"
    both = "(arguments.results / 'fake_two' / model).mkdir(parents=True, exist_ok=True)\n"
    both += "(arguments.results / 'fake_two' / model / 'summary.json').touch()\n"
    script.write_text(script.read_text() + both)
    assert _run(fake, "--model", "a") == 0
    assert _run(fake, "--model", "a") == 0
    assert _starts(fake, "a") == 1
    (fake / "r/fake_two/a/summary.json").unlink()
    assert _run(fake, "--model", "a") == 0
    assert _starts(fake, "a") == 2


def test_a_later_result_of_other_flags_changes_nothing(fake):
    assert _run(fake, "--model", "a") == 0
    other = fake / "r/fake_two/a/summary.json"  # another attack's, say
    other.parent.mkdir(parents=True)
    other.touch()
    assert _run(fake, "--model", "a") == 0
    assert _starts(fake, "a") == 1


@pytest.mark.parametrize(
    ("model", "name"), [("x=file://{}", "x.pth"), ("{}:x", "x.py"), ("x=./{}:y", "x.py")]
)
def test_a_model_whose_file_is_newer_than_its_result_is_not_done(fake, monkeypatch, model, name):
    monkeypatch.chdir(fake)
    (fake / name).touch()
    words = ("--model", model.format(name))
    script = fake / "fake.py"
    script.write_text(script.read_text().replace("in arguments.model:", "in ['x']:", 1))
    assert _run(fake, *words) == 0
    assert _run(fake, *words) == 0
    assert _starts(fake, "x") == 1
    (fake / name).write_text("other weights")
    assert _run(fake, *words) == 0
    assert _starts(fake, "x") == 2


def test_a_failing_cell_is_reported_and_the_others_run(fake, capsys):
    models = ("bad", "raises", "deadly", "fine", "good")
    assert _run(fake, "--model", *models) == 1
    out = capsys.readouterr().out
    assert "2 cells completed, 3 failed" in out
    assert "fake of bad: the model is bad: replace it\n" in out
    assert "fake of raises: ValueError: boom\n" in out
    assert "fake of deadly: killed by SIGKILL" in out
    (command,) = [line for line in out.splitlines() if line.startswith("    ") and " bad " in line]
    assert subprocess.run(shlex.split(command), capture_output=True).returncode == 1
    log = (fake / "r/.study/fake_of_bad.log").read_text()
    assert log.startswith(f"$ {command.strip()}\nsome output\n")
    assert _run(fake, "--model", *models) == 1
    assert [_starts(fake, name) for name in ("fine", "deadly", "bad")] == [1, 2, 3]


def test_models_that_share_a_cell_are_run_one_by_one_when_it_fails(fake, capsys):
    assert _run(fake, "--model", "a", "bad", "c", "--together", "3") == 1
    out = capsys.readouterr().out
    assert "fake of a and 2 more: failed: the model is bad: replace it\n" in out
    assert "2 cells completed, 1 failed" in out
    assert _run(fake, "--model", "a", "c", "--together", "2") == 0
    assert "2 cells, 2 already done" in capsys.readouterr().out


@pytest.mark.parametrize("together", ["1", "2"])
def test_what_another_process_is_writing_is_tried_again_at_the_end(fake, capsys, together):
    assert _run(fake, "--model", "busy", "a", "b", "last", "--together", together) == 0
    assert "4 cells completed, 0 failed" in capsys.readouterr().out
    assert (_starts(fake, "busy"), _starts(fake, "last")) == (2, 1)


def test_cells_share_the_gpus(fake, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _run(fake, "--model", *"abcdef") == 0
    seen = {(fake / "r/fake" / name / "summary.json").read_text() for name in "abcdef"}
    assert seen == {"0", "1"}


def test_gpus_are_those_that_the_scheduler_gave(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 3")
    found = [device["CUDA_VISIBLE_DEVICES"] for device in devices_for(3)]
    assert found == ["5", "3", "5"]


def test_processors_are_shared_out_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert devices_for(None) == [{}]
    assert devices_for(4) == [{"OMP_NUM_THREADS": "2"}] * 4
    assert devices_for(20) == [{"OMP_NUM_THREADS": "1"}] * 20
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert devices_for(4) == [{}] * 4


def test_a_folder_that_cannot_be_written_is_said_at_once(fake, capsys):
    (fake / "r").write_text("a file")
    assert _run(fake, "--model", "a") == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_process_that_a_script_has_left_behind_does_not_hold_up_the_study(fake, capsys):
    (fake / "fake.py").write_text(
        "import pathlib, subprocess, sys\n"
        "print('error: no way', flush=True)\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(fake / 'pid')!r}).write_text(str(left.pid))\n"
        "sys.exit(2)"
    )
    assert _run(fake, "--model", "a") == 1
    os.kill(int((fake / "pid").read_text()), signal.SIGKILL)  # is still there
    assert "fake of a: no way\n" in capsys.readouterr().out


@pytest.fixture
def drawing(fake, monkeypatch):
    """Return what runs a study with figures, and says for how many models each were drawn."""
    monkeypatch.setattr(run_study, "report", lambda *unused: True)
    drawn = []
    run = run_study.run

    def watched(cells, engine):  # the last call of a study is for the figures
        drawn.append([len(cell.models) for cell in cells])
        return run(cells, engine)

    monkeypatch.setattr(run_study, "run", watched)

    def study(models: str, together: int) -> list[int]:
        where = ["--data", str(fake / "data"), "--results", str(fake / "r"), "--benchmark", "fake"]
        run_study.main([*where, "--model", *models.split(), "--together", str(together)])
        return drawn[-1]

    return study


def test_what_was_measured_one_by_one_is_drawn_together_once(drawing, fake):
    assert drawing("a b c", 1) == [3]
    assert _starts(fake, "a") == 2
    assert drawing("a b c", 1) == []
    assert drawing("a b c d", 1) == [4]  # d is new
    assert drawing("a b c d", 1) == []


def test_one_command_of_all_models_has_drawn_them_itself(drawing):
    assert drawing("a b c", 3) == []
    assert drawing("a b c", 3) == []
    assert drawing("a b c d", 3) == [4]


def test_a_model_that_failed_is_left_out_of_the_figures(drawing):
    assert drawing("a bad c", 3) == [2]
    assert drawing("a", 1) == []


def test_figures_that_cannot_be_drawn_cost_nothing_else(drawing, fake, capsys):
    script = fake / "fake.py"
    begin = "for model in arguments.model:"
    crowded = "if len(arguments.model) > 1: sys.exit('error: too many at once')\n"
    script.write_text(script.read_text().replace(begin, crowded + begin))
    assert drawing("a b", 1) == [2]
    out = capsys.readouterr().out
    assert "2 cells completed, 0 failed" in out and "too many at once" in out
    assert drawing("a b", 1) == []


def _planned(capsys, name: str) -> list[str]:
    return next(
        line.split() for line in capsys.readouterr().out.splitlines() if line.split()[:1] == [name]
    )


def test_a_dry_run_counts_what_is_left_and_writes_nothing(fake, capsys):
    words = ["--model", "a", "b", "c", "--benchmark", "fake", "absent", "--dry_run"]
    words += ["--rate", "10", "--workers", "2"]
    assert _run(fake, *words) == 0
    assert _planned(capsys, "all") == ["all", "6", "0", "900", "45", "s"]  # two at once
    assert not (fake / "r").exists()
    assert _run(fake, "--model", "a") == 0
    capsys.readouterr()
    assert _run(fake, *words) == 0
    assert _planned(capsys, "fake") == ["fake", "3", "1", "400", "40", "s"]
    assert _run(fake, "--model", "a", "--dry_run", "--rate", "10") == 0
    assert _planned(capsys, "fake") == ["fake", "1", "1", "0", "0", "s"]


def test_the_time_is_that_of_what_has_run(fake, capsys, monkeypatch):
    words = ["--model", *"abc", "--benchmark", "fake", "absent", "--dry_run"]
    assert _run(fake, *words) == 0
    assert _planned(capsys, "fake")[-1] == "unknown"
    run_here = run_study.run_here

    def slowly(devices, commands):
        for number, code, _ in run_here(devices, commands):
            yield number, code, 50.0

    monkeypatch.setattr(run_study, "run_here", slowly)
    assert _run(fake, "--model", "a") == 0  # 200 inputs: 4 a second
    capsys.readouterr()
    assert _run(fake, *words) == 0
    assert _planned(capsys, "fake") == ["fake", "3", "1", "400", "2", "min"]
    assert _run(fake, *words) == 0
    assert _planned(capsys, "absent") == ["absent", "3", "0", "300", "75", "s"]
    (fake / "r/fake/b").mkdir()  # something was done before: its time says nothing
    assert _run(fake, "--model", "b") == 0
    a, b = (run_study.read(fake / f"r/.study/fake_of_{name}.json") for name in "ab")
    assert a["seconds"] == 50.0 and "seconds" not in b


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40, "40 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h"), (5e5, "5.8 days")],
)
def test_times_as_people_read_them(seconds, text):
    assert duration(seconds) == text


DRIVER = """
import sys
from pathlib import Path
import run_study
from bvg.data import finding
from cell_helpers import DATA, fake_benchmarks
run_study.BENCHMARKS = fake_benchmarks(Path(sys.argv[1]))
run_study.data_sets = finding.data_sets = lambda: DATA
sys.exit(run_study.main(sys.argv[2:]))
"""


def test_a_study_that_is_interrupted_ends_its_cells(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'code'}:{REPOSITORY / 'tests'}"}
    words = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path), "--no_report"]
    words += ["--data", str(tmp_path / "data"), "--results", str(tmp_path / "r")]
    words += ["--benchmark", "fake", "--model", "a", "slow"]
    driver = subprocess.Popen(words, env=environment)
    pid = tmp_path / "r" / "fake" / "slow" / "pid"
    while not pid.exists() or not pid.read_text():
        assert driver.poll() is None
        time.sleep(0.05)
    driver.terminate()
    assert driver.wait() == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    done = (tmp_path / "r" / ".study").glob("*.json")
    assert [path.name for path in done] == ["fake_of_a.json"]
