"""Progress of an evaluation: a bar on a terminal, plain lines in a log."""

import time

from bvg.progress import Meter


class Progress(Meter):
    """Images done, of `total`; use as a context manager and call update(done)."""

    def __init__(self, total: int, what: str) -> None:
        super().__init__(what, "img", total)
        self.counting = False

    def update(self, done: float | None = 1) -> None:
        """Show that `done` images are completed (a resumed run starts above 0)."""
        done = int(done or 0)
        if not self.counting:  # what earlier runs did is no part of the rate
            self.counting = True
            self.initial = self.n = self.last_print_n = done
            self.start_t = time.time()
        self.add(done - int(self.n))
