"""Fetch the data sets that may be downloaded, or list them.

    python code/download.py                                  # what there is, and what is here
    python code/download.py model-vs-human imagenet-a --to /data
    python code/download.py model-vs-human/edge              # one of a group
    python code/download.py all                              # everything that may be fetched

A data set gets its folder, DIR/<name>, only when it is complete and checked: SHA-256 where one was
published, else pinned at the first download (DIR/archives/*.sha256). An interrupted download goes
on with the same command. Sources are tried in their order; a busy server is asked again after the
time that it names. Archives are deleted once they are unpacked. ImageNet, ImageNet-C and ImageNet-P
are explained, not fetched. Addresses, hashes and licences are in code/bvg/data/downloads.toml.
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
from bvg.run.guard import guarded, say

_EXITS = """
exit codes: 0 done; 2 something the user can mend (one sentence says what); 130 interrupted (the
same command goes on where it stopped).
"""


def main(argv: list[str] | None = None, catalogue: Path = CATALOGUE) -> int:
    """Return the exit code of the command line `argv` for the data sets of `catalogue`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets, groups, or all")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where they go (default: "
                        "$BVG_CACHE/data, that is ~/.cache/bvg/data)")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="only list (those named, or all)")
    parser.add_argument("--keep_archives", "--keep-archives", action="store_true",
                        help="do not delete archives after unpacking")  # fmt: skip
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
        print(f"{data_set.name} is not fetched: {data_set.explain}; then: {data_set.use}")
    asked = any(data_set.name in arguments.names for data_set in explained)
    return 2 if failed or asked else 0


def _fetch(data_sets: list[DataSet], to: Path, keep_archives: bool) -> list[str]:
    """Return the names of those that failed; one that fails does not keep others from coming."""
    failed: list[str] = []
    uses: dict[str, None] = {}  # those of a group share one
    for data_set in data_sets:
        before = is_complete(data_set, to)
        if not before:
            about = f" ({size(data_set.bytes)})" if data_set.bytes else ""
            print(f"{data_set.name}{about}: fetching; terms: {data_set.licence}", flush=True)
        try:
            folder = get(data_set, to, keep_archives)
        except (UserError, OSError) as error:
            say(error, "--to")
            failed.append(data_set.name)
            continue
        print(f"{data_set.name} {'was already' if before else 'is now'} in {folder}", flush=True)
        uses[usage(data_set, to)] = None
    if uses:
        print("\n    ".join(["to use it:", *uses]))
    if failed and len(data_sets) > 1:
        print(f"error: {len(failed)} of {len(data_sets)} failed ({', '.join(failed)}): the same "
              "command tries them again", file=sys.stderr)  # fmt: skip
    return failed


def _table(data_sets: list[DataSet], to: Path) -> list[str]:
    """Return the lines that say what there is, and what of it is there."""
    rows = [("data set", "size", "state", "what it is")]
    groups = set()
    for data_set in data_sets:
        group = group_of(data_set.name)
        if group and group not in groups:
            groups.add(group)
            members = [d for d in data_sets if group_of(d.name) == group]
            there = sum(is_complete(member, to) for member in members)
            rows.append((group, "", f"{there} of {len(members)} there", data_set.what))
        name, what = (f"  {data_set.name}", "") if group else (data_set.name, data_set.what)
        known = size(data_set.bytes) if data_set.bytes else "-"
        now = "not fetched" if data_set.explain else state(data_set, to)
        where = str(folder_of(data_set, to)) if now in ("there", "not from here") else ""
        rows.append((name, "" if data_set.explain else known, now, what or where))
        if what and where:
            rows.append(("", "", "", where))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]).rstrip()
             for row in rows]  # fmt: skip
    return [*lines, f"(below {to}; size of the download, - where it is not published)"]


if __name__ == "__main__":
    sys.exit(main())
