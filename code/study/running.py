"""Running cells: here, one after the other or one per GPU; and on a Ray cluster."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Protocol

from basics.errors import reason_of
from study.cells import CODE, Cell, Ending, Records
from study.output import Output

_LEASH = CODE / "study" / "leash.py"
_GRACE = 60.0  # seconds that cells have to write what they have
INTERRUPTED = 130


class Engine(Protocol):
    """What runs cells."""

    def submit(self, cell: Cell) -> "Future[Ending]":
        """Return the ending to come."""

    def close(self) -> None:
        """End what is running, which keeps what it has."""


class Processes:
    """The processes that are running, so that they can be ended."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen] = set()
        self.closed = False
        self.lock = threading.Lock()

    def start(
        self, command: list[str], log: Path, environment: dict[str, str]
    ) -> tuple[int, bytes]:
        """Return the exit code of the command, and the end of what it printed, which `log` has.

        What a killed driver has left is waited for: it writes what it has measured, and goes.
        """
        with Output(log) as output:
            output.hold(_GRACE, lambda: self.closed)
            with self.lock:
                if self.closed:
                    return INTERRUPTED, b""
                process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL, env=environment, pass_fds=output.held,
                )  # fmt: skip
                self.running.add(process)
            try:
                return output.follow(process), output.tail
            finally:
                self.running.discard(process)

    def end(self) -> None:
        """Ask them to end, and wait until they have written what they have."""
        with self.lock:
            self.closed = True
            for process in list(self.running):
                process.terminate()
        deadline = time.monotonic() + _GRACE
        for process in list(self.running):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


# Logs are UTF-8 whatever the terminal is: that is how the reason of a failure is read.
_UTF8 = {"PYTHONIOENCODING": "utf-8:backslashreplace"}


def run_cell(
    script: list[str], log: Path, processes: Processes, extra: dict[str, str] | None = None
) -> Ending:
    """Return how a script with its flags ended; one that was killed is started once more."""
    command = [sys.executable, str(_LEASH), str(os.getpid()), *script]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **_UTF8, **(extra or {})}
    begun = time.monotonic()
    for _ in range(2):
        code, said = processes.start(command, log, environment)
        if code >= 0 or processes.closed:
            break
    seconds = round(time.monotonic() - begun, 2)
    return Ending(code, seconds, _reason(code, said) if code else "", socket.gethostname())


def _reason(code: int, output: bytes) -> str:
    """Return why a script failed, in its own words where it has some."""
    if code < 0:
        kind = signal.Signals(-code).name
        return f"killed by {kind}" + (" (out of memory?)" if kind == "SIGKILL" else "")
    if code == INTERRUPTED:
        return "interrupted"
    lines = [line.strip() for line in re.split(r"[\r\n]+", output.decode(errors="replace"))]
    errors = [line for line in lines if line.startswith("error: ")]
    said = [*(line for line in lines if line)][-1:]
    return errors[-1].removeprefix("error: ") if errors else (said or [f"exit code {code}"])[0]


class Local:
    """Cells on this machine, as many at once as there are places.

    places: for each, what its cells find in the environment, such as their GPU.
    """

    def __init__(self, records: Records, places: list[dict[str, str]]) -> None:
        self.records = records
        self.processes = Processes()
        self.threads = ThreadPoolExecutor(len(places))
        self.places: Queue[dict[str, str]] = Queue()
        for place in places:
            self.places.put(place)

    def submit(self, cell: Cell) -> "Future[Ending]":
        """Return the ending to come."""
        return self.threads.submit(self._run, cell)

    def _run(self, cell: Cell) -> Ending:
        place = self.places.get()
        try:
            return run_cell(cell.command[1:], self.records.log(cell), self.processes, place)
        finally:
            self.places.put(place)

    def close(self) -> None:
        """End what is running, which keeps what it has."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.processes.end()
        self.threads.shutdown()


def ending_of(future: "Future[Ending]") -> Ending:
    """Return how a submitted cell ended; what its engine raised is a reason, too."""
    error = future.exception()
    if error is None:
        return future.result()
    return Ending(1, 0.0, f"{type(error).__name__}: {reason_of(error)}")


def without_data(cell: Cell) -> Ending:
    """Return the ending of a cell whose data are not here."""
    ways = " or ".join(f"{data.flag} DIR" for data in cell.absent)
    keys = " ".join(dict.fromkeys(data.key.partition("/")[0] for data in cell.absent))
    reason = f"the data are not here: give {ways}, or --data with {keys} in it"
    return replace(Ending(2, 0.0), reason=reason)
