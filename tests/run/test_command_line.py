"""The guard around every script: what becomes a sentence, and which exit code it has."""

import argparse
import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from bvg.errors import UserError
from bvg.run.command_line import guarded, parse_args, positive_number
from bvg.run.settings import best_device
from conftest import REPOSITORY


def _raising(error: BaseException):
    def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("fix this"), 2, "error: fix this\n"),
        (OSError(errno.ENOSPC, "x", "/r/f"), 2, "cannot write /r/f: no space is left on the disk"),
        (FileNotFoundError(errno.ENOENT, "x", "/d/a.png"), 2, "/d/a.png no longer exists"),
        (torch.OutOfMemoryError("CUDA out of memory."), 2, "--batch_size"),
        (KeyboardInterrupt(), 130, "the same command resumes"),
    ],
)
def test_mishaps_are_one_sentence(error, code, words, capsys):
    assert guarded(_raising(error)) == code
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        guarded(_raising(ZeroDivisionError()))


def test_a_traceback_is_there_for_who_asks(monkeypatch, capsys):
    monkeypatch.setenv("BVG_DEBUG", "1")
    assert guarded(_raising(UserError("fix this"))) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error():
    script = (
        "import sys; from bvg.run.command_line import guarded\n"
        "def work():\n    for n in range(100000): print(n)\n    return 0\n"
        "sys.exit(guarded(work))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "code")},
    )
    assert process.stdout.readline() == b"0\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_flags_take_dashes_and_values_keep_theirs():
    words = ["--model", "a-b", "--batch-size=7", "--skip-bad-images", "--num_workers", "0"]
    arguments = parse_args("x", words)
    assert arguments.model == ["a-b"]
    assert (arguments.batch_size, arguments.num_workers) == (7, 0)
    assert arguments.skip_bad_images


@pytest.mark.parametrize("words", [["--results", ""], ["--results="], ["--model", "a", ""]])
def test_an_empty_value_is_no_folder(words, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_args("x", ["--model", "a", *words])
    assert stop.value.code == 2
    assert "empty value after --" in capsys.readouterr().err.replace("after a", "after --")


def test_the_home_is_known_where_shells_leave_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_args("x", ["--model", "a", "--results=~/r"]).results == tmp_path / "r"
    assert parse_args("x", ["--model", "a~/b", "--arch=~x"]).arch == "~x"


def test_models_of_a_repeated_flag_are_added():
    arguments = parse_args("x", ["--model", "a", "b", "--limit", "4", "--model", "c"])
    assert arguments.model == ["a", "b", "c"]
    assert parse_args("x", ["--model", "d"]).model == ["d"]


def test_digits_are_not_grouped_by_underscores():
    """A key's 2_5 is no 25."""
    with pytest.raises(argparse.ArgumentTypeError):
        positive_number("2_5")
    assert positive_number("2.5") == 2.5


def test_the_best_device_is_what_there_is(monkeypatch):
    assert best_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert best_device(None) == torch.device("cpu")
    for name in ("abacus", "meta"):  # the latter computes nothing
        with pytest.raises(UserError, match=f"'{name}' is unavailable"):
            best_device(name)


def test_a_named_gpu_becomes_the_current_one_whose_events_are_waited_for(monkeypatch):
    current = []
    monkeypatch.setattr(torch, "zeros", lambda *size, device: np.zeros(size))
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert best_device("cuda:1") == torch.device("cuda:1")
    assert best_device("cuda") == torch.device("cuda")
    assert best_device("cpu") == torch.device("cpu")
    assert current == [torch.device("cuda:1")]
