"""Where the commands of a study run, on this machine or on a Ray cluster, and why they failed."""

import logging
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from bvg.errors import UserError, reason_of, storage_error


class Local:
    """Commands on this machine, one in each of `places`: what it finds in its environment."""

    def __init__(self, places: list[dict[str, str]]) -> None:
        self.free = list(places)
        self.running: dict[subprocess.Popen, tuple[dict[str, str], float]] = {}

    def has_room(self) -> bool:
        """Return whether another command can start."""
        return bool(self.free)

    def start(self, command: list[str], log: Path) -> subprocess.Popen:
        """Start a command whose output is appended to `log`; return what stands for it."""
        place = self.free.pop(0)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **place}
        try:
            output = open(log, "ab")  # noqa: SIM115
        except OSError:  # the disk is full, say: the command may yet find room
            output = open(os.devnull, "ab")  # noqa: SIM115
        with output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        self.running[process] = place, time.monotonic()
        return process

    def ended(self, process: subprocess.Popen) -> tuple[int, float] | None:
        """Return exit code and seconds of a command, or None while it runs."""
        if process.poll() is None:
            return None
        place, begun = self.running.pop(process)
        self.free.append(place)
        return process.returncode, time.monotonic() - begun

    def close(self) -> None:
        """Interrupt the commands that still run, and wait until they have saved their work."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()


class OnRay:
    """Commands as tasks of a Ray cluster, whose nodes share the code, the data and the results.

    address: of a running cluster; None starts one on this machine. gpus: for each command; None: 1
    where a node has one. Raises UserError when Ray is not installed or the cluster does not answer,
    and when no node has what a command needs, for which Ray would wait forever.
    """

    def __init__(self, address: str | None, gpus: float | None, cpus: float) -> None:
        try:
            import ray

            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except ImportError as error:
            raise UserError("--engine ray needs Ray: pip install 'ray>=2.40'") from error
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"the Ray cluster {address or 'on this machine'} does not answer "
                f"({reason_of(error)}): start one with ray start --head"
            ) from error
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = min(1, max(node.get("GPU", 0) for node in nodes)) if gpus is None else gpus
        if not any(node.get("GPU", 0) >= gpus and node.get("CPU", 0) >= cpus for node in nodes):
            ray.shutdown()
            raise UserError(
                f"no node of the Ray cluster has {gpus:g} GPU(s) and {cpus:g} CPU(s): ask for less "
                "with --gpus_per_cell and --cpus_per_cell"
            )

        @ray.remote(num_gpus=gpus, num_cpus=cpus, max_retries=3)
        def run(command: list[str], log: str) -> tuple[int, float]:
            begun = time.monotonic()
            with open(log, "ab") as output:
                process = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                while process.poll() is None:
                    time.sleep(0.2)
            finally:  # a task that is cancelled interrupts its command
                process.terminate()
                process.wait()
            return process.returncode, time.monotonic() - begun

        self.ray, self.run = ray, run
        self.running: dict[Any, Path] = {}

    def has_room(self) -> bool:
        """Return True: Ray has a queue of its own."""
        return True

    def start(self, command: list[str], log: Path) -> Any:
        """Submit a command whose output is appended to `log`; return what stands for it."""
        task = self.run.remote(command, str(log))
        self.running[task] = log
        return task

    def ended(self, task: Any) -> tuple[int, float] | None:
        """Return exit code and seconds of a command, or None while it waits or runs."""
        if not self.ray.wait([task], timeout=0)[0]:
            return None
        log = self.running.pop(task)
        try:
            return self.ray.get(task)
        except Exception as error:  # whatever Ray says of a task that it gave up
            write_line(log, f"error: {type(error).__name__}: {reason_of(error)}")
            return 1, 0.0

    def close(self) -> None:
        """Cancel the commands that still run, and leave the cluster."""
        for task in self.running:
            self.ray.cancel(task)
        if self.running:
            self.ray.wait(list(self.running), num_returns=len(self.running), timeout=60)
        self.ray.shutdown()


def places_of(workers: int | None) -> list[dict[str, str]]:
    """Return the environment of each place for a command: a GPU, or a share of the processors.

    There are as many places as GPUs (those of CUDA_VISIBLE_DEVICES, where it is set), else one, or
    as many as `workers` says; more workers than GPUs share them.
    """
    import torch  # here, because it takes seconds, and printing commands does without

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    number = workers or count or 1
    if count:
        gpus = [name.strip() for name in visible.split(",")]
        return [{"CUDA_VISIBLE_DEVICES": gpus[k % count]} for k in range(number)]
    if number == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{}] * number
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // number))}] * number


def reason_in(log: Path, start: int, code: int) -> str:
    """Return why a command failed: in its own words, where its log has some from `start` on."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    try:
        with open(log, "a+b", buffering=0) as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - 10_000))
            said = file.read().decode(errors="replace")
            file.write(f"exit code {code}\n".encode())
    except OSError as error:  # the disk is full, which the command could not say either
        return str(storage_error(error, log))
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return [f"exit code {code}", *lines[-1:], *errors[-1:]][-1]


def write_line(path: Path, line: str) -> bool:
    """Append a line to a file, and return whether that was possible."""
    try:
        with open(path, "ab", buffering=0) as file:
            file.write(f"\n{line}\n".encode())  # the line before may have been cut off by a kill
    except OSError:
        return False
    return True
