"""Download data sets, or list them.

    python code/download.py                                  # list data sets and their state
    python code/download.py model-vs-human imagenet-a --to /data
    python code/download.py model-vs-human/edge              # one member of a group
    python code/download.py all                              # everything that can be downloaded

The folder of a data set, DIR/<name>, appears once it is complete and verified: by the published
SHA-256 or, if there is none, by the one recorded at the first download (DIR/archives/*.sha256). The
same command resumes an interrupted download. Mirrors are tried in order; a busy server is retried
after the time it asks for. Archives are deleted after unpacking. ImageNet, ImageNet-C and
ImageNet-P are not downloaded; the script prints how to get them. Addresses, hashes and licences are
in code/bvg/data/downloads.toml.
"""

import argparse
import sys
from pathlib import Path

from bvg.data.downloads import (
    CATALOGUE,
    DataSet,
    data_folder,
    folder_of,
    get,
    group_of,
    is_complete,
    read_catalogue,
    select,
    state,
    usage,
)
from bvg.errors import UserError
from bvg.progress import size
from bvg.run.command_line import guarded, print_error

_EXITS = """
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 130 interrupted (the same
command resumes).
"""


def main(argv: list[str] | None = None, catalogue: Path = CATALOGUE) -> int:
    """Return the exit code of the command line `argv` for the data sets of `catalogue`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
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
    parser.add_argument(
        "--list",
        action="store_true",
        help="list the named data sets (default: all) and their state, without downloading",
    )
    parser.add_argument(
        "--keep_archives",
        "--keep-archives",
        action="store_true",
        help="keep archives after unpacking (default: delete them)",
    )
    arguments = parser.parse_args(argv)
    return guarded(lambda: _run(arguments, read_catalogue(catalogue)), "--to")


def _run(arguments: argparse.Namespace, catalogue: dict[str, DataSet]) -> int:
    to = (arguments.to or data_folder()).expanduser().absolute()
    chosen = select(arguments.names or ["all"], catalogue)
    if arguments.list or not arguments.names:
        print("\n".join(_table(chosen, to)))
        return 0
    explained = [data_set for data_set in chosen if data_set.explain]
    failed = _fetch([d for d in chosen if not d.explain], to, arguments.keep_archives)
    for data_set in explained:
        print(f"{data_set.name} is not downloaded: {data_set.explain}; then: {data_set.use}")
    asked = any(data_set.name in arguments.names for data_set in explained)
    return 2 if failed or asked else 0


def _fetch(data_sets: list[DataSet], to: Path, keep_archives: bool) -> list[str]:
    """Return the names of the data sets that failed; a failure does not stop the others."""
    failed: list[str] = []
    uses: dict[str, None] = {}  # those of a group share one
    for data_set in data_sets:
        before = is_complete(data_set, to)
        if not before:
            about = f" ({size(data_set.bytes)})" if data_set.bytes else ""
            print(f"{data_set.name}{about}: downloading; licence: {data_set.licence}", flush=True)
        try:
            folder = get(data_set, to, keep_archives)
        except (UserError, OSError) as error:
            print_error(error, "--to")
            failed.append(data_set.name)
            continue
        print(f"{data_set.name} {'is already' if before else 'is now'} in {folder}", flush=True)
        uses[usage(data_set, to)] = None
    if uses:
        print("\n    ".join(["to use it:", *uses]))
    if failed and len(data_sets) > 1:
        print(
            f"error: {len(failed)} of {len(data_sets)} failed ({', '.join(failed)}): the same "
            "command retries them",
            file=sys.stderr,
        )
    return failed


def _table(data_sets: list[DataSet], to: Path) -> list[str]:
    """Return the lines of the table of data sets and their state."""
    rows = [("data set", "size", "state", "description")]
    groups = set()
    for data_set in data_sets:
        group = group_of(data_set.name)
        if group and group not in groups:
            groups.add(group)
            members = [d for d in data_sets if group_of(d.name) == group]
            there = sum(is_complete(member, to) for member in members)
            rows.append((group, "", f"{there} of {len(members)} downloaded", data_set.what))
        name, what = (f"  {data_set.name}", "") if group else (data_set.name, data_set.what)
        known = size(data_set.bytes) if data_set.bytes else "-"
        now = "manual" if data_set.explain else state(data_set, to)
        where = str(folder_of(data_set, to)) if now in ("downloaded", "other files") else ""
        rows.append((name, "" if data_set.explain else known, now, what or where))
        if what and where:
            rows.append(("", "", "", where))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]
    return [*lines, f"(folder: {to}; sizes are of the downloads, - if not published)"]


if __name__ == "__main__":
    sys.exit(main())
