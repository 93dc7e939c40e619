"""Runs of train.py in processes of their own, forked from one that has imported it.

python driver.py FOLDER WORDS…: one run that two processes share, as torchrun starts them, in
FOLDER/shared, and one that is killed before its third checkpoint, in FOLDER/killed. The exit code
is 0 if that is how they ended.
"""

import os
import signal
import socket
import sys

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


def ranks(count: int, words: list[str]) -> bool:
    """Return whether processes that train together have succeeded; one that fails ends all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    running = {start(words, RANK=str(k), LOCAL_RANK=str(k), **common) for k in range(count)}
    succeeded = True
    while running:
        process, status = os.wait()
        running.remove(process)
        if status and succeeded:
            succeeded = False
            for other in running:
                os.kill(other, signal.SIGKILL)
    return succeeded


def killed(words: list[str]) -> bool:
    """Return whether a run that kills itself after its third update has ended so."""
    add, left = train.Meter.add, [3]

    def then_kill(self, count: int) -> None:
        add(self, count)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    train.Meter.add = then_kill
    _, status = os.waitpid(start(words), 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


if __name__ == "__main__":
    folder, words = sys.argv[1], sys.argv[2:]
    both = [
        ranks(2, [*words, "--chunk_size", "8", "--out", f"{folder}/shared"]),
        killed([*words, "--chunk_size", "8", "--save_every", "1", "--out", f"{folder}/killed"]),
    ]
    sys.exit(not all(both))
