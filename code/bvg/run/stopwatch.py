"""Where the time goes, also on a GPU that works ahead of the program."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Seconds by section. On CUDA, sections are timed by events and read when they are settled."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._on_cuda = device.type == "cuda"
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Add the time that the block takes on the device to `name`."""
        if self._on_cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._events.append((name, begin, end))
        else:
            started = time.perf_counter()
            yield
            self.seconds[name] += time.perf_counter() - started

    def settle(self) -> None:
        """Add up the events that the device has finished."""
        while self._events and self._events[0][2].query():
            name, begin, end = self._events.pop(0)
            self.seconds[name] += begin.elapsed_time(end) / 1000

    def take(self) -> dict[str, float]:
        """Return the seconds since the last call, and reset them."""
        taken = dict(self.seconds)
        self.seconds.clear()
        return taken
