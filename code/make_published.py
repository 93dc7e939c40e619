"""Import published tables of many models: a tidy table per source in raw-data/published.

    python code/download.py published-tables study-table     # the publishers' own files
    python code/make_published.py                            # → raw-data/published/<source>.csv
    python code/make_published.py --sources quba timm --files DIR

Each value keeps the file and the row that it is from. Faults of the tables are recognised in their
numbers: corrected where that is exact, else flagged or dropped, and printed. A source whose files
are not there keeps the table that it has. Files of another layout, or with other models than the
table that is there, are refused. raw-data/published/sources.toml has the sources' licences: tables
that may not be passed on are not in the repository. With all tables there, their statistics are
written as well: correlations.csv, instruments.csv and agreement.csv (docs/beyond_48.md).
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bvg.data.finding import look_for
from bvg.errors import UserError
from bvg.files import make_folder, write_text
from bvg.published.reading import NoFilesError, Value
from bvg.published.sources import READERS
from bvg.published.statistics import published_tables, statistics_texts
from bvg.published.tables import TABLES, read_sources, table_text
from bvg.run.command_line import guarded, parse_words, plain_parser

_SHOWN = 5  # of a long list


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    parser = plain_parser(
        __doc__, "exit codes: 0 done; 2 a problem you can fix (one sentence says how)."
    )
    parser.add_argument(
        "--files",
        type=Path,
        metavar="DIR",
        help="folder that holds the publishers' files, however deep (default: "
        "$BVG_PUBLISHED_TABLES, or what download.py fetched)",
    )
    parser.add_argument(
        "--sources",
        nargs="+",
        default=[*READERS],
        choices=[*READERS],
        metavar="NAME",
        help=f"import only these sources: {', '.join(READERS)} (default: all)",
    )
    parser.add_argument(
        "--accept",
        nargs="+",
        default=[],
        choices=[*READERS],
        metavar="NAME",
        help="import these sources although they have other models than before",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=TABLES,
        metavar="DIR",
        help="folder for the tables (default: raw-data/published)",
    )
    arguments = parse_words(parser, argv)
    return guarded(lambda: _run(arguments), "--out")


def _run(arguments: argparse.Namespace) -> int:
    out, about = make_folder(arguments.out, "--out"), read_sources()
    for source in arguments.sources:
        path = out / f"{source}.csv"
        try:
            values, faults = READERS[source](_files(source, arguments.files))
        except NoFilesError as error:
            kept = f"{path} stays as it is" if path.exists() else "it is left out"
            print(f"{source}: {error}, so {kept}")
            continue
        if source not in arguments.accept:
            _check_models(source, values, path, about[source]["models"])
        write_text(path, table_text(source, values))
        models = len({value.model for value in values})
        print(f"{source}: {models:,} models, {len(values):,} values → {path}")
        for fault in faults:
            print(f"  {fault}")
        if not about[source]["committed"]:
            licence = about[source]["licence"]
            print(f"  The licence ({licence}) keeps this table out of the repository.")
    if out.resolve() == TABLES:
        _write_statistics([source for source in about if not (out / f"{source}.csv").exists()])
    return 0


def _write_statistics(lacking: Sequence[str]) -> None:
    """Write the statistics of the repository's tables; keep them where some tables are lacking."""
    if lacking:
        print(f"The statistics stay as they are: they need all tables, {', '.join(lacking)} too.")
        return
    for name, text in statistics_texts(published_tables()).items():
        write_text(TABLES / name, text)
        print(f"{name}: {text.count(chr(10)) - 1:,} rows → {TABLES / name}")


def _files(source: str, given: Path | None) -> Path:
    """Return the folder to look for a source's files in; raises NoFilesError if there is none."""
    if source == "study":
        name, found = "study-table", look_for("study-table", given)
    else:
        name, found = "published-tables", look_for("published-tables", given)
    if found is None:
        raise NoFilesError(f"its files are not here (fetch them: python code/download.py {name})")
    return found if found.is_dir() else found.parent


def _check_models(source: str, values: Sequence[Value], path: Path, count: int) -> None:
    """Raise UserError where the rows are not of the models, and sizes, of the table at `path`.

    count: of the models that a first table must have.
    """
    now = {_row(value.model, value.protocol) for value in values}
    before = now
    if path.exists():
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        before = {_row(*pair) for pair in zip(table["model"], table["protocol"], strict=True)}
    changes = {"new": sorted(now - before), "missing": sorted(before - now)}
    words = [f"{word}: {_some(names)}" for word, names in changes.items() if names]
    models = len({value.model for value in values})
    if not words and models != count:
        words = [f"{models:,} instead of {count:,}"]
    if words:
        raise UserError(
            f"{source} has other models than were imported before ({'; '.join(words)}): download "
            f"the version that sources.toml names, or accept them with --accept {source} and name "
            "them in raw-data/published/models.csv"
        )


def _row(model: str, protocol: str) -> str:
    """Return what a row of a publisher's file is of: a model, at a size if that is stated."""
    size = re.search(r"\bsize=(\d+)", protocol)
    return f"{model} at {size[1]}" if size else model


def _some(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _SHOWN} more"] * (len(names) > _SHOWN)
    return ", ".join([*names[:_SHOWN], *more])


if __name__ == "__main__":
    sys.exit(main())
