"""What a cell prints: in its log, and its end in memory, for a disk that is full keeps no log."""

import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

_TAIL = 4000  # bytes of a log that are kept, and in which the reason of a failure is looked for
_BLOCK = 65536
_LOOK = 0.1  # seconds between two looks at a log that another process holds
_LATE = 5.0  # seconds for the last words of a process that has ended


class Output:
    """A cell's log, which its process holds, too, and so longer than a driver that is killed.

    tail: the end of what the process has printed. A log that cannot be written (the disk is full)
    is done without; the tail has the reason.
    """

    def __init__(self, log: Path) -> None:
        self.tail = b""
        self.file: IO[bytes] | None = None
        with suppress(OSError):
            self.file = open(log, "a+b", buffering=0)  # noqa: SIM115  (closed in __exit__)
            os.utime(log)  # by which the cell is seen to have begun, before it prints anything

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Close the log."""
        if self.file:
            self.file.close()

    @property
    def held(self) -> tuple[int, ...]:
        """Return what a process must be given to hold the log for as long as it lives."""
        return (self.file.fileno(),) if self.file else ()

    def hold(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait until no other process holds the log, or `seconds`, or `stopped`; then shorten it.

        The operating system lets go of the log when the last process that holds it has ended.
        """
        deadline = time.monotonic() + seconds
        with suppress(OSError):  # a file system without locks, a full disk
            while self.file and not self._taken():
                if stopped() or time.monotonic() > deadline:
                    return
                time.sleep(_LOOK)
            self._shorten()

    def _taken(self) -> bool:
        try:
            fcntl.flock(self.held[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _shorten(self) -> None:
        if self.file:
            start = max(0, os.fstat(self.file.fileno()).st_size - _TAIL)
            self.file.seek(start)
            kept = self.file.read(_TAIL)
            if start:
                self.file.truncate(0)
                self.file.write(kept)

    def follow(self, process: subprocess.Popen) -> int:
        """Return the exit code of the process when it has ended; what it prints is taken down."""
        reader = threading.Thread(target=self._take, args=(process.stdout,), daemon=True)
        reader.start()
        code = process.wait()
        reader.join(_LATE)  # a process that it has left behind may keep the pipe open
        return code

    def _take(self, pipe: IO[bytes]) -> None:
        with pipe:
            while block := os.read(pipe.fileno(), _BLOCK):
                self.tail = (self.tail + block)[-_TAIL:]
                if self.file:
                    with suppress(OSError, ValueError):  # a full disk; a log that is closed
                        self.file.write(block)
