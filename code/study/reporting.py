"""The end of a study: its results collected into a table, and the page about it."""

import subprocess
import sys
from pathlib import Path

from study.cells import CODE, Cell, Ending


def reported(results: Path, endings: dict[Cell, Ending]) -> bool:
    """Collect the table and write the page; return whether one of the two failed.

    Both are the commands that one would run by hand; what they print is shown. The table's record
    and the page name the cells that failed: their models lack that benchmark.
    """
    table, page = results / "table", results / "report.html"
    failed = {cell: ending for cell, ending in endings.items() if not ending.is_done}
    notes = [f"{cell.title} failed: {ending.reason}" for cell, ending in failed.items()]
    commands = (
        ["collect.py", "--results", str(results), "--out", str(table), "--notes", *notes],
        ["report.py", "--table", str(table / "benchmark.csv"), "--results", str(results),
         "--out", str(page)],
    )  # fmt: skip
    for script, *words in commands:
        if subprocess.run([sys.executable, str(CODE / script), *words]).returncode:
            return True
    return False
