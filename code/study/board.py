"""Progress of a study: a bar on a terminal, a line for each cell that ends."""

import sys
import time
from collections.abc import Iterable

from tqdm import tqdm

from basics.progress import left
from study.cells import Cell, Ending


class Board:
    """Model inputs done of all that are to be done, and cells that have ended."""

    def __init__(self, cells: list[Cell]) -> None:
        self.total, self.ended = len(cells), 0
        self.inputs = sum(cell.inputs for cell in cells)
        self.finished = 0.0  # inputs of cells that have ended
        self.measured = 0.0  # of those that were measured here
        self.begun = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=round(self.inputs), unit=" img", unit_scale=True, disable=not self.terminal,
            desc="study", smoothing=0.02,
        )  # fmt: skip

    def tick(self, running: Iterable[Cell]) -> None:
        """Show what the running cells have done."""
        running = list(running)
        under_way = sum(
            cell.inputs * min(1, cell.images_done() / max(cell.images, 1)) for cell in running
        )
        self.bar.update(round(self.finished + under_way) - self.bar.n)
        names = ", ".join(cell.title for cell in running[:2])
        more = f" and {len(running) - 2} more" if len(running) > 2 else ""
        self.bar.set_postfix_str(f"{self.ended}/{self.total} cells; {names}{more}")

    def end(self, cell: Cell, ending: Ending) -> None:
        """Show that a cell has ended."""
        self.ended += 1
        self.finished += cell.inputs
        if ending.is_done:
            self.measured += cell.inputs
        rate = self.measured / max(time.monotonic() - self.begun, 1e-9)
        rest = left((self.inputs - self.finished) / rate) if rate else "no rate yet"
        fate = f"done in {ending.seconds:.0f} s" if ending.is_done else f"failed: {ending.reason}"
        tqdm.write(
            f"[{self.ended}/{self.total}] {cell.title}: {fate} ({rate:,.0f} model inputs/s, {rest})"
        )

    def split(self, cell: Cell, ending: Ending) -> list[Cell]:
        """Say that the models of a cell that failed are measured one by one; return their cells."""
        self.total += len(cell.models) - 1
        tqdm.write(f"{cell.title}: failed together ({ending.reason}); now one by one")
        return cell.single()

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()
