"""Progress on long work: a bar on a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

LINE_SECONDS = 30.0  # between two lines of a log


class Meter:
    """Bytes ("B") or files done, of `total` if that is known; a context manager with add(n)."""

    def __init__(self, what: str, unit: str, total: int | None = None, done: int = 0) -> None:
        self.what, self.unit, self.total, self.first = what, unit, total, done
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=total,
            initial=done,
            unit=unit if unit == "B" else f" {unit}",
            unit_scale=unit == "B",
            desc=what,
            disable=not self.terminal,
        )
        self.done = done
        self.begun = self.said = time.monotonic()

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bar."""
        self.bar.close()

    def add(self, count: int) -> None:
        """Show that `count` more are done."""
        self.done += count
        self.bar.update(count)
        now = time.monotonic()
        if not self.terminal and now - self.said >= LINE_SECONDS:
            self.said = now
            print(f"{self.what}: {self._line(now)}", file=sys.stderr, flush=True)

    def _line(self, now: float) -> str:
        rate = (self.done - self.first) / max(now - self.begun, 1e-9)
        if self.unit != "B":
            return f"{self.done:,} {self.unit}"
        if not self.total:
            return f"{size(self.done)}, {size(rate)}/s"
        remaining = left((self.total - self.done) / rate if rate else 0)
        return f"{size(self.done)} of {size(self.total)}, {size(rate)}/s, {remaining}"


def left(seconds: float) -> str:
    """Return a remaining time as people read it: "28 s left", "5 min left"."""
    return (f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s") + " left"


def size(count: float) -> str:
    """Return a number of bytes as people read it: "688 MB", "1.3 GB" (powers of 1000)."""
    for unit in ("bytes", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
