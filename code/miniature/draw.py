"""Draw the miniature world: a data set for every benchmark, in the layout its script reads.

    python code/miniature/draw.py --out DIR

Writes a folder per data set, named as in code/download.py (DIR/imagenet for --imagenet; docs/
miniature.md lists them), and DIR/world.json, which records how they were drawn. The same flags draw
the same pixels with any number of workers. A data set appears under its final name once it is
complete; existing ones are not drawn again.
"""

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from multiprocessing import Pool
from multiprocessing.pool import Pool as Workers
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

if not __package__:  # run as a script: put code/ on the path instead of this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bvg.errors import UserError
from bvg.files import make_folder, write_text
from bvg.run.command_line import guarded, non_negative, parse_words, plain_parser, positive
from miniature import world
from miniature.sets import ON_REQUEST, SETS

PNG_LEVEL = 1  # much faster to write than the highest level, and hardly slower to read
PARTIAL = ".partial"
RECORD = "world.json"
ALL = SETS | ON_REQUEST
KEY = ("version", "seed", "per_class")


def record(seed: int, per_class: int) -> dict[str, Any]:
    """Return the content of world.json for these parameters, without data sets."""
    return {"version": world.VERSION, "seed": seed, "per_class": per_class, "files": {}}


def save(name: str, seed: int, folder: Path, picture: world.Picture) -> int:
    """Draw the files of one picture of a data set into its folder; return their number."""
    count = 0
    for file, content in ALL[name].draw(seed, picture):
        count += 1
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content + "\n", encoding="utf-8")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            # Each option applies to one of the two formats.
            quality = ALL[name].quality
            Image.fromarray(content).save(path, quality=quality, compress_level=PNG_LEVEL)
    return count


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        raise UserError(f"{path} is damaged: choose another --out, or remove it")
    return found


def _is_complete(folder: Path, count: int) -> bool:
    return sum(len(files) for _, _, files in os.walk(folder)) == count


def check(out: Path, wanted: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the record of the world in `out` to extend, or a new one.

    Raises UserError if drawing would replace another world or other files.
    """
    found = _read(out / RECORD)
    known = found["files"] if found else {}
    for name in names:
        if name not in known and (out / name).exists():
            raise UserError(
                f"{out / name} exists and was not drawn by this script: choose another --out"
            )
    if found and any(found.get(key) != wanted[key] for key in KEY):
        old, new = (", ".join(f"{key} {of.get(key)}" for key in KEY) for of in (found, wanted))
        raise UserError(
            f"{out} contains a world drawn with {old}, not {new}: choose another --out, or "
            "remove it"
        )
    return found or wanted


def draw_set(name: str, out: Path, seed: int, per_class: int, workers: Workers | None) -> int:
    """Draw a data set, under its name only once it is complete; return the number of files."""
    folder = out / PARTIAL / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pictures = list(ALL[name].pictures(per_class))
    one = partial(save, name, seed, folder)
    done = workers.imap_unordered(one, pictures, chunksize=4) if workers else map(one, pictures)
    total = ALL[name].count(per_class)
    with tqdm(total=total, desc=name, unit="file", disable=None, leave=False) as progress:
        for count in done:
            progress.update(count)
    shutil.rmtree(out / name, ignore_errors=True)
    (out / name).parent.mkdir(exist_ok=True)
    os.rename(folder, out / name)
    return total


def make(
    out: Path,
    seed: int,
    per_class: int,
    num_workers: int,
    names: Sequence[str] = (*SETS,),
) -> int:
    """Return how many files were drawn to complete the data sets in `out`.

    Raises UserError if it contains something else, OSError if it cannot be written.
    """
    found = check(out, record(seed, per_class), names)
    missing = [
        name
        for name in names
        if name not in found["files"] or not _is_complete(out / name, ALL[name].count(per_class))
    ]
    if not missing:
        return 0
    print(f"drawing {', '.join(missing)} into {out}", flush=True)
    drawn = 0
    with ExitStack() as stack:
        workers = None
        if num_workers > 1:
            workers = stack.enter_context(Pool(num_workers, _leave_signals_to_parent))
        for name in missing:
            # Recorded before the set exists, since folders that are not recorded are the user's.
            found["files"][name] = ALL[name].count(per_class)
            write_text(out / RECORD, json.dumps(found, indent=2) + "\n")
            drawn += draw_set(name, out, seed, per_class, workers)
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    return drawn


def _leave_signals_to_parent() -> None:
    """Ignore Ctrl-C in a worker, and let the parent process end it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    parser = plain_parser(__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the data sets (required)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the world (default: 0)")
    parser.add_argument(
        "--per_class",
        type=positive,
        default=20,
        help="validation images per category; the other sets have fixed sizes (default: 20)",
    )
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=[*ALL],
        default=[*SETS],
        metavar="NAME",
        help=f"data sets to draw, of {', '.join(ALL)} (default: all but {', '.join(ON_REQUEST)})",
    )
    parser.add_argument(
        "--num_workers",
        type=non_negative,
        default=2,
        metavar="W",
        help="worker processes (default: 2)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the world; return the exit code."""
    args = parse_words(_parser(), arguments)
    return guarded(lambda: _draw(args), "--out")


def _draw(args: argparse.Namespace) -> None:
    make_folder(args.out, "--out")
    names = [name for name in ALL if name in args.sets]
    drawn = make(args.out, args.seed, args.per_class, args.num_workers, names)
    total = sum(ALL[name].count(args.per_class) for name in names)
    state = f"{drawn:,} of them drawn now" if drawn else "already complete"
    print(f"{args.out}: {len(names)} data sets of {total:,} files, {state}")


if __name__ == "__main__":
    sys.exit(main())
