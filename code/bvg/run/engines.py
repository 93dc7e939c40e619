"""Where the commands of a study run: on this machine, or as tasks of a Ray cluster.

An engine takes commands, each with the log that its output is appended to, and yields the number,
exit code and seconds of each as it ends. When it is closed, those that still run get SIGTERM, on
which they save their work.
"""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from bvg.errors import UserError, reason_of

Commands = Sequence[tuple[list[str], Path]]
Ended = Generator[tuple[int, int, float], None, None]
Engine = Callable[[Commands], Ended]


def run_here(devices: Sequence[dict[str, str]], commands: Commands) -> Ended:
    """Yield how each command ended, run here, one at a time on each device (see `devices_for`)."""
    waiting = deque(enumerate(commands))
    running: dict[int, tuple[int, subprocess.Popen, float]] = {}  # by the number of the device
    try:
        while waiting or running:
            for place, device in enumerate(devices):
                if place in running and running[place][1].poll() is not None:
                    number, process, begun = running.pop(place)
                    yield number, process.returncode, time.monotonic() - begun
                if place not in running and waiting:
                    number, (command, log) = waiting.popleft()
                    with open(log, "ab") as output:
                        process = subprocess.Popen(
                            command,
                            stdin=subprocess.DEVNULL,
                            stdout=output,
                            stderr=output,
                            env={**os.environ, **device},
                        )
                    running[place] = number, process, time.monotonic()
            time.sleep(0.2)
    finally:
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.wait()


def on_ray(gpus: float | None, cpus: float) -> Engine:
    """Return an engine of Ray tasks; Ray restarts those of a lost worker or node.

    On the cluster at RAY_ADDRESS, else on that of this machine, which is started if necessary.
    gpus, cpus: for each command; None: a GPU if there are any. Raises UserError when Ray is not
    installed or the cluster does not answer.
    """
    try:
        import ray

        ray.init(ignore_reinit_error=True)
    except ImportError as error:
        raise UserError("--engine ray needs Ray: pip install 'ray>=2.40'") from error
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"the Ray cluster does not answer ({reason_of(error)}): start one with ray start "
            "--head, or correct RAY_ADDRESS"
        ) from error
    if gpus is None:
        gpus = min(1, ray.cluster_resources().get("GPU", 0))

    @ray.remote(num_gpus=gpus, num_cpus=cpus, max_retries=3)
    def run(command: list[str], log: Path) -> tuple[int, float]:
        begun = time.monotonic()
        with open(log, "ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                time.sleep(0.2)
        finally:  # a task that is cancelled ends its command
            process.terminate()
            process.wait()
        return process.returncode, time.monotonic() - begun

    def engine(commands: Commands) -> Ended:
        tasks = {run.remote(*command): number for number, command in enumerate(commands)}
        try:
            while tasks:
                (task,), _ = ray.wait([*tasks])
                number = tasks.pop(task)
                try:
                    code, seconds = ray.get(task)
                except ray.exceptions.RayError as error:  # it has given the task up
                    code, seconds = 1, 0.0
                    with open(commands[number][1], "a", encoding="utf-8") as log:
                        log.write(f"error: {type(error).__name__}: {reason_of(error)}\n")
                yield number, code, seconds
        finally:
            for task in tasks:
                ray.cancel(task)
            ray.wait([*tasks], num_returns=len(tasks), timeout=60)

    return engine


def devices_for(workers: int | None) -> list[dict[str, str]]:
    """Return the environment variables of each place for a command: a GPU, or a share of the cores.

    There are as many as `workers`, which share the GPUs (those of CUDA_VISIBLE_DEVICES, if set);
    for None, one for each GPU, or a single one.
    """
    import torch  # here, because it takes seconds, and printing commands does without

    count = torch.cuda.device_count()
    number = workers or count or 1
    if count:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
        gpus = visible.replace(" ", "").split(",")
        return [{"CUDA_VISIBLE_DEVICES": gpus[k % count]} for k in range(number)]
    if number == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{}] * number
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // number))}] * number


def reason_in(log: Path, code: int) -> str:
    """Return why a command failed: its last error, else the last line of its output."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    said = log.read_text(encoding="utf-8", errors="replace").splitlines()[1:]  # after the command
    lines = [line.strip() for line in said if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return [f"exit code {code}", *lines, *errors][-1]
