"""Write a self-contained HTML page about a table of models: findings, charts, correlations.

    python code/report.py                                    # from raw-data/benchmark.csv
    python code/report.py --table published/benchmark.csv --categories categories.json
    python code/report.py --results results --out report.html
    python code/report.py --published                        # published models only

The page embeds everything it needs, so it can be shared and opened without a network. It also shows
the models that others have published results of (raw-data/published), with those of the table among
them. The table is what collect.py writes, or the published one (python code/download.py
study-table), whose known errors the page states wherever its rows are used. Categories come from
--categories, a JSON file {category: [model, …]} that also selects models, else from models.csv next
to the table, else from the model zoo. Intervals and provenance are read from intervals.csv and
provenance.json next to the table, example stimuli from the results folder. docs/analysis.md
explains the computations.
"""

import argparse
import sys
from pathlib import Path

from bvg.analysis.given_accuracy import REFERENCE
from bvg.analysis.study import Study, analyse
from bvg.errors import UserError
from bvg.files import make_folder, written_atomically
from bvg.page.page import page_of
from bvg.page.published import read_all
from bvg.published.tables import TABLES
from bvg.run.command_line import guarded, parse_words, plain_parser
from bvg.table.study_table import read_study_table


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    parser = plain_parser(
        __doc__, "exit codes: 0 done; 2 a problem you can fix (one sentence says how)."
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="CSV",
        help="CSV file of the table, with commas, semicolons or tabs "
        "(default: raw-data/benchmark.csv)",
    )
    parser.add_argument(
        "--published",
        action="store_true",
        help="without a table: only the published models, to report_published.html",
    )
    parser.add_argument(
        "--categories",
        type=Path,
        metavar="JSON",
        help="JSON file {category: [model, …]}; only these models are analysed "
        "(default: all, with categories from models.csv or the zoo)",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="results folder whose example stimuli are shown (default: none)",
    )
    parser.add_argument(
        "--reference",
        nargs="+",
        default=list(REFERENCE),
        metavar="CATEGORY",
        help="categories whose models define the baseline of effective robustness "
        f"(default: {' '.join(REFERENCE)})",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="HTML",
        help="output file (default: report.html)",
    )
    arguments = parse_words(parser, argv)
    return guarded(lambda: _run(arguments), "--out")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.results and not arguments.results.is_dir():
        raise UserError(
            f"--results {arguments.results} is not a folder: correct it, or drop --results"
        )
    alone = arguments.published and arguments.table is None
    out = arguments.out or Path("report_published.html" if alone else "report.html")
    if out.suffix.casefold() in (".csv", ".json"):  # such as the table itself
        raise UserError(f"--out {out} would be a page: give it a name that ends in .html")
    make_folder(out.parent, "--out")
    published = read_all()
    if alone and not published:
        raise UserError(
            f"{TABLES} has no tables: restore it with git, or run code/make_published.py"
        )
    study = None if alone else _study(arguments)
    content = page_of(study, arguments.results, published).encode(errors="backslashreplace")
    with written_atomically(out, "--out") as file:
        file.write(content)  # a path in it may hold bytes that are not UTF-8
    print(f"wrote {out} ({len(content) / 1e6:.1f} MB): open it in a browser")
    return 0


def _study(arguments: argparse.Namespace) -> Study:
    """Return the table of the command line, analysed."""
    path = arguments.table or Path("raw-data/benchmark.csv")
    table = read_study_table(path, arguments.categories)
    present = set(table.categories)
    unknown = [name for name in arguments.reference if name not in present]
    if unknown and arguments.reference != list(REFERENCE):
        raise UserError(
            f"--reference: no model has the category {unknown[0]!r}; choose from "
            f"{', '.join(sorted(present))}"
        )
    return analyse(table, tuple(arguments.reference))


if __name__ == "__main__":
    sys.exit(main())
