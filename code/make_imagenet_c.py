"""Generate the files of ImageNet-C from clean ImageNet images, in the published layout.

    python code/make_imagenet_c.py --imagenet /data/imagenet --out /data/imagenet-c

Paper: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed).
Writes <out>/<corruption>/<severity>/<class>/<image>.JPEG, 224 pixels, quality 85, 4:2:0, optimised:
75 GB for all 19 corruptions × 5 severities of 50,000 images. Each image is decoded once. A file
appears once it is complete, the same command resumes an interrupted run, and corruptions and
severities can be added later. eval_imagenet_c.py --imagenet_c <out> gives the same results on these
files as --generate --as_published gives without them.
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 130 interrupted (the same
command resumes).
"""

import argparse
import json
import os
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from bvg.data.finding import find_data
from bvg.data.folders import subfolders
from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.imagenet import imagenet_val
from bvg.data.imagenet_c import corruption_condition
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.errors import UserError
from bvg.files import lock_folder, make_folder, written_atomically
from bvg.predictions.identity import differences
from bvg.progress import Meter
from bvg.run.batches import as_batch
from bvg.run.command_line import (
    FROST_HELP,
    condition_flags,
    data_flag,
    device_flag,
    guarded,
    jpeg_quality,
    non_negative,
    parse_words,
    partial_flag,
    plain_parser,
    positive,
)
from bvg.run.settings import best_device, keep_freed_memory
from bvg.stimuli.batch import Stimuli
from bvg.stimuli.imagenet_c import (
    CORRUPTIONS,
    PUBLISHED_QUALITY,
    SEVERITIES,
    frost_source,
    imagenet_c,
)
from bvg.stylize.contents import copies_of, existing

RECORD = "made_by.json"
MOST_WAITING = 512  # images in memory that wait to be written


@dataclass(frozen=True)
class Missing:
    """The files to write.

    images: those that some condition lacks. files: their names below a condition's folder.
    folders: by condition. missing: (conditions, images), which condition lacks which image.
    """

    images: ImageSet
    files: list[str]
    folders: dict[str, Path]
    missing: np.ndarray


def main(argv: list[str] | None = None) -> int:
    """Generate the files; return the exit code."""
    args = parse_words(_parser(), argv)
    return guarded(lambda: _make(args), "--out")


def _parser() -> argparse.ArgumentParser:
    parser = plain_parser(__doc__)
    data = parser.add_argument_group("data")
    data_flag(data, "imagenet")
    partial_flag(data)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the files (required)")
    condition_flags(parser.add_argument_group("conditions"), tuple(CORRUPTIONS), SEVERITIES)
    add(
        "--limit",
        type=positive,
        metavar="N",
        help="use a class-balanced subset of N images (default: all images)",
    )
    add("--seed", type=int, default=0, help="random seed for subsets and corruptions (default: 0)")
    add("--frost", metavar="DIR", help=FROST_HELP)
    add(
        "--quality",
        type=jpeg_quality,
        default=PUBLISHED_QUALITY,
        help="quality of the JPEG files (default: 85, as published)",
    )
    device_flag(parser)
    add(
        "--batch_size",
        type=positive,
        default=16,
        metavar="B",
        help="images per batch (default: 16)",
    )
    add(
        "--num_workers",
        type=non_negative,
        default=0,
        metavar="W",
        help="worker processes that decode images (default: 0, threads decode)",
    )
    return parser


def _make(args: argparse.Namespace) -> None:
    corruptions = tuple(name for name in CORRUPTIONS if name in args.corruptions)
    severities = tuple(severity for severity in SEVERITIES if severity in args.severities)
    photographs, frost = frost_source(args.frost, corruptions)
    device = best_device(args.device)
    keep_freed_memory()
    images = imagenet_val(find_data("imagenet", args.imagenet), partial=args.partial)
    if args.limit:
        images = class_balanced(images, args.limit, args.seed)
    out = make_folder(args.out, "--out")
    with ExitStack() as lock:
        lock_folder(out, lock, "--out")
        _check_record(out, images, args, frost)
        work = missing_files(out, images, corruptions, severities)
        count = int(work.missing.sum())
        if count:
            # Corruptions that are complete are not generated again.
            incomplete = [rows.any() for rows in work.missing.reshape(len(corruptions), -1)]
            needed = tuple(c for c, some in zip(corruptions, incomplete, strict=True) if some)
            stimuli = imagenet_c(needed, severities, True, photographs, before_jpeg=True)
            _write(work, stimuli, device, args)
    total = len(images) * len(work.folders)
    print(f"wrote {count:,} files to {out} ({total - count:,} existed already)")


def _check_record(out: Path, images: ImageSet, args: argparse.Namespace, frost: str | None) -> None:
    """Record how the files are made; raises UserError if `out` holds files made differently."""
    now: dict[str, Any] = {
        "images": {"count": len(images), "fingerprint": images.fingerprint},
        "seed": args.seed,
        "quality": args.quality,
        "frost": frost,
        "pillow": PIL.__version__,
    }
    path = out / RECORD
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{path} cannot be read, so the origin of the files next to it is unknown: choose "
                "another folder with --out"
            ) from error
        now["frost"] = frost or before["frost"]  # no frost is made this time
        before["frost"] = before["frost"] or frost  # none had been made so far
        changed = differences(before, now)
        if changed:
            raise UserError(
                f"{out} contains files made with other settings ({'; '.join(changed)}): choose "
                "another folder with --out, or delete this one"
            )
    elif subfolders(out):
        raise UserError(
            f"{out} contains folders that this script did not create (there is no {RECORD}): "
            "choose another folder with --out"
        )
    with written_atomically(path, "--out") as file:
        file.write((json.dumps(now, indent=2) + "\n").encode())


def missing_files(
    out: Path, images: ImageSet, corruptions: tuple[str, ...], severities: tuple[int, ...]
) -> Missing:
    """Return which files are missing or empty (as a power failure can leave them)."""
    files = copies_of(list(images.names), ".JPEG")
    folders = {
        corruption_condition(corruption, severity): out / corruption / str(severity)
        for corruption in corruptions
        for severity in severities
    }
    missing = np.ones((len(folders), len(files)), dtype=bool)
    with Meter("looking for files", "folders", len(folders)) as meter:
        for row, folder in enumerate(folders.values()):
            found = existing(folder, files)
            missing[row] = [file not in found for file in files]
            meter.add(1)
    columns = np.flatnonzero(missing.any(axis=0))
    return Missing(
        images.select(columns), [files[i] for i in columns], folders, missing[:, columns]
    )


@torch.inference_mode()
def _write(work: Missing, stimuli: Stimuli, device: torch.device, args: argparse.Namespace) -> None:
    """Generate and write the missing files, each image decoded once."""
    rows = {condition: row for row, condition in enumerate(work.folders)}
    waiting: deque[Future] = deque()
    decoded = decoded_batches(
        work.images, (STUDY,), 0, args.batch_size, args.num_workers, pin_memory=False
    )
    with (
        Meter("generating ImageNet-C", "img", len(work.images)) as meter,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for part in decoded:
            for index, reason in part.failures:
                raise UserError(
                    f"the image {work.images.path(index)} cannot be decoded ({reason}): replace it"
                )
            batch = as_batch(work.images, part.views[0], part.indices, device, args.seed)
            for condition, x, *_ in stimuli(batch):
                pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
                for index, picture in zip(part.indices.tolist(), pixels, strict=True):
                    if work.missing[rows[condition], index]:
                        path = work.folders[condition] / work.files[index]
                        waiting.append(pool.submit(save_jpeg, path, picture, args.quality))
                while len(waiting) > MOST_WAITING:
                    waiting.popleft().result()
            meter.add(len(part.indices))
        while waiting:
            waiting.popleft().result()


def save_jpeg(path: Path, picture: np.ndarray, quality: int) -> None:
    """Write the JPEG file."""
    make_folder(path.parent, "--out")
    with written_atomically(path, "--out", durable=False) as file:
        image = Image.fromarray(picture)
        image.save(file, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
