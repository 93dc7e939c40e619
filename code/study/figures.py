"""Figures of all models of a study, where several commands have drawn only those of their own."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from study.cells import Cell, Ending, Records, together
from study.running import INTERRUPTED, Engine, ending_of


def to_be_drawn(cells: Sequence[Cell], records: Records) -> list[Cell]:
    """Return a cell of all models of each benchmark whose figures do not show them all as they are.

    It is the command that one would give for these models: the script finds them measured, and
    draws. Models without a result are left out.
    """
    done = [cell for cell in cells if not cell.absent and records.is_done(cell)]
    groups = together(done, max(1, len(done)))
    return [group for group in groups if len(group.models) > 1 and not _is_drawn(group, records)]


def drawn_by(group: Cell) -> Cell:
    """Return the cell under whose name it is recorded that a benchmark's figures show a group."""
    return replace(group, own=f"{group.own} figures".strip())


def _is_drawn(group: Cell, records: Records) -> bool:
    """Return whether the group was drawn, and none of its models was measured since."""
    ending, when = records.read(drawn_by(group)), records.written(drawn_by(group))
    drawn = ending is not None and ending.is_done
    return drawn and all(records.written(cell) <= when for cell in group.single())


def draw(groups: Sequence[Cell], records: Records, engine: Callable[[], Engine]) -> None:
    """Draw the figures; say which could not be drawn: the results are there all the same."""
    if not groups:
        return
    print(f"drawing figures with all models: {', '.join(group.benchmark for group in groups)}")
    running = engine()
    try:
        futures = {group: running.submit(drawn_by(group)) for group in groups}
        for group, future in futures.items():
            _note(group, ending_of(future), records)
    finally:
        running.close()


def _note(group: Cell, ending: Ending, records: Records) -> None:
    if ending.is_done:
        records.write(drawn_by(group), ending)
    elif ending.code != INTERRUPTED:
        print(f"the figures of {group.benchmark} do not show all models: {ending.reason}")
