"""Studies of real scripts: the miniature world, models that witness what they are shown, disks."""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

import collect
import run_study
from conftest import draw
from forks import fork
from miniature.world import CATEGORIES

TABLES = ("benchmark.csv", "intervals.csv", "models.csv")
# Miniature models, which note each image that they are shown, and wait where they are told to.
WITNESSES = """
import os
import time
import zlib
from pathlib import Path

import torch

from bvg.zoo.loading import load_model

HERE = Path(__file__).parent


class Witness(torch.nn.Module):
    def __init__(self, name, base):
        super().__init__()
        self.inner = load_model(base)
        self.classes, self.name, self.images = self.inner.classes, name, 0

    def forward(self, x):
        with open(HERE / f"{self.name}.seen", "a") as file:
            file.write("".join(f"{zlib.crc32(image.numpy().tobytes())}\\n" for image in x))
        self.images += len(x)
        hold = HERE / f"{self.name}.hold"
        while hold.exists() and self.images > int(hold.read_text()):
            pid = HERE / f"{self.name}.pid"
            if not pid.exists():
                pid.write_text(str(os.getpid()))
            time.sleep(0.02)
        return self.inner(x)


def first(): return Witness("first", "miniature_plain")
def second(): return Witness("second", "miniature_stylised")
"""
PROBED = 7  # images that a process begins with: two pictures alone, and five as a batch
PROBED_AFTER = 1  # and a finished one ends with
HOLD = PROBED + 288  # and 18 batches of 20: one chunk is on disk, the last is under way


def world(folder: Path) -> Path:
    """Return `folder` with pictures of no meaning, named like the miniature's validation set."""
    for label, name in enumerate(CATEGORIES):
        for number in range(20):
            file = f"val/{name}/ILSVRC2012_val_{16 * number + label + 1:08d}.JPEG"
            draw(folder / "imagenet" / file, 16 * number + label, (256, 256))
    return folder


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Yield a file system of some size at `folder`, or skip the test where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system needs the right to mount one (root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def words_of(folder: Path, data: Path, *more: str) -> list[str]:
    """Return what run_study.py is given for the study of the witnesses in `folder`."""
    file = folder / "witnesses.py"
    file.write_text(WITNESSES)
    return [
        *("--data", str(data), "--results", str(folder / "r"), "--benchmark", "imagenet"),
        *("--model", f"{file}:first", f"{file}:second", "miniature_blur", *more),
        *("--", "--wandb", "disabled", "--device", "cpu"),
    ]


def run(folder: Path, data: Path, *more: str) -> int:
    """Return the exit code of the study in `folder`."""
    return run_study.main(words_of(folder, data, *more))


def begin(folder: Path, data: Path, said: Path, *more: str) -> ForkProcess:
    """Return the study in `folder`, as a process, which prints to `said`.out and `said`.err."""
    return fork(run_study.main, words_of(folder, data, *more), said=said)


def hold(folder: Path, model: str) -> None:
    """Let a model wait in the last chunk of `imagenet`."""
    (folder / f"{model}.hold").write_text(str(HOLD))


def held(folder: Path, model: str) -> int:
    """Return the process that waits in the last chunk, once it does."""
    path = folder / f"{model}.pid"
    deadline = time.monotonic() + 120
    while not (pid := path.read_text() if path.exists() else ""):
        assert time.monotonic() < deadline, f"{model} was never shown so many images"
        time.sleep(0.02)
    return int(pid)


def go_on(folder: Path, model: str) -> None:
    """Let a model wait no longer."""
    (folder / f"{model}.hold").unlink()


def kill(folder: Path, model: str) -> None:
    """Kill the process that waits; the next one will not."""
    pid = held(folder, model)
    os.kill(pid, signal.SIGSTOP)
    go_on(folder, model)
    (folder / f"{model}.pid").unlink()
    os.kill(pid, signal.SIGKILL)


def seen(folder: Path, model: str) -> Counter[str]:
    """Return how often each image was shown to a model."""
    return Counter((folder / f"{model}.seen").read_text().split())


def tables(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the collected table's files."""
    out = folder / "collected"
    assert collect.main(["--results", str(folder / "r"), "--out", str(out)]) == 0
    return {name: (out / name).read_bytes() for name in TABLES}
