"""Measure this project beside other ways of doing the same work, and write one table.

    make bench
    make bench BENCH='--parts attacks revisions --against v1.0'
    python benchmarks/bench.py --model path/to/file.py:factory --imagenet DIR

Parts:
  stimuli      spectral and critical-band conditions: together, beside one by one
  runs         whole runs, beside a straightforward loop over conditions and images
  attacks      the study's PGD, beside foolbox (3.3.4)
  corruptions  ImageNet-C's 19 corruptions, beside the package imagecorruptions(-imaug)
  decoding     files to model inputs, beside PyTorch's usual data loader
  revisions    whole runs, beside those of another commit (--against)

Both sides of a line see the same images, model and cores, and take turns; medians of CPU time and
of the clock, and their ratios, are those of the turns (measuring.py). Ratios hold between machines
better than milliseconds do. Everything is measured on the embedded miniature world, and on a model
and images of yours if they are given. Writes bench.md and bench.csv.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from attacks import attacks
from bvg.run.command_line import device_flag, guarded, parse_words, plain_parser, positive
from bvg.run.settings import best_device, keep_freed_memory
from conditions import runs, stimuli
from corruptions import imagenet_c_rows
from decoding import decoding
from inputs import Inputs, all_inputs
from revisions import revisions
from table import Row, environment, write_table

PARTS: dict[str, Callable[[Inputs], Iterator[Row]]] = {
    "stimuli": stimuli,
    "runs": runs,
    "attacks": attacks,
    "corruptions": imagenet_c_rows,
    "decoding": decoding,
    "revisions": revisions,
}
# Of what is compared with.
VERSIONS = ("foolbox", "imagecorruptions-imaug", "numba", "scikit-image")


def parser() -> ArgumentParser:
    """Return the parser of the command line."""
    whole = plain_parser(__doc__)
    add = whole.add_argument
    add(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        metavar="PART",
        help=f"parts to measure, of {', '.join(PARTS)} (default: all)",
    )
    add("--model", metavar="NAME", help="a model of ImageNet's classes, measured as well")
    add("--imagenet", metavar="DIR", help="folder of photographs for it, in ImageNet's layout")
    add(
        "--against",
        metavar="REV",
        help="commit that the part `revisions` compares with (default: the last tag before this "
        "commit, or the commit before it)",
    )
    add("--limit", type=positive, default=32, metavar="N", help="images (default: 32)")
    add(
        "--batch_size",
        type=positive,
        default=16,
        metavar="B",
        help="images per batch (default: 16)",
    )
    add("--turns", type=positive, default=3, metavar="N", help="turns of each line (default: 3)")
    add("--steps", type=positive, default=10, metavar="N", help="of the attack (default: 10)")
    device_flag(whole)
    add(
        "--results",
        type=Path,
        default=Path("results") / "bench",
        metavar="DIR",
        help="folder for the table and the miniature world (default: results/bench)",
    )
    return whole


def measure(args: Namespace) -> None:
    """Measure the parts, print each line when it is known, and write the table after each part."""
    keep_freed_memory()
    device = best_device(args.device)
    sizes = {"limit": args.limit, "batch_size": args.batch_size, "turns": args.turns}
    everything = all_inputs(args.model, args.imagenet, args.results, device=device, **sizes)
    about = environment(device, VERSIONS)
    parts = PARTS | {
        "attacks": partial(attacks, steps=args.steps),
        "revisions": partial(revisions, against=args.against),
    }
    rows: list[Row] = []
    for part in args.parts:
        for inputs in everything:
            for found in parts[part](inputs):
                rows.append(found)
                print(line(found), flush=True)
        sizes_said = f"{args.limit} images, batches of {args.batch_size}"
        title = f"Speed: {sizes_said}, medians of {args.turns} turns"
        write_table(pd.DataFrame(map(asdict, rows)), args.results / "bench", title, about)
    print(f"wrote {args.results / 'bench.md'} and {args.results / 'bench.csv'}")


def line(found: Row) -> str:
    """Return a row as a line to read while the others are measured."""
    return (
        f"{found.part}: {found.what} ({found.images}): {found.here_cpu_ms:.2f} CPU ms per image, "
        f"{found.against} {found.there_cpu_ms:.2f}, ratio {found.cpu_ratio:.2f} "
        f"({found.clock_ratio:.2f} by the clock) {found.note}".rstrip()
    )


def main(argv: list[str] | None = None) -> int:
    """Measure; return the exit code."""
    args = parse_words(parser(), argv)
    return guarded(lambda: measure(args))


if __name__ == "__main__":
    sys.exit(main())
