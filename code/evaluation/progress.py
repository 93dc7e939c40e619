"""Progress of an evaluation: a bar on a terminal, plain lines in a log."""

import sys
import time

from basics.progress import LINE_SECONDS, Meter, left


class Progress(Meter):
    """Images done, of `total`; use as a context manager and call update(done)."""

    def __init__(self, total: int, what: str) -> None:
        super().__init__(what, "img", total)
        self.whole = total
        self.counting = False

    def update(self, done: int) -> None:
        """Show that `done` images are behind us (a resumed run starts above 0)."""
        if not self.counting:
            self.counting = True
            self.begun, self.first = time.monotonic(), done
            self.bar.initial = done
        self.bar.update(done - self.bar.n)
        now = time.monotonic()
        known = done > self.first  # before that there is no rate
        if known and not self.terminal and now - self.said >= LINE_SECONDS:
            self.said = now
            rate = (done - self.first) / max(now - self.begun, 1e-9)
            remaining = left((self.whole - done) / rate)
            print(
                f"{self.what}: {done:,} of {self.whole:,} images, {rate:.1f} images/s, {remaining}",
                file=sys.stderr,
                flush=True,
            )
