"""What a study will cost: images, model inputs, time, disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from study.board import duration
from study.cells import Cell, Records, together
from study.costs import START, disk, modelled


@dataclass(frozen=True)
class Place:
    """Where cells run: how many at once, with how many cores each, and whether on GPUs.

    On a GPU, workers decode ahead; on the CPU decoding and the model take the same cores.
    """

    many: int = 1
    cores: float = 1
    gpu: bool = False


@dataclass(frozen=True)
class Line:
    """One benchmark of the plan, of the cells that are not done.

    seconds: at one place; None where no rate is known. longest: of one cell. about: not all was
    counted. notes: what is to be said of its numbers.
    """

    benchmark: str
    cells: int
    done: int
    images: int
    inputs: float
    seconds: float | None
    disk: float
    longest: float = 0
    about: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paces:
    """How fast cells were measured here before.

    own: seconds per model input, start-up left out, by benchmark. rate: model inputs per second of
    all of them, or as given. cells: how many were measured.
    """

    own: dict[str, float]
    rate: float | None
    cells: int = 0


def paces(cells: Sequence[Cell], records: Records, rate: float | None) -> Paces:
    """Return what is known of the time: from `rate`, else from the cells that were measured."""
    if rate:
        return Paces({}, rate)
    seconds: dict[str, float] = {}
    inputs: dict[str, float] = {}
    count = 0
    for cell in cells:
        ending = records.read(cell)
        if ending and ending.is_done and cell.inputs and ending.seconds:
            count += 1
            net = max(ending.seconds - START, 0.1 * ending.seconds, _in_passes(cell))
            seconds[cell.benchmark] = seconds.get(cell.benchmark, 0) + net
            inputs[cell.benchmark] = inputs.get(cell.benchmark, 0) + cell.inputs
    if not count:
        return Paces({}, None)
    own = {name: seconds[name] / inputs[name] for name in seconds}
    return Paces(own, sum(inputs.values()) / sum(seconds.values()), count)


def _in_passes(cell: Cell) -> float:
    """Return the seconds that a model's passes took, in all sessions, as its summaries tell.

    More than the last session where that only went on, or found everything done.
    """
    total = 0.0
    for part in cell.count().parts:
        path = cell.results / part.name / cell.run_names[0] / "summary.json"
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            spent, did = summary["seconds"], summary["settings"]
            shared = 1 if part.attack else round(did["model_inputs"] / did["stimuli_made"])
            total += (spent["model"] + spent["stimuli"] + spent["wait"]) / max(shared, 1)
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            continue  # no summary, or none of ours
    return total


def plan(
    cells: Sequence[Cell], records: Records, known: Paces, place: Place, most: int = 1
) -> list[Line]:
    """Return a line for each benchmark: its cells, and what those that are not done will take.

    most: how many models share a cell.
    """
    lines = []
    for benchmark in dict.fromkeys(cell.benchmark for cell in cells):
        mine = [cell for cell in cells if cell.benchmark == benchmark]
        left = together([cell for cell in mine if not records.is_done(cell)], most)
        times = [_seconds(cell, known, place) for cell in left]
        seconds = None if None in times else sum(time for time in times if time)
        works = [cell.count() for cell in mine]
        lines.append(Line(
            benchmark, len(mine), len(mine) - sum(len(cell.models) for cell in left),
            sum(cell.images for cell in left), sum(cell.inputs for cell in left), seconds,
            sum(disk(cell) for cell in left), max((time for time in times if time), default=0),
            any(work.about for work in works),
            tuple(dict.fromkeys(note for work in works for note in work.notes)),
        ))  # fmt: skip
    return lines


def _seconds(cell: Cell, known: Paces, place: Place) -> float | None:
    if cell.benchmark in known.own:
        return START + cell.inputs * known.own[cell.benchmark]
    return modelled(cell, known.rate, place.cores, place.gpu) if known.rate else None


def plan_table(lines: Sequence[Line], known: Paces, place: Place) -> str:
    """Return the plan as text: a line per benchmark, the sum, and what the numbers rest on."""
    rows: list[tuple[str, ...]] = [
        ("benchmark", "cells", "done", "images decoded", "model inputs", "time", "disk")
    ]
    rows += [_row(line) for line in lines]
    seconds = [line.seconds for line in lines if line.seconds is not None]
    longest = max((line.longest for line in lines), default=0)
    rows.append(_row(Line(
        "all", sum(one.cells for one in lines), sum(one.done for one in lines),
        sum(one.images for one in lines), sum(one.inputs for one in lines),
        max(sum(seconds) / place.many, longest) if len(seconds) == len(lines) else None,
        sum(one.disk for one in lines), about=any(one.about for one in lines),
    )))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    others = {line.benchmark for line in lines} - {*known.own}
    return "\n".join([*text, *_notes(lines), _basis(known, place, bool(others))])


def _row(line: Line) -> tuple[str, ...]:
    time = "unknown" if line.seconds is None else duration(line.seconds)
    about = "about " if line.about else ""
    return (line.benchmark, f"{line.cells:,}", f"{line.done:,}", f"{about}{line.images:,}",
            f"{about}{line.inputs:,.0f}", time, f"{line.disk / 1e6:,.1f} MB")  # fmt: skip


def _notes(lines: Sequence[Line]) -> list[str]:
    """Return each note once, after the benchmarks that it is about."""
    about: dict[str, list[str]] = {}
    for line in lines:
        for note in line.notes:
            about.setdefault(note, []).append(line.benchmark)
    return [f"{', '.join(names)}: {note}" for note, names in about.items()]


def _basis(known: Paces, place: Place, others: bool) -> str:
    """Return the sentence that says what the time rests on."""
    if known.rate is None:
        return "time: no cell has been measured here; give the model's inputs/s with --rate"
    where = f"{place.many} at once" if place.many > 1 else "one cell at a time"
    rest = (f"{known.rate:,.0f} model inputs/s, and decoding with {place.cores:.0f} cores and "
            "stimuli as they were measured for docs/scale.md")  # fmt: skip
    if not known.own:
        return f"time: {where}, at {rest}"
    measured = f"time: {where}, as {known.cells} measured here of {', '.join(known.own)}"
    return f"{measured}; others at their {rest}" if others else measured
