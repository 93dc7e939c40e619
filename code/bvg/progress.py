"""What scripts print: progress (a bar on a terminal, plain lines in a log), numbers, tables."""

import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

LINE_SECONDS = 30.0  # between two lines of a log


class Meter(tqdm):
    """A tqdm bar for bytes ("B") or another unit, with an optional total; a context manager.

    If stderr is no terminal, it prints a line every LINE_SECONDS instead. done: the number done by
    earlier runs, which does not count in the rate.
    """

    def __init__(self, what: str, unit: str, total: int | None = None, done: int = 0) -> None:
        size = "B" if unit == "B" else f" {unit}"
        options: dict[str, Any] = {}
        if not sys.stderr.isatty():
            format = f"{{desc}}: {{n_fmt}}{size}, {{rate_fmt}}"
            if total is not None:
                format = f"{{desc}}: {{n_fmt}} of {{total_fmt}}{size}, {{rate_fmt}}"
                format += ", {remaining} left"
            options = {
                "file": _Lines(),
                "bar_format": format,
                "leave": False,
                "miniters": 1,
                "mininterval": LINE_SECONDS,
                "delay": LINE_SECONDS,
            }
        super().__init__(
            desc=what, total=total, initial=done, unit=size, unit_scale=unit == "B", **options
        )

    def add(self, count: int) -> None:
        """Show that `count` more are done."""
        self.update(count)

    def show(self, done: int) -> None:
        """Show that `done` are done in all."""
        self.update(done - int(self.n))


class _Lines:
    """A file on which each of tqdm's redrawn lines becomes a separate line on stderr."""

    def write(self, text: str) -> None:
        if text := text.strip():
            print(text, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """Return a duration as text: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, digits in (("days", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Return a number of bytes as text: "688 MB", "1.3 GB" (powers of 1000)."""
    for unit in ("bytes", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def text_table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return the rows as lines with aligned columns; those numbered in `right` to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
