"""Progress on long work: a bar on a terminal, plain lines in a log."""

import sys
from typing import Any

from tqdm import tqdm

LINE_SECONDS = 30.0  # between two lines of a log


class Meter(tqdm):
    """A tqdm bar of bytes ("B") or things, of `total` if that is known; a context manager.

    Where stderr is no terminal, a line every LINE_SECONDS instead. done: what earlier runs did,
    which the rate leaves out.
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
        super().update(count)


class _Lines:
    """A file on which tqdm's redrawn line becomes a line of its own on stderr."""

    def write(self, text: str) -> None:
        if text := text.strip():
            print(text, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def left(seconds: float) -> str:
    """Return a remaining time as text: "28 s left", "5 min left"."""
    return (f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s") + " left"


def duration(seconds: float) -> str:
    """Return a time as people read it: 40 s, 12 min, 3.5 h, 2.1 days."""
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
