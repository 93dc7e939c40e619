"""Draw the miniature world: a folder of validation images and a cue-conflict set.

    python code/miniature/draw.py --out DIR

Writes DIR/val/<category>/<category>_<nnnn>.JPEG, whose shape and texture agree;
DIR/cue-conflict/<shape category>/<shape><n>-<texture><m>.png, every shape in every texture, named
as the cue-conflict images of Geirhos et al. (2019); and DIR/world.json, which says how the set was
drawn. The same flags draw the same pixels on any number of workers. Nothing appears under its
final name before the whole set is drawn; drawing what is there already returns at once.
"""

import argparse
import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from PIL import Image
from tqdm import tqdm

if not __package__:
    # Run as a script, the folder on the path is this one instead of the one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from miniature import world

JPEG_QUALITY = 95
PNG_LEVEL = 1  # little slower to read than the highest level, much quicker to write
PARTIAL = ".partial"
RECORD = "world.json"
FOLDERS = ("val", "cue-conflict")


class DrawingError(Exception):
    """What the user can put right, as one sentence."""


def file_name(split: str, picture: world.Picture) -> Path:
    """Return where a picture goes, relative to the world's folder."""
    shape, texture = world.CATEGORIES[picture.shape], world.CATEGORIES[picture.texture]
    n = picture.number
    if split == "val":
        return Path(split, shape, f"{shape}_{n:04d}.JPEG")
    # Instance n of the shape meets instance n of the texture: both numbers are the picture's.
    return Path(split, shape, f"{shape}{n}-{texture}{n}.png")


def contents(per_class: int) -> Iterator[tuple[str, world.Picture]]:
    """Yield the split and key of every picture of the set."""
    yield from (("val", picture) for picture in world.matched(per_class))
    yield from (
        ("cue-conflict", picture) for picture in world.cue_conflict(world.CONFLICT_INSTANCES)
    )


def record(seed: int, per_class: int) -> dict[str, object]:
    """Return what world.json says of a set drawn with these parameters."""
    counts = Counter(split for split, _ in contents(per_class))
    return {"version": world.VERSION, "seed": seed, "per_class": per_class, "counts": counts}


def save(item: tuple[str, world.Picture], seed: int, folder: Path) -> None:
    """Draw one picture into the folder of its category, which must exist."""
    border = world.VAL_BORDER if item[0] == "val" else 0
    image = Image.fromarray(world.render(seed, *item, border))
    # Each option is read by the one of the two formats that has it.
    image.save(folder / file_name(*item), quality=JPEG_QUALITY, compress_level=PNG_LEVEL)


def _read(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DrawingError(f"{path} is damaged; choose another --out or remove it.")
    return found


def _complete(out: Path, per_class: int) -> bool:
    return all((out / file_name(*item)).is_file() for item in contents(per_class))


def check(out: Path, wanted: dict[str, object], overwrite: bool) -> None:
    """Raise DrawingError where drawing into `out` would replace another world or other files."""
    if out.exists() and not out.is_dir():
        raise DrawingError(f"{out} is not a folder; choose another --out.")
    found = _read(out / RECORD) or _read(out / PARTIAL / RECORD)
    if found is None:
        for name in FOLDERS:
            if (out / name).exists():
                raise DrawingError(
                    f"{out / name} exists and was not drawn by this program; choose another --out."
                )
    elif found != wanted and not overwrite:
        kept, asked = (
            ", ".join(f"{key} {of.get(key)}" for key in ("version", "seed", "per_class"))
            for of in (found, wanted)
        )
        raise DrawingError(
            f"{out} holds a world drawn with {kept}, not {asked}; "
            "choose another --out or give --overwrite."
        )


def _publish(out: Path) -> None:
    """Move a complete set to its final names, the record last; a second call goes on."""
    partial_folder = out / PARTIAL
    for name in FOLDERS:
        if (partial_folder / name).exists():
            shutil.rmtree(out / name, ignore_errors=True)
            os.rename(partial_folder / name, out / name)
    os.replace(partial_folder / RECORD, out / RECORD)
    partial_folder.rmdir()


def draw_all(out: Path, seed: int, per_class: int, num_workers: int) -> None:
    """Draw the whole set into `out`, replacing one that is there."""
    folder = out / PARTIAL
    shutil.rmtree(folder, ignore_errors=True)
    items = list(contents(per_class))
    print(f"drawing {len(items)} images into {out}", flush=True)
    for parent in {(folder / file_name(*item)).parent for item in items}:
        parent.mkdir(parents=True, exist_ok=True)
    draw_one = partial(save, seed=seed, folder=folder)
    with ExitStack() as stack:
        if num_workers > 1:
            # An interrupt is for this process, which then ends its workers.
            ignore = (signal.SIGINT, signal.SIG_IGN)
            pool = stack.enter_context(Pool(num_workers, signal.signal, ignore))
            done: Iterator[None] = pool.imap_unordered(draw_one, items, chunksize=16)
        else:
            done = map(draw_one, items)
        for _ in tqdm(done, total=len(items), desc="drawing", unit="image", disable=None):
            pass
    (folder / RECORD).write_text(json.dumps(record(seed, per_class), indent=2) + "\n")
    (out / RECORD).unlink(missing_ok=True)
    _publish(out)


def make(out: Path, seed: int, per_class: int, num_workers: int, overwrite: bool = False) -> bool:
    """Return whether anything had to be drawn for `out` to hold the set.

    Raises DrawingError where it holds something else, OSError where it cannot be written.
    """
    wanted = record(seed, per_class)
    check(out, wanted, overwrite)
    if _read(out / PARTIAL / RECORD) == wanted:  # killed between drawing and publishing
        _publish(out)
    if _read(out / RECORD) == wanted and _complete(out, per_class):
        return False
    draw_all(out, seed, per_class, num_workers)
    return True


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--per_class", "--per-class", type=_positive, default=20, help="validation images (20)"
    )
    parser.add_argument("--num_workers", "--num-workers", type=int, default=2)
    parser.add_argument("--overwrite", action="store_true", help="replace a world drawn otherwise")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0, or 2 with a sentence on stderr for what the user can put right."""
    args = _parser().parse_args(arguments)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        drew = make(args.out, args.seed, args.per_class, args.num_workers, args.overwrite)
    except KeyboardInterrupt:
        print("draw.py: interrupted; the same command starts again.", file=sys.stderr)
        return 130
    except DrawingError as error:
        print(f"draw.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = error.strerror or error
        print(f"draw.py: cannot write {args.out}: {reason}; choose another --out.", file=sys.stderr)
        return 2
    images = sum(1 for _ in contents(args.per_class))
    print(f"{args.out}: {images} images" + (" drawn" if drew else ", there already"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
