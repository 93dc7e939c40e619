"""One process per device, as torchrun starts them; and signals that ask for an end."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from bvg.errors import UserError
from bvg.run.settings import best_device

_PLACE = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun says to each process
# The others wait while the first evaluates, which is as long as it takes.
_PATIENCE = timedelta(hours=12)
# Windows has no SIGUSR1.
ENDING = [
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name)
]


@dataclass(frozen=True)
class Processes:
    """A process among all: its number from 0, their count, and its device."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Return whether this process writes files and prints."""
        return self.rank == 0

    def mean(self, *values: float) -> list[float]:
        """Return the mean of each value over the processes."""
        if self.count == 1:
            return [*values]
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return (summed / self.count).tolist()

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.mean(0.0)


@contextmanager
def processes(device: str | None) -> Iterator[Processes]:
    """Yield this process's place among those that torchrun started, or alone.

    device: the flag's; by default each process has a GPU of its own, or all share the CPU.
    Raises UserError if there are fewer GPUs than processes, another process ends, or a scheduler
    has set WORLD_SIZE without torchrun.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1, best_device(device))
        return
    if lacking := [name for name in _PLACE if name not in os.environ]:
        raise UserError(
            f"WORLD_SIZE is {count}, but {', '.join(lacking)} are not set: start several processes "
            "with torchrun, or unset WORLD_SIZE for one"
        )
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    on_gpu = torch.cuda.is_available() if device is None else device == "cuda"
    own = best_device(f"cuda:{local}" if on_gpu else device or "cpu")
    if on_gpu:
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(rank, count, own)
    except RuntimeError as error:
        if "gloo" not in str(error) and not isinstance(error, distributed.DistError):
            raise
        raise UserError(
            "another of the processes has ended: its message, above, says why; run the same "
            "command again when that is solved"
        ) from error
    finally:
        distributed.destroy_process_group()


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Yield a list that receives the signals that ask the program to end, instead of its ending.

    These are SIGTERM and SIGUSR1, which schedulers send before they kill, and Ctrl-C, which ends
    the program at once the second time.
    """
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        if number == signal.SIGINT in received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, receive) for number in ENDING}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
