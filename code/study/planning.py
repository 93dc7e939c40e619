"""What a study will cost: images, model inputs, time, disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.cells import Cell, Records

_ROW_BYTES = 15  # of a predictions file, per image and condition


@dataclass(frozen=True)
class Line:
    """One benchmark of the plan; seconds: None where no rate is known."""

    benchmark: str
    cells: int
    done: int
    images: int
    inputs: float
    seconds: float | None
    disk: int


def plan(cells: Sequence[Cell], records: Records, rate: float | None) -> list[Line]:
    """Return a line for each benchmark: its cells, and what those that are not done will take.

    rate: model inputs per second; None: those of the cells that were measured here before.
    """
    lines = []
    for benchmark in dict.fromkeys(cell.benchmark for cell in cells):
        mine = [cell for cell in cells if cell.benchmark == benchmark]
        left = [cell for cell in mine if not records.is_done(cell)]
        known = rate or _measured(mine, records) or _measured(cells, records)
        inputs = sum(cell.inputs for cell in left)
        lines.append(Line(
            benchmark, len(mine), len(mine) - len(left), sum(cell.images for cell in left), inputs,
            inputs / known if known else None,
            sum(cell.images * cell.kind.rows * _ROW_BYTES for cell in left),
        ))  # fmt: skip
    return lines


def _measured(cells: Sequence[Cell], records: Records) -> float | None:
    """Return the model inputs per second of those cells that were measured."""
    found = [(cell.inputs, records.read(cell)) for cell in cells]
    done = [(inputs, ending) for inputs, ending in found if ending and ending.is_done]
    seconds = sum(ending.seconds for _, ending in done)
    return sum(inputs for inputs, _ in done) / seconds if seconds else None


def plan_table(lines: Sequence[Line], workers: int) -> str:
    """Return the plan as text, its last line the sum."""
    rows: list[tuple[str, ...]] = [
        ("benchmark", "cells", "done", "images", "model inputs", "time", "disk")
    ]
    for line in lines:
        rows.append(_row(line))
    seconds = [line.seconds for line in lines if line.seconds is not None]
    known = len(seconds) == len(lines)
    rows.append(_row(Line(
        "all", sum(one.cells for one in lines), sum(one.done for one in lines),
        sum(one.images for one in lines), sum(one.inputs for one in lines),
        sum(seconds) / workers if known else None, sum(one.disk for one in lines),
    )))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def _row(line: Line) -> tuple[str, ...]:
    time = "unknown" if line.seconds is None else duration(line.seconds)
    return (line.benchmark, f"{line.cells:,}", f"{line.done:,}", f"{line.images:,}",
            f"{line.inputs:,.0f}", time, f"{line.disk / 1e6:,.1f} MB")  # fmt: skip


def duration(seconds: float) -> str:
    """Return a time as people read it: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, digits in (("days", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"
