"""Download data sets, or list them.

    python code/download.py                                  # list data sets and their state
    python code/download.py model-vs-human imagenet-a --to /data
    python code/download.py model-vs-human/edge              # one member of a group
    python code/download.py all                              # everything that can be downloaded

The folder of a data set, DIR/<name>, appears once it is complete and verified: by the published
SHA-256 or, if there is none, by the one recorded at the first download (DIR/archives/*.sha256). The
same command resumes an interrupted download. Mirrors are tried in order. Archives are deleted after
unpacking. ImageNet, ImageNet-C and ImageNet-P are not downloaded; the script prints how to get
them. Addresses, hashes and licences are in code/bvg/data/downloads.toml.
"""

import sys
from pathlib import Path

from bvg.data.downloads import (
    CATALOGUE,
    DataSet,
    data_folder,
    get,
    read_catalogue,
    select,
    state,
    usage,
)
from bvg.errors import UserError
from bvg.progress import size, text_table
from bvg.run.command_line import guarded, parse_words, plain_parser, print_error

_EXITS = """
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 130 interrupted (the same
command resumes).
"""


def main(argv: list[str] | None = None, catalogue: Path = CATALOGUE) -> int:
    """Return the exit code of the command line `argv` for the data sets of `catalogue`."""
    parser = plain_parser(__doc__, _EXITS)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="data sets or groups to download, or all (default: list them)",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="folder for the data sets (default: "
        "$BVG_CACHE/data, or ~/.cache/bvg/data if it is unset)",
    )
    arguments = parse_words(parser, argv)
    to = (arguments.to or data_folder()).expanduser().absolute()
    return guarded(lambda: _run(arguments.names, to, read_catalogue(catalogue)), "--to")


def _run(names: list[str], to: Path, catalogue: dict[str, DataSet]) -> int:
    if not names:
        print(_table(catalogue, to))
        return 0
    chosen = select(names, catalogue)
    failed = []
    for data_set in chosen:
        if state(data_set, to) in ("missing", "partial"):
            about = f" ({size(data_set.bytes)})" if data_set.bytes else ""
            print(f"{data_set.name}{about}: downloading; licence: {data_set.licence}", flush=True)
        try:
            print(f"{data_set.name} is in {get(data_set, to)}", flush=True)
        except (UserError, OSError) as error:  # the others are downloaded all the same
            print_error(error, "--to")
            failed.append(data_set.name)
    # Those of a group share one command.
    uses = dict.fromkeys(usage(data_set, to) for data_set in chosen if data_set.name not in failed)
    if uses:
        print("\n    ".join(["to use it:", *uses]))
    if failed and len(chosen) > 1:
        words = f"{len(failed)} of {len(chosen)} failed ({', '.join(failed)})"
        print(f"error: {words}: the same command retries them", file=sys.stderr)
    return 2 if failed else 0


def _table(catalogue: dict[str, DataSet], to: Path) -> str:
    """Return the table of data sets and their state."""
    rows = [("data set", "size", "state", "description")]
    described = ""
    for data_set in catalogue.values():
        known = size(data_set.bytes) if data_set.bytes else "-"
        what = "" if data_set.what == described else data_set.what  # once for a group
        rows.append((data_set.name, known, state(data_set, to), what))
        described = data_set.what
    return f"{text_table(rows)}\n(folder: {to}; sizes are of the downloads, - if not published)"


if __name__ == "__main__":
    sys.exit(main())
