"""A study of real scripts in which cells fail in every way; the others run, and it is put right."""

import shutil
from dataclasses import dataclass

import pytest
import torch

import run_study
from bvg.zoo.loading import load_model
from miniature.draw import save
from miniature.sets import SETS
from real_study_helpers import small_disk
from run_study import report

# Each has a fault as long as there is a file of the fault's name beside this one.
MODELS = """
from pathlib import Path

import torch

from bvg.zoo.checkpoints import read_checkpoint
from bvg.zoo.loading import load_model

HERE = Path(__file__).parent
BALLAST = HERE / "disk" / "ballast"


def boom():
    raise RuntimeError("boom")


def too_large():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def full_disk():
    with open(BALLAST, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


class Faulty(torch.nn.Module):
    def __init__(self, fault):
        super().__init__()
        self.inner, self.fault = load_model("miniature_plain"), fault
        self.classes = self.inner.classes

    def forward(self, x):
        if len(x) > 5 and (HERE / self.fault.__name__).exists():
            self.fault()
        return self.inner(x)


def raising(): return Faulty(boom)
def greedy(): return Faulty(too_large)
def filling(): return Faulty(full_disk)


def broken():
    model = load_model("miniature_plain")
    model.load_state_dict(read_checkpoint(HERE / "broken.pth"))
    return model


def freeing():
    BALLAST.unlink(missing_ok=True)
    return load_model("miniature_plain")
"""
FAULTS = ("boom", "too_large", "full_disk")
NAMES = ("miniature_plain", "raising", "greedy", "broken", "filling", "freeing")
FINE = ("miniature_plain", "greedy", "freeing")
REASONS = {
    "imagenet --limit 16 of raising": "model raising failed on images of shape (16, 3, 224, 224) "
    "(RuntimeError: boom): fix the model or drop it from --model",
    "imagenet --limit 16 of broken": "broken.pth is only part of a checkpoint: it may be "
    "truncated: copy or download it again",
    "imagenet --limit 16 of filling": "no space is left on the disk; free some space and re-run "
    "the same command",
}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Return a folder with 16 pictures of each of two of the miniature's sets."""
    folder = tmp_path_factory.mktemp("few")
    for name in ("imagenet", "imagenet-sketch"):
        for picture in SETS[name].pictures(1):
            if picture.number == 1:
                save(name, 0, folder / name, picture)
    return folder


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", "8m") as disk:
        yield disk


@dataclass(frozen=True)
class Outcome:
    """What a study ended with, and its page."""

    code: int
    out: str
    err: str
    page: str


@pytest.fixture
def study(tmp_path, disk, few, capfd):
    """Return what runs the study, whose results are on the small disk."""
    file = tmp_path / "faulty.py"
    file.write_text(MODELS)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "imagenet").symlink_to(few / "imagenet")
    words = ["--data", str(tmp_path / "data"), "--results", str(disk / "r"), "--together", "6"]
    words += ["--model", NAMES[0], *(f"{file}:{name}" for name in NAMES[1:])]

    def run(*benchmarks: str) -> Outcome:
        code = run_study.main([*words, "--benchmark", *benchmarks, "--", "--device", "cpu"])
        return Outcome(code, *capfd.readouterr(), (disk / "r" / "report.html").read_text())

    return run


def test_a_study_runs_on_says_what_failed_and_why_and_can_be_put_right(tmp_path, disk, few, study):
    checkpoint = tmp_path / "broken.pth"
    torch.save(load_model("miniature_stylised").state_dict(), checkpoint)
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    for fault in FAULTS:
        (tmp_path / fault).touch()

    first = study("imagenet --limit 16")
    assert first.code == 1
    assert "3 cells completed, 3 failed" in first.out  # too large a batch is halved
    lines = first.out.partition("3 cells completed")[2].splitlines()
    for title, reason in REASONS.items():
        (number,) = [
            k
            for k, line in enumerate(lines)
            if line.startswith(f"{title}: ") and line.endswith(reason)
        ]
        command = lines[number + 1]
        assert "eval_imagenet.py --model" in command and f":{title.split()[-1]} " in command
        assert f"{title} failed: " in first.page
    assert "Traceback" not in first.out + first.err
    done = {disk / "r/imagenet" / name / "summary.json" for name in FINE}
    assert set(disk.glob("r/*/*/summary.json")) == done
    times = {path: path.stat().st_mtime_ns for path in done}

    for fault in FAULTS:
        (tmp_path / fault).unlink()
    checkpoint.write_bytes(whole)
    (tmp_path / "data" / "imagenet-sketch").symlink_to(few / "imagenet-sketch")
    second = study("imagenet --limit 16", "imagenet_ood --limit 16")
    assert (second.code, "Traceback" in second.err) == (0, False)
    assert "12 cells, 3 already done" in second.out
    assert "9 cells completed, 0 failed" in second.out
    assert "failed: " not in second.page.partition("<script")[0]
    assert {path: path.stat().st_mtime_ns for path in done} == times
    assert len(list(disk.glob("r/*/*/summary.json"))) == 12


@pytest.mark.parametrize(("room", "file"), [(4096, "provenance.json"), (400_000, "report.html")])
def test_a_disk_that_is_full_at_the_end_is_said(disk, undisturbed, capfd, room, file):
    shutil.copytree(undisturbed / "r", disk / "r")
    usage = shutil.disk_usage(disk)
    (disk / "ballast").write_bytes(b"0" * (usage.free - room))
    assert not report(disk / "r", [])
    error = capfd.readouterr().err
    assert file in error and error.endswith(
        "no space is left on the disk; free some space and re-run the same command\n"
    )
    assert "Traceback" not in error
    assert not list(disk.rglob("*.tmp"))
