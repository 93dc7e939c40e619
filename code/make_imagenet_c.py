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
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import PIL
import torch

from bvg.data.finding import find_data
from bvg.data.image_set import ImageSet, class_balanced, subfolders
from bvg.data.imagenet import imagenet_val
from bvg.data.imagenet_c_files import Missing, check_space, missing_files, save_jpeg
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.errors import UserError, storage_error
from bvg.files import locked, make_folder, written_atomically
from bvg.memory import keep_freed_memory
from bvg.predictions.identity import differences
from bvg.run.batches import as_batch
from bvg.run.command_line import best_device, guarded
from bvg.run.flags import FROST_HELP, condition_flags, imagenet_folder_flags
from bvg.run.parsing import positive
from bvg.run.progress import Progress
from bvg.stimuli.batch import Stimuli
from bvg.stimuli.imagenet_c import (
    CORRUPTIONS,
    PUBLISHED_QUALITY,
    SEVERITIES,
    frost_source,
    imagenet_c,
)

RECORD = "made_by.json"
MOST_WAITING = 512  # images in memory that wait to be written


def main(argv: list[str] | None = None) -> int:
    """Make the files; return the exit code."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _make(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    imagenet_folder_flags(parser.add_argument_group("data"))
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
        type=_quality,
        default=PUBLISHED_QUALITY,
        help="quality of the JPEG files (default: 85, as published)",
    )
    add("--device", help="cuda, cuda:1, mps or cpu (default: the fastest available)")
    add(
        "--batch_size",
        "--batch-size",
        type=positive,
        default=16,
        metavar="B",
        help="images per batch (default: 16)",
    )
    add(
        "--num_workers",
        "--num-workers",
        type=int,
        default=0,
        metavar="W",
        help="worker processes that decode images (default: 0, threads decode)",
    )
    return parser


def _quality(text: str) -> int:
    if positive(text) > 100:
        raise argparse.ArgumentTypeError(f"{text} is not a JPEG quality of 1 to 100")
    return int(text)


def _make(arguments: argparse.Namespace) -> int:
    corruptions = tuple(name for name in CORRUPTIONS if name in arguments.corruptions)
    severities = tuple(s for s in SEVERITIES if s in arguments.severities)
    photographs, source = frost_source(arguments.frost, corruptions)
    device = best_device(arguments.device)
    keep_freed_memory()
    folder = find_data("imagenet", arguments.imagenet)
    images = imagenet_val(folder, partial=arguments.partial)
    if arguments.limit:
        images = class_balanced(images, arguments.limit, arguments.seed)
    out = make_folder(arguments.out, "--out")
    with _alone(out):
        _keep_record(out, images, arguments, source)
        work = missing_files(out, images, corruptions, severities)
        count = int(work.missing.sum())
        if count:
            check_space(out, count)
            # Corruptions that are complete are not generated again.
            needed = [rows.any() for rows in work.missing.reshape(len(corruptions), -1)]
            lacking = tuple(c for c, some in zip(corruptions, needed, strict=True) if some)
            stimuli = imagenet_c(lacking, severities, True, photographs, before_jpeg=True)
            _write(work, stimuli, device, arguments)
    total = len(images) * len(work.folders)
    print(f"wrote {count:,} files to {out} ({total - count:,} existed already)")
    return 0


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(locked(out / ".lock"))
        except BlockingIOError as error:
            raise UserError(
                f"another process is writing to {out}: wait for it, or choose another --out"
            ) from error
        except OSError as error:
            raise storage_error(error, out, "--out") from error
        yield


def _keep_record(
    out: Path, images: ImageSet, arguments: argparse.Namespace, frost: str | None
) -> None:
    """Record what the files are made from; raises UserError if `out` holds different ones."""
    now: dict[str, Any] = {
        "images": {"count": len(images), "fingerprint": images.fingerprint},
        "seed": arguments.seed,
        "quality": arguments.quality,
        "frost": frost,
        "pillow": PIL.__version__,
    }
    path = out / RECORD
    if path.exists():
        before = _read(path)
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


def _read(record: Path) -> dict[str, Any]:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{record} cannot be read, so the origin of the files next to it is unknown: choose "
            "another folder with --out"
        ) from error


@torch.inference_mode()
def _write(
    work: Missing, stimuli: Stimuli, device: torch.device, arguments: argparse.Namespace
) -> None:
    """Make and write the missing files, each image decoded once."""
    rows = {condition: row for row, condition in enumerate(work.folders)}
    waiting: deque[Future] = deque()
    decoded = decoded_batches(
        work.images, (STUDY,), 0, arguments.batch_size, arguments.num_workers, pin_memory=False
    )
    with (
        Progress(len(work.images), "generating ImageNet-C") as progress,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for part in decoded:
            for index, reason in part.failures:
                raise UserError(
                    f"the image {work.images.path(index)} cannot be decoded ({reason}): replace it"
                )
            batch = as_batch(work.images, part.views[0], part.indices, device, arguments.seed)
            for condition, x, *_ in stimuli(batch):
                pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
                for index, picture in zip(part.indices.tolist(), pixels, strict=True):
                    if work.missing[rows[condition], index]:
                        path = work.folders[condition] / work.files[index]
                        waiting.append(pool.submit(save_jpeg, path, picture, arguments.quality))
                while len(waiting) > MOST_WAITING:
                    waiting.popleft().result()
            progress.update(int(part.indices[-1]) + 1)
        while waiting:
            waiting.popleft().result()


if __name__ == "__main__":
    sys.exit(main())
