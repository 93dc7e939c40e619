"""A script in a process of its own, to be killed: a fork, which has imported everything already."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Forked:
    """A process, whose standard output and standard error are the files out and err in `folder`."""

    process: multiprocessing.Process
    folder: Path

    def poll(self) -> int | None:
        """Return the exit code, or None as long as it runs."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Return what it wrote to standard output and to standard error, once it has ended.

        A process that takes longer than `timeout` seconds is killed; pytest would wait for it.
        """
        self.process.join(timeout)
        if self.poll() is None:
            self.process.kill()
            raise TimeoutError(f"it still ran after {timeout} seconds")
        return (self.folder / "out").read_text(), (self.folder / "err").read_text()


def forked(main: Callable[[], int], folder: Path) -> Forked:
    """Return a process that has begun to run `main`, and writes what it says to files in `folder`.

    main: returns the exit code.
    """
    process = multiprocessing.get_context("fork").Process(target=_run, args=(main, folder))
    process.start()
    return Forked(process, folder)


def _run(main: Callable[[], int], folder: Path) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    with open(1, "w") as sys.stdout, open(2, "w") as sys.stderr:
        sys.exit(main())
