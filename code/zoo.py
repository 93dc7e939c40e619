"""List the model zoo, show a model, and check that models can be downloaded and run.

    python code/zoo.py list                      # all models, by category
    python code/zoo.py list --by size --category contrastive --imagenet_only
    python code/zoo.py show resnet50_dino        # all that is known about a model
    python code/zoo.py check resnet50_dino       # download, verify, load strictly, run once
    python code/zoo.py check --all               # the same for the whole zoo
    python code/zoo.py docs                      # rewrite docs/models.md

Besides the zoo's, models can be any of timm, torchvision, open_clip and Hugging Face, and your own
files: docs/models.md. The zero-shot rows need pip install open_clip_torch.
Columns of list: M param. is millions of parameters, px the side of the training images; study and
published are top-1 accuracies, with the study's preprocessing and with the model's own.
check writes its report (JSON) after every model and resumes from it: models that passed are
skipped, models that failed are checked again. All weights together take about 320 GB, 250 of them
for the zero-shot models.
"""

import argparse
import difflib
import sys
from pathlib import Path
from typing import Any

from bvg.errors import UserError
from bvg.files import write_text
from bvg.run.command_line import guarded, parse_words, plain_parser, weights_dir_flag
from bvg.zoo.listing import ORDERS, entry_text, list_text
from bvg.zoo.page import models_page
from bvg.zoo.table import IMAGENET_ONLY, ZooModel, find, zoo

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
_EXITS = """
exit codes: 0 success; 2 a problem you can fix (one sentence says how) or, for check, a model that
failed; 130 interrupted (the same command resumes).
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = plain_parser(__doc__, _EXITS)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = _command(commands, "list", "list the models, one per line")
    listing.add_argument(
        "--by", choices=ORDERS, default="category", help="order of the lines (default: category)"
    )
    categories = sorted({row.category for row in zoo().values()})
    listing.add_argument(
        "--category", choices=categories, help="list only models of this category (default: all)"
    )
    listing.add_argument(
        "--imagenet_only",
        action="store_true",
        help="exclude models trained on more than ImageNet-1k",
    )
    show = _command(commands, "show", "show all that is known about a model")
    show.add_argument("name", metavar="NAME", help="name or alias of a model")
    check = _command(commands, "check", "download, verify, strictly load and run models")
    check.add_argument(
        "names", nargs="*", metavar="NAME", help="names or aliases of the models to check"
    )
    check.add_argument("--all", action="store_true", help="check every model of the zoo")
    check.add_argument("--again", action="store_true", help="also check models that already passed")
    check.add_argument(
        "--report",
        type=Path,
        default=Path("results/zoo.json"),
        metavar="FILE",
        help="JSON file with the outcome for each model, from which "
        "a later check resumes (default: results/zoo.json)",
    )
    weights_dir_flag(check)
    docs = _command(commands, "docs", "write the documentation page of all models")
    docs.add_argument(
        "--to",
        type=Path,
        default=_PAGE,
        metavar="FILE",
        help="output file (default: docs/models.md)",
    )
    return parser


def _command(commands: Any, name: str, does: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=does,
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=_EXITS,
        allow_abbrev=False,
    )


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    args = parse_words(parser(), argv)
    return guarded(lambda: _run(args), "--report" if args.command == "check" else "--to")


def _run(args: argparse.Namespace) -> int:
    if args.command == "check":
        return _check(args)
    if args.command == "docs":
        write_text(args.to, models_page(zoo().values()))
        print(f"wrote {args.to}")
    elif args.command == "show":
        print(entry_text(_row(args.name)))
    else:
        rows = list(zoo().values())
        if args.category:
            rows = [row for row in rows if row.category == args.category]
        if args.imagenet_only:
            rows = [row for row in rows if set(row.trained_on) <= IMAGENET_ONLY]
        print(list_text(rows, args.by))
    return 0


def _check(args: argparse.Namespace) -> int:
    if bool(args.names) == args.all:
        raise UserError("no models to check: give NAME [NAME …], or --all")
    rows = list(zoo().values()) if args.all else [_row(name) for name in args.names]
    # Here, because the libraries take seconds to import and list and show do without them.
    from bvg.run.settings import best_device
    from bvg.zoo.checking import FAILED, check, summary_text
    from bvg.zoo.loading import CheckpointOptions

    options = CheckpointOptions(weights_dir=args.weights_dir, device=str(best_device(None)))
    results = check(rows, args.report, options, args.again)
    print(summary_text(results))
    print(f"wrote {args.report}")
    return 2 if any(result.state == FAILED for result in results) else 0


def _row(name: str) -> ZooModel:
    row = find(name)
    if row is None:
        near = difflib.get_close_matches(name, zoo(), n=4, cutoff=0.5)
        perhaps = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise UserError(
            f"the zoo has no model {name!r}{perhaps}: python code/zoo.py list shows all models"
        )
    return row


if __name__ == "__main__":
    sys.exit(main())
