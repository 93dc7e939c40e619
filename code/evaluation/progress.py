"""Progress on long work: a bar on a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

LINE_SECONDS = 30.0  # between two lines of a log


class Progress:
    """Images done, of `total`; use as a context manager and call update(done)."""

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what = total, what
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(total=total, unit="img", desc=what, disable=not self.terminal)
        self.begun: tuple[float, int] | None = None
        self.said = time.monotonic()

    def __enter__(self) -> "Progress":
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

    def update(self, done: int) -> None:
        """Show that `done` images are behind us (a resumed run starts above 0)."""
        if self.begun is None:
            self.begun = (time.monotonic(), done)
            self.bar.initial = done
        self.bar.update(done - self.bar.n)
        now = time.monotonic()
        known = done > self.begun[1]  # one batch has no rate yet
        if known and not self.terminal and now - self.said >= LINE_SECONDS:
            self.said = now
            print(f"{self.what}: {self._line(now, done)}", file=sys.stderr, flush=True)

    def _line(self, now: float, done: int) -> str:
        assert self.begun is not None
        since, first = self.begun
        rate = (done - first) / max(now - since, 1e-9)
        seconds = (self.total - done) / rate if rate else 0
        left = f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
        return f"{done:,} of {self.total:,} images, {rate:.1f} images/s, {left} left"
