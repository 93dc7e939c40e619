r"""A whole study: models × benchmarks, measured, collected into one table, and reported.

    python code/run_study.py --model category:adversarial_training tv_resnet50 --data /data
    python code/run_study.py --model @models.txt --data /data --benchmark imagenet spectral \\
        "adv --attack pgd fgsm --eps 0.5/255 1/255" -- --limit 5000
    python code/run_study.py --model @models.txt --data /data --dry_run --rate 3000

A cell is one model (with --together several) on one benchmark: the command that you would run by
hand. What is done is not
done again, what was interrupted goes on, and a cell that fails is reported at the end, with its
reason and the command that repeats it, while the others are measured. --data is a folder as
download.py writes it (imagenet, imagenet-v2, imagenet-c, model-vs-human, …); without it, each
script's environment variables and the cache. Flags after -- go to every script.
Writes the results (docs/results.md), logs and endings of the cells in <results>/.study, the table
in <results>/table and the page <results>/report.html.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from basics.errors import UserError
from basics.guard import guarded
from evaluation.command_line import underscored
from study.benchmarks import KINDS, lacking
from study.cells import Cell, Records, cells_of, together
from study.driving import engine_for, measure, places_of, summarised
from study.figures import draw, to_be_drawn
from study.models import expanded
from study.planning import Place, paces, plan, plan_table
from study.reporting import reported

# Left out, unless they are named, where the other's data are here: cue conflict is among
# model-vs-human's sets, and corruptions need not be made again where the files are.
_INSTEAD = {"shape_bias": "model_vs_human", "imagenet_c_generated": "imagenet_c"}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog="exit codes: 0 all is done; 1 some cells failed (the last lines say which); 2 "
        "something the user can mend (one sentence says what); 130 interrupted.",
    )  # fmt: skip
    add = parser.add_argument
    add(
        "--model",
        nargs="+",
        required=True,
        metavar="NAME",
        help="as the scripts take them; category:NAME of the zoo; a pattern, such as 'resnet50_*'; "
        "@FILE with one per line",
    )
    add("--benchmark", nargs="+", metavar="NAME",
        help=f"some of {', '.join(KINDS)}, each perhaps with flags of its own in quotes (default: "
        "all whose data are here; not shape_bias beside model_vs_human, nor imagenet_c_generated "
        "beside imagenet_c)")  # fmt: skip
    add("--data", type=Path, metavar="DIR", help="the data sets' folder")
    add("--results", type=Path, default=Path("results"), metavar="DIR")
    _add_running(parser)
    add("--again", action="store_true", help="run also the cells that are done")
    add("--dry_run", action="store_true", help="print the plan: images, time, disk")
    add(
        "--rate",
        type=float,
        metavar="R",
        help="for the plan: model inputs per second of the model alone on your device (default: "
        "from the cells that were measured here before)",
    )
    add(
        "--print_commands",
        action="store_true",
        help="print one command per cell, for SLURM arrays, GNU parallel or xargs",
    )
    add(
        "--no_report",
        action="store_true",
        help="neither draw figures of all models, collect nor report at the end",
    )
    return parser


def _add_running(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where and how the cells run."""
    add = parser.add_argument
    add(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local: on this machine, one cell per GPU or one at a time; ray: on a Ray cluster",
    )
    add("--workers", type=int, metavar="N", help="local: cells at once (default: GPUs, or 1)")
    add("--ray_address", metavar="HOST:PORT", help="of a running cluster, or auto")
    add("--gpus_per_cell", type=float, metavar="N", help="ray (default 1, if there are any)")
    add("--cpus_per_cell", type=float, default=1, metavar="N", help="ray (default 1)")
    add(
        "--together",
        type=int,
        default=1,
        metavar="N",
        help="models per cell: they share decoding and start-up (default 1); when such a cell "
        "fails, its models are measured one by one",
    )


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    words = sys.argv[1:] if argv is None else argv
    split = words.index("--") if "--" in words else len(words)
    arguments = parser().parse_args([underscored(word) for word in words[:split]])
    return guarded(lambda: _run(arguments, words[split + 1 :]))


def _run(arguments: argparse.Namespace, common: list[str]) -> int:
    models = expanded(arguments.model)
    benchmarks = arguments.benchmark or _measurable(arguments.data)
    if arguments.together < 1:
        raise UserError("--together must be at least 1: leave it out for one model per cell")
    cells = cells_of(benchmarks, models, arguments.results, arguments.data, common)
    if arguments.print_commands:
        print("\n".join(cell.shell for cell in together(cells, arguments.together)))
        return 0
    records = Records(arguments.results, to_read=arguments.dry_run)
    todo = [cell for cell in cells if arguments.again or not records.is_done(cell)]
    places = places_of(arguments.workers)
    if arguments.dry_run:
        print(_planned(cells, records, arguments, places))
        return 0
    print(f"{len(cells)} cells, {len(cells) - len(todo)} of them done")
    grouped = together(todo, arguments.together)
    engine = partial(engine_for, arguments, records, places)
    endings = measure(grouped, records, engine)
    failed = summarised(endings, records)
    if not arguments.no_report:
        draw(to_be_drawn(cells, records), records, engine)
        failed |= reported(arguments.results, endings)
    return 1 if failed else 0


def _measurable(data: Path | None) -> list[str]:
    found = [name for name, kind in KINDS.items() if not lacking(kind, data)]
    if not found:
        raise UserError("no benchmark's data are here: give their folder with --data, or download "
                        "some with python code/download.py")  # fmt: skip
    return [name for name in found if _INSTEAD.get(name) not in found]


def _planned(
    cells: list[Cell], records: Records, arguments: argparse.Namespace, places: list[dict]
) -> str:
    """Return the plan, and which data are not here."""
    known = paces(cells, records, arguments.rate)
    cores = max(1, (os.cpu_count() or 1) / len(places))
    place = Place(len(places), cores, "CUDA_VISIBLE_DEVICES" in places[0])
    table = plan_table(plan(cells, records, known, place, arguments.together), known, place)
    absent = {cell.benchmark: cell.absent for cell in cells if cell.absent}
    return "\n".join([table, *(
        f"{name}: {', '.join(data.key for data in sets)} not found"
        for name, sets in absent.items()
    )])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
