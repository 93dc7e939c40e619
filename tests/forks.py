"""Processes for tests that kill them: forked from the test's own, which has imported PyTorch."""

import os
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch


def fork(function: Callable[..., int], *arguments, said: Path, **environment: str) -> ForkProcess:
    """Return a process that has begun with `function`, whose result will be its exit code.

    What it prints is written to the files `said`.out and `said`.err.
    """

    def run() -> None:
        torch.set_num_threads(1)  # OpenMP's other threads are not copied, and would be waited for
        os.environ.update(environment)
        for number, name in ((1, "out"), (2, "err")):
            with open(f"{said}.{name}", "wb") as file:
                os.dup2(file.fileno(), number)
            setattr(sys, f"std{name}", os.fdopen(number, "w", 1, "utf-8", closefd=False))
        sys.exit(function(*arguments))

    process = get_context("fork").Process(target=run)
    process.start()
    return process
