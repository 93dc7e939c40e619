"""Two ways of doing the same work, measured in turns.

Other programs, clock rates and caches change from minute to minute, so that only measurements
beside each other can be compared: each turn measures every side once, ratios are taken within a
turn, and the median of the turns is reported. CPU time is measured as well as the clock, because it
counts less of what other programs do. Nothing here decides whether a number is good enough.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Last, so that PYTHONPATH can name the code of another commit (revisions.py).
sys.path.append(str(Path(__file__).resolve().parents[1] / "code"))

from bvg.errors import UserError


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of CPU time of a process and its finished children."""

    clock: float
    cpu: float

    def per(self, count: int) -> "Cost":
        """Return the cost of one of `count` units of the work."""
        return Cost(self.clock / count, self.cpu / count)


Side = Callable[[], Cost]  # one way of doing the work


def timed(work: Callable[[], object]) -> Cost:
    """Return what `work` costs, including what it leaves a GPU to do."""
    clock, cpu = time.perf_counter(), _cpu()
    work()
    torch = sys.modules.get("torch")  # not imported for work that does without it
    if torch and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return Cost(time.perf_counter() - clock, _cpu() - cpu)


def _cpu() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def in_turns(sides: Mapping[str, Side], turns: int) -> dict[str, list[Cost]]:
    """Return the costs of each side, in the order of the turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            costs[name].append(side())
    return costs


def whole_run(main: Callable[[list[str]], int], words: list[str]) -> Cost:
    """Return the cost of a script's main function with these words, and results of its own."""
    with tempfile.TemporaryDirectory() as results, contextlib.redirect_stdout(io.StringIO()):
        codes: list[int] = []
        cost = timed(lambda: codes.append(main([*words, "--results", results])))
    if codes != [0]:
        raise UserError(f"a run to be measured failed (its words: {' '.join(words)}): see above")
    return cost
