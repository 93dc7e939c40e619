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
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bvg.data.downloads import data_folder
from bvg.errors import UserError
from bvg.files import make_folder, write_text
from bvg.published.reading import NoFilesError, Value
from bvg.published.sources import READERS
from bvg.published.statistics import published_tables, statistics_texts
from bvg.published.tables import TABLES, read_sources, table_text
from bvg.run.guard import guarded

_SHOWN = 5  # of a long list


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="exit codes: 0 success; 2 invalid input or usage (one sentence says what to do).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--files",
        type=Path,
        metavar="DIR",
        help="folder that holds the publishers' files, however deep (default: what download.py "
        "fetched)",
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
    arguments = parser.parse_args(argv)
    return guarded(lambda: _run(arguments), "--out")


def _run(arguments: argparse.Namespace) -> int:
    out, about = make_folder(arguments.out, "--out"), read_sources()
    for source in arguments.sources:
        data_set = "study-table" if source == "study" else "published-tables"
        path = out / f"{source}.csv"
        try:
            values, faults = READERS[source](arguments.files or data_folder() / data_set)
        except NoFilesError as error:
            kept = f"{path} stays as it is" if path.exists() else "it is left out"
            print(f"{source}: {error}, so {kept} (python code/download.py {data_set} fetches it)")
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


def _check_models(source: str, values: Sequence[Value], path: Path, count: int) -> None:
    """Raise UserError where the models are not those of the table at `path`, or not so many."""
    now = {value.model for value in values}
    before = set(pd.read_csv(path, dtype=str)["model"]) if path.exists() else now
    changes = {"new": sorted(now - before), "missing": sorted(before - now)}
    words = [f"{word}: {_some(names)}" for word, names in changes.items() if names]
    if not words and len(now) != count:
        words = [f"{len(now):,} instead of {count:,}"]
    if words:
        raise UserError(
            f"{source} has other models than were imported before ({'; '.join(words)}): download "
            f"the version that sources.toml names, or accept them with --accept {source} and name "
            "them in raw-data/published/models.csv"
        )


def _some(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _SHOWN} more"] * (len(names) > _SHOWN)
    return ", ".join([*names[:_SHOWN], *more])


if __name__ == "__main__":
    sys.exit(main())
