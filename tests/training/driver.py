"""Runs of train.py in processes of their own, forked from one that has imported it.

python driver.py ranks N WORDS…      as torchrun does, on the CPU
python driver.py kill FILE WORDS…    until FILE is there; then SIGKILL
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch

import train

torch.set_num_threads(1)
train.training_figure = lambda *arguments: []


def start(words: list[str], **environment: str) -> int:
    """Return the id of a process that trains."""
    process = os.fork()
    if process == 0:
        os.environ.update(environment)
        code = 1
        try:
            code = train.main(words)
        finally:
            sys.stdout.flush()
            os._exit(code)
    return process


def ranks(count: int, words: list[str]) -> int:
    """Return the highest exit code of processes that train together, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [start(words, RANK=str(k), LOCAL_RANK=str(k), **common) for k in range(count)]
    return max(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in started)


def kill(file: Path, words: list[str]) -> int:
    """Return the signal that ended the process: SIGKILL, unless it ended before."""
    add = train.Meter.add

    def slowly(self, count: int) -> None:
        time.sleep(0.2)
        add(self, count)

    train.Meter.add = slowly
    process = start(words)
    while not file.exists() and os.waitpid(process, os.WNOHANG) == (0, 0):
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    return -os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    shared = ranks(2, [*words, "--chunk_size", "8", "--out", f"{folder}/shared"])
    more = ["--chunk_size", "8", "--save_every", "1", "--out", f"{folder}/killed"]
    killed = kill(folder / "killed" / "resume.pt", [*words, *more])
    sys.exit(shared or killed != signal.SIGKILL)
