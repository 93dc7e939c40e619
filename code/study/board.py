"""Progress of a study: a bar on a terminal, plain lines in a log, and a line per cell."""

import sys
import time
from collections.abc import Iterable

from tqdm import tqdm

from basics.progress import LINE_SECONDS, left
from study.cells import Cell, Ending

_PATIENCE = 50  # a look at the disk waits that many times as long as the last one took
_BAR = "study {percentage:3.0f}%|{bar:12}| {desc}"


class Board:
    """Model inputs done of all that are to be done, and models' cells that have ended.

    The rate counts what was done since the beginning; what was on disk before is only less to do.
    """

    def __init__(self, cells: list[Cell]) -> None:
        self.total, self.ended = sum(len(cell.models) for cell in cells), 0
        self.inputs = sum(cell.inputs for cell in cells)
        self.before = {cell: cell.inputs_done() for cell in cells}
        self.now = dict(self.before)  # inputs of each cell that are on disk
        self.open = set(cells)
        self.begun = self.said = time.monotonic()
        self.next_look = 0.0
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(total=100, disable=not self.terminal, bar_format=_BAR)

    def tick(self, running: Iterable[Cell]) -> None:
        """Show what the running cells have done."""
        begin = time.monotonic()
        if begin < self.next_look:
            return
        running = [*running]
        for cell in running:
            self.now[cell] = max(self.now[cell], cell.inputs_done())
        self.next_look = time.monotonic() + _PATIENCE * (time.monotonic() - begin)
        names = ", ".join(cell.title for cell in running[:2])
        more = f" and {len(running) - 2} more" if len(running) > 2 else ""
        if self.terminal:
            self.bar.n = min(100, 100 * self._behind() / max(self.inputs, 1))
            self.bar.set_description_str(f"{self._state()}; {names}{more}")
        elif running and begin - self.said >= LINE_SECONDS:
            self.said = begin
            print(f"study: {self._state()}; {names}{more}", file=sys.stderr, flush=True)

    def end(self, cell: Cell, ending: Ending) -> None:
        """Show that a cell has ended."""
        self.ended += len(cell.models)
        self._close(cell, ending.is_done)
        fate = (
            f"done in {duration(ending.seconds)}" if ending.is_done else f"failed: {ending.reason}"
        )
        _say(f"[{self.ended}/{self.total}] {cell.title}: {fate} ({self._pace()})")

    def split(self, cell: Cell, ending: Ending) -> list[Cell]:
        """Say that the models of a cell that failed are measured one by one; return their cells."""
        self._close(cell, False)
        singles = cell.single()
        for one in singles:
            self.before[one] = self.now[one] = one.inputs_done()
        self.inputs += sum(one.inputs for one in singles) - cell.inputs
        self.open |= {*singles}
        _say(f"{cell.title}: failed together ({ending.reason}); now one by one")
        return singles

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()

    def _close(self, cell: Cell, done: bool) -> None:
        self.open.discard(cell)
        if done:
            self.now[cell] = cell.inputs

    def _behind(self) -> float:
        """Return the inputs that nobody waits for any more."""
        return self.inputs - sum(cell.inputs - self.now[cell] for cell in self.open)

    def _pace(self) -> str:
        gained = sum(self.now[cell] - self.before[cell] for cell in self.now)
        rate = gained / max(time.monotonic() - self.begun, 1e-9)
        if not self.open:
            return f"{short(rate)} inputs/s"
        rest = left((self.inputs - self._behind()) / rate) if rate else "no rate yet"
        return f"{short(rate)} inputs/s, {rest}"

    def _state(self) -> str:
        done = f"{short(self._behind())}/{short(self.inputs)} inputs"
        return f"{self.ended}/{self.total} cells, {done}, {self._pace()}"


def _say(line: str) -> None:
    """Print a line above the bar, at once also where it goes to a file."""
    tqdm.write(line)
    sys.stdout.flush()


def short(count: float) -> str:
    """Return a large number as people read it: 950, 12.3k, 4.8M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 10 * size or (count >= size and unit != "k"):
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"


def duration(seconds: float) -> str:
    """Return a time as people read it: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, digits in (("days", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"
