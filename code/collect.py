"""Collect finished results into one table: a row per model, with the published table's columns.

    python code/collect.py                                   # results/ → raw-data/
    python code/collect.py --results DIR --out DIR --models tv_resnet50 resnet50.a1_in1k
    python code/collect.py --wandb my-team/imagenet my-team/imagenet_c

Writes benchmark.csv (the table), intervals.csv (model, column, low, high, n, note), models.csv
(category, year, training data; from the zoo) and provenance.json (each result's protocol, images,
weights, versions, seconds). PGD-40 with ε = 0.5/255 keeps the study's column name, PGD-40/low.
Results of different protocols never share a column: they are refused or, with --split, put in
separate columns. Generated corruptions are in separate columns, imagenet_c_generated/…, unless
--generated_c counts them as ImageNet-C.
Observers of decision tables are rows of their own, <name> (decisions) beside a model of that name.
Prints which benchmarks are of a part of their images, and which models share weights: the report
counts these as one where their results agree.
"""

import argparse
import sys
from pathlib import Path

from bvg.run.command_line import guarded, parse_words, plain_parser
from bvg.table.merging import apart, chosen, merge, remarks, renamed, same_models
from bvg.table.sources import from_folder, from_wandb
from bvg.table.writing import write_table

_GENERATED = {"imagenet_c_generated": "imagenet_c"}


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    parser = plain_parser(
        __doc__,
        "exit codes: 0 done; 2 a problem you can fix (one sentence says how); 75 another process "
        "is writing there.",
    )
    flags(parser)
    args = parse_words(parser, argv)
    return guarded(lambda: _collect(args), "--out")


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what to read, what to leave out, and where to write."""
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of results to read (default: results)",
    )
    parser.add_argument(
        "--wandb",
        nargs="+",
        action="extend",
        metavar="ENTITY[/PROJECT]",
        help="read these W&B projects instead of a results folder",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("raw-data"),
        metavar="DIR",
        help="directory for the table (default: raw-data)",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="include only these models (default: all)",
    )
    parser.add_argument(
        "--benchmarks",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="include only these benchmarks (default: all)",
    )
    parser.add_argument(
        "--without",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="exclude models, benchmarks, benchmark/model pairs, or folders of results as they are "
        "named in messages (default: none)",
    )
    parser.add_argument(
        "--split",
        action="store_true",
        help="put results of different protocols in separate columns instead of refusing them",
    )
    parser.add_argument(
        "--allow",
        nargs="+",
        action="extend",
        default=[],
        metavar="ENTRY",
        help="protocol entries that may differ within a column, such as seed "
        "or preprocessing (default: none)",
    )
    parser.add_argument(
        "--generated_c",
        action="store_true",
        help="count corruptions made by --generate as ImageNet-C",
    )
    parser.add_argument(
        "--notes",
        nargs="*",
        action="extend",
        default=[],
        metavar="SENTENCE",
        help="notes to add to provenance.json and the report (default: none)",
    )


def _collect(args: argparse.Namespace) -> None:
    results, skipped = from_wandb(args.wandb) if args.wandb else from_folder(args.results)
    results = chosen(results, args.models, args.benchmarks, args.without)
    results, named = apart(results)
    notes = [*skipped, *named, *remarks(results, tuple(args.allow)), *args.notes]
    if args.generated_c:
        results = renamed(results, _GENERATED)
        notes.append("generated corruptions count as ImageNet-C")
    notes += [f"{name} may differ within a column" for name in args.allow]
    table = merge(results, args.split, tuple(args.allow))
    paths = write_table(table, args.out, notes)
    for note in [*notes, *same_models(results)]:
        print(note)
    benchmarks = len({result.benchmark for result in results})
    observers = len(table.observers)
    rows = f"{len(table.models) - observers} models"
    rows += f" and {observers} observers of decision tables" if observers else ""
    print(f"{rows} × {len(table.columns)} columns of {benchmarks} benchmarks")
    for path in paths:
        print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
