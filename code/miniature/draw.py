"""Draw the miniature world: a data set for every benchmark, in the layout its script reads.

    python code/miniature/draw.py --out DIR

Writes a folder per data set, named as in code/download.py: DIR/imagenet (for --imagenet),
imagenet-real, imagenet-v2, imagenet-a, imagenet-r, imagenet-sketch, imagenet-c, imagenet-c-bar,
imagenet-p, and model-vs-human with its 17 data sets; and DIR/world.json, which records how they
were drawn. The same flags draw the same pixels with any number of workers. A data set appears under
its final name once it is complete; existing ones are not drawn again.
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

if not __package__:
    # Run as a script, the folder on the path is this one instead of the one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bvg.run.command_line import escape_unencodable_output, positive
from miniature import world
from miniature.sets import SETS

PNG_LEVEL = 1  # little slower to read than the highest level, much quicker to write
PARTIAL = ".partial"
RECORD = "world.json"
KEY = ("version", "seed", "per_class")


class DrawingError(Exception):
    """An error that the user can fix, as one sentence."""


def record(seed: int, per_class: int) -> dict[str, Any]:
    """Return the record in world.json of a world with these parameters, before its sets."""
    return {"version": world.VERSION, "seed": seed, "per_class": per_class, "files": {}}


def save(name: str, seed: int, folder: Path, picture: world.Picture) -> int:
    """Draw the files of one key of a set into the set's folder; return their number."""
    count = 0
    for file, content in SETS[name].draw(seed, picture):
        count += 1
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content + "\n", encoding="utf-8")
        else:
            # Each option is read by the one of the two formats that has it.
            quality = SETS[name].quality
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
        raise DrawingError(f"{path} is damaged; choose another --out or remove it.")
    return found


def _write(record_file: Path, found: dict[str, Any]) -> None:
    temporary = record_file.with_suffix(PARTIAL)
    temporary.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, record_file)


def _is_there(folder: Path, count: int) -> bool:
    return sum(len(files) for _, _, files in os.walk(folder)) == count


def check(out: Path, wanted: dict[str, Any], names: Iterable[str], overwrite: bool) -> dict | None:
    """Return the record of the world in `out` to extend, or None if a new one is drawn.

    Raises DrawingError if drawing would replace another world or other files.
    """
    if out.exists() and not out.is_dir():
        raise DrawingError(f"{out} is not a folder; choose another --out.")
    found = _read(out / RECORD)
    known = found["files"] if found else {}
    for name in names:
        if name not in known and (out / name).exists():
            raise DrawingError(
                f"{out / name} exists and was not drawn by this script; choose another --out."
            )
    if found and any(found.get(key) != wanted[key] for key in KEY):
        kept, asked = (", ".join(f"{key} {of.get(key)}" for key in KEY) for of in (found, wanted))
        if not overwrite:
            raise DrawingError(
                f"{out} contains a world drawn with {kept}, not {asked}; "
                "choose another --out or give --overwrite."
            )
        for name in known:  # of the other world, so that the two are never mixed
            shutil.rmtree(out / name, ignore_errors=True)
        return None
    return found


def draw_set(name: str, out: Path, seed: int, per_class: int, workers: Workers | None) -> int:
    """Draw a set into `out`, under its name only once it is complete; return its file count."""
    folder = out / PARTIAL / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pictures = list(SETS[name].pictures(per_class))
    one = partial(save, name, seed, folder)
    done = workers.imap_unordered(one, pictures, chunksize=4) if workers else map(one, pictures)
    total = SETS[name].count(per_class)
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
    overwrite: bool = False,
) -> int:
    """Return how many files were drawn to complete the sets in `out`.

    Raises DrawingError if it contains something else, OSError if it cannot be written.
    """
    wanted = record(seed, per_class)
    found = check(out, wanted, names, overwrite) or wanted
    missing = [
        name
        for name in names
        if name not in found["files"] or not _is_there(out / name, found["files"][name])
    ]
    if not missing:
        return 0
    print(f"drawing {', '.join(missing)} into {out}", flush=True)
    drawn = 0
    with ExitStack() as stack:
        workers = None
        if num_workers > 1:
            # An interrupt is for this process, which then ends its workers.
            ignore = (signal.SIGINT, signal.SIG_IGN)
            workers = stack.enter_context(Pool(num_workers, signal.signal, ignore))
        for name in missing:
            # Before the set itself: a folder that no record knows is taken for someone else's.
            found["files"][name] = SETS[name].count(per_class)
            _write(out / RECORD, found)
            drawn += draw_set(name, out, seed, per_class, workers)
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    return drawn


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the data sets (required)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the world (default: 0)")
    parser.add_argument(
        "--per_class",
        "--per-class",
        type=positive,
        default=20,
        help="validation images per category; the other sets have fixed sizes (default: 20)",
    )
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=[*SETS],
        default=[*SETS],
        metavar="NAME",
        help=f"data sets to draw, of {', '.join(SETS)} (default: all)",
    )
    parser.add_argument(
        "--num_workers",
        "--num-workers",
        type=int,
        default=2,
        metavar="W",
        help="worker processes (default: 2)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a world drawn with other parameters"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0, or 2 with a sentence on stderr for errors the user can fix."""
    escape_unencodable_output()
    args = _parser().parse_args(arguments)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        names = [name for name in SETS if name in args.sets]
        drawn = make(args.out, args.seed, args.per_class, args.num_workers, names, args.overwrite)
    except KeyboardInterrupt:
        print("draw.py: interrupted; the same command resumes.", file=sys.stderr)
        return 130
    except DrawingError as error:
        print(f"draw.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = error.strerror or error
        print(f"draw.py: cannot write {args.out}: {reason}; choose another --out.", file=sys.stderr)
        return 2
    total = sum(SETS[name].count(args.per_class) for name in names)
    state = f"{drawn:,} of them drawn now" if drawn else "already complete"
    print(f"{args.out}: {len(names)} data sets of {total:,} files, {state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
