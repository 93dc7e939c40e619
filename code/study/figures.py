"""Figures of all models of a study, where several commands have drawn only those of their own."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from study.cells import Cell, Ending, Records, together
from study.running import INTERRUPTED, Engine


def to_be_drawn(
    cells: Sequence[Cell], commands: Sequence[Cell], endings: dict[Cell, Ending], records: Records
) -> list[Cell]:
    """Return a cell of all models of each benchmark whose figures do not show them all yet.

    cells: the study's. commands, endings: what was run now, and what became of each model's cell.
    A cell that is returned is the command that one would give for these models: the script finds
    them measured, and draws. Models without a result are left out.
    """
    done = [cell for cell in cells if not cell.absent and records.is_done(cell)]
    groups = [group for group in together(done, max(1, len(done))) if len(group.models) > 1]
    for group in set(groups) & set(commands):  # drawn when they were measured
        records.write(drawn_by(group), endings[group.single()[0]])
    rest = [group for group in groups if group not in commands]
    now = endings.keys()
    return [g for g in rest if not (_is_drawn(g, records) and now.isdisjoint(g.single()))]


def drawn_by(group: Cell) -> Cell:
    """Return the cell under whose name it is recorded that a benchmark's figures show a group."""
    return replace(group, own=f"{group.own} figures".strip())


def _is_drawn(group: Cell, records: Records) -> bool:
    ending = records.read(drawn_by(group))
    return ending is not None and ending.is_done


def draw(groups: Sequence[Cell], records: Records, engine: Callable[[], Engine]) -> None:
    """Draw the figures; say which could not be drawn: the results are there all the same."""
    if not groups:
        return
    print(f"drawing figures with all models: {', '.join(group.benchmark for group in groups)}")
    running = engine()
    try:
        futures = {group: running.submit(drawn_by(group)) for group in groups}
        for group, future in futures.items():
            _note(group, future.result(), records)
    finally:
        running.close()


def _note(group: Cell, ending: Ending, records: Records) -> None:
    if ending.is_done:
        records.write(drawn_by(group), ending)
    elif ending.code != INTERRUPTED:
        print(f"the figures of {group.benchmark} do not show all models: {ending.reason}")
