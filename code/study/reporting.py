"""The end of a study: its results collected into a table, and the page about it."""

import subprocess
import sys
from pathlib import Path

from study.cells import CODE


def reported(results: Path) -> bool:
    """Collect the table and write the page; return whether one of the two failed.

    Both are the commands that one would run by hand; what they print is shown.
    """
    table, page = results / "table", results / "report.html"
    commands = (
        ["collect.py", "--results", str(results), "--out", str(table)],
        ["report.py", "--table", str(table / "benchmark.csv"), "--results", str(results),
         "--out", str(page)],
    )  # fmt: skip
    for script, *words in commands:
        if subprocess.run([sys.executable, str(CODE / script), *words]).returncode:
            return True
    return False
