"""A process that runs scripts when it is told to, with the code that PYTHONPATH names.

It reads lines of JSON, [name of a script, its words], and answers each with the cost of the
script's main(), or null if it failed. benchmarks/revisions.py compares two of them.
"""

import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

# Last: PYTHONPATH comes first.
sys.path.append(str(Path(__file__).resolve().parents[1] / "code"))

from bvg.errors import UserError
from measuring import whole_run


def main() -> None:
    """Answer until there is nothing more to read."""
    for line in sys.stdin:
        script, words = json.loads(line)
        try:
            answer = asdict(whole_run(import_module(script).main, words))
        except (ImportError, UserError, SystemExit):  # the other commit may lack it, or a flag
            answer = None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
