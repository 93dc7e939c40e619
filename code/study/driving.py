"""The driver: submits cells, records how they end, goes on whatever happens."""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import suppress
from dataclasses import replace

from basics.errors import UserError
from study.board import Board
from study.cells import Cell, Ending, Records
from study.figures import drawn_by
from study.ray_engine import OnRay
from study.running import INTERRUPTED, Engine, Local, ending_of, without_data

_TICK = 2.0  # seconds between two looks at the running cells


def places_of(workers: int | None) -> list[dict[str, str]]:
    """Return the places for cells on this machine: its GPUs, or as many as `workers` says.

    A place is what its cells find in the environment: their GPU, or how many of the processors'
    threads are theirs (more would wait for each other), unless OMP_NUM_THREADS is set already.
    More workers than GPUs share them in turn. Raises UserError for fewer than one.
    """
    if workers is not None and workers < 1:
        raise UserError("--workers must be at least 1: leave it out for one per GPU")
    import torch  # here, because it takes seconds

    gpus = torch.cuda.device_count()
    number = workers or gpus or 1
    if gpus:
        return [{"CUDA_VISIBLE_DEVICES": str(k % gpus)} for k in range(number)]
    if number == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{}] * number
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // number))}] * number


def engine_for(
    arguments: argparse.Namespace, records: Records, places: list[dict[str, str]]
) -> Engine:
    """Return the engine that the flags ask for."""
    if arguments.engine == "ray":
        return OnRay(
            records, arguments.ray_address, arguments.gpus_per_cell, arguments.cpus_per_cell
        )
    return Local(records, places)


def measure(
    cells: list[Cell], records: Records, engine: Callable[[], Engine]
) -> dict[Cell, Ending]:
    """Return how each model's cell ended; each ending is on disk as soon as it is known.

    When a cell of several models fails, they are measured one by one: one of them may be to blame.
    """
    endings: dict[Cell, Ending] = {}
    board = Board(cells)
    for cell in (cell for cell in cells if cell.absent):
        _note(cell, without_data(cell), endings, records, board)
    left = [cell for cell in cells if not cell.absent]
    if not left:
        board.close()
        return endings
    running = engine()
    begun = time.time()
    try:
        pending = {running.submit(cell): cell for cell in left}
        while pending:
            ended, _ = wait(pending, timeout=_TICK, return_when=FIRST_COMPLETED)
            for future in ended:
                cell, ending = pending.pop(future), ending_of(future)
                if len(cell.models) > 1 and ending.code not in (0, INTERRUPTED):
                    pending |= {running.submit(one): one for one in board.split(cell, ending)}
                else:
                    _note(cell, ending, endings, records, board)
            with suppress(OSError):  # result files come and go while it looks
                board.tick(cell for cell in pending.values() if _is_under_way(cell, records, begun))
    finally:
        board.close()
        running.close()
    return endings


def _is_under_way(cell: Cell, records: Records, begun: float) -> bool:
    log = records.log(cell)
    return log.exists() and log.stat().st_mtime >= begun


def _note(
    cell: Cell, ending: Ending, endings: dict[Cell, Ending], records: Records, board: Board
) -> None:
    for one in cell.single():
        endings[one] = replace(ending, seconds=round(ending.seconds / len(cell.models), 2))
        if ending.code != INTERRUPTED:
            records.write(one, endings[one])
    if len(cell.models) > 1 and ending.is_done:
        records.write(drawn_by(cell), ending)  # the script has drawn them together
    board.end(cell, ending)


def summarised(endings: dict[Cell, Ending], records: Records) -> bool:
    """Print how many cells were measured, and each failure; return whether there was one."""
    failed = {cell: ending for cell, ending in endings.items() if not ending.is_done}
    print(f"{len(endings) - len(failed)} cells measured, {len(failed)} failed")
    for cell, ending in failed.items():
        print(f"\n{cell.title}: {ending.reason}\n    {cell.shell}")
    if lost := records.unwritten:
        print(f"\n{len(lost)} endings could not be recorded, so that the same command looks at "
              f"those cells again: {lost[0]}")  # fmt: skip
    return bool(failed or lost)
