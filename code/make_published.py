"""Import published tables of many models: a tidy table per source in raw-data/published.

    python code/download.py published-tables study-table     # the publishers' own files
    python code/make_published.py                            # → raw-data/published/<source>.csv
    python code/make_published.py --sources quba timm --files DIR

Each value keeps the file and the row that it is from. Faults of the tables are recognised in their
numbers: corrected where that is exact, else flagged or dropped, and printed. A source whose files
are not there keeps the table that it has. Files of another layout, or with another number of models
than raw-data/published/sources.toml says, are refused. It has the sources' licences, too: tables
that may not be passed on are not in the repository. With all tables there, their statistics are
written as well: correlations.csv, instruments.csv and agreement.csv (docs/beyond_48.md).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bvg.data.finding import look_for
from bvg.errors import UserError
from bvg.files import make_folder, write_text
from bvg.published.reading import NoFilesError
from bvg.published.sources import READERS
from bvg.published.statistics import published_tables, statistics_texts
from bvg.published.tables import TABLES, read_sources, table_text
from bvg.run.command_line import guarded, parse_words, plain_parser


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
        models, known = len({value.model for value in values}), about[source]["models"]
        if models != known:
            raise UserError(
                f"{source} has {models:,} models instead of {known:,}: download the version that "
                "raw-data/published/sources.toml names, or, to import this one, correct `models` "
                "there and name the new ones in raw-data/published/models.csv"
            )
        write_text(path, table_text(source, values))
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
    name = "study-table" if source == "study" else "published-tables"
    found = look_for(name, given)
    if found is None:
        raise NoFilesError(f"its files are not here (fetch them: python code/download.py {name})")
    return found if found.is_dir() else found.parent


if __name__ == "__main__":
    sys.exit(main())
