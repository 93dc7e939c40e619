"""What batches gain in making the corruptions of ImageNet-C, beside the package imagecorruptions.

    python benchmarks/corruptions.py --imagenet DIR

Prints the milliseconds that an image takes under each corruption, as the mean over the five
severities: ours in batches, from crops in memory to clipped 8-bit values, and the package's, image
by image. They take turns on the same crops and cores; each figure is the median of the turns.
Where the package is not installed (pip install imagecorruptions opencv-python-headless
"setuptools<81"), or fails on the NumPy and scikit-image that are, its columns stay empty.
"""

import argparse
import importlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.data.image_set import class_balanced
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.run.batches import as_batch
from bvg.run.settings import keep_freed_memory
from bvg.stimuli.batch import Batch
from bvg.stimuli.imagenet_c import CORRUPTIONS, SEVERITIES, imagenet_c

Corrupt = Callable[..., np.ndarray]  # (H, W, 3) uint8, severity=, corruption_name= → the like


def crops_of(folder: str, limit: int, batch_size: int, device: torch.device) -> list[Batch]:
    """Return the study's crops of some validation images."""
    images = class_balanced(imagenet_val(folder, imagenet_classes(), partial=True), limit, 0)
    return [
        as_batch(images, decoded.views[0], decoded.indices, device, 0)
        for decoded in decoded_batches(images, (STUDY,), 0, batch_size, 0, False)
    ]


def package() -> Corrupt | None:
    """Return imagecorruptions.corrupt, or None where it is not installed."""
    warnings.simplefilter("ignore")  # its imports are old, and say so
    try:
        return importlib.import_module("imagecorruptions").corrupt
    except ImportError:
        return None


def ours(batches: list[Batch], name: str) -> float:
    """Return the milliseconds per image and severity of a corruption."""
    stimuli = imagenet_c([name])
    begin = time.perf_counter()
    for batch in batches:
        for _ in stimuli(batch):
            pass
        if batch.pixels.device.type == "cuda":
            torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - begin) / (images_in(batches) * len(SEVERITIES))


def theirs(pictures: list[np.ndarray], name: str, corrupt: Corrupt) -> float:
    """Return the same of the package, or NaN where it fails."""
    begin = time.perf_counter()
    try:
        for picture in pictures:
            for severity in SEVERITIES:
                corrupt(picture, severity=severity, corruption_name=name)
    except Exception:  # whatever has changed under it
        return float("nan")
    return 1000 * (time.perf_counter() - begin) / (len(pictures) * len(SEVERITIES))


def images_in(batches: list[Batch]) -> int:
    """Return how many images the batches hold."""
    return sum(len(batch.names) for batch in batches)


def pictures_of(batches: list[Batch], limit: int) -> list[np.ndarray]:
    """Return the first crops as (224, 224, 3) uint8."""
    levels = torch.cat([batch.pixels.cpu() for batch in batches])[:limit].mul(255).round()
    return list(levels.permute(0, 2, 3, 1).to(torch.uint8).numpy())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--limit", type=int, default=32, help="images (default 32)")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one_by_one", type=int, default=4, help="of them, for the package")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    keep_freed_memory()
    device = torch.device(arguments.device)
    batches = crops_of(arguments.imagenet, arguments.limit, arguments.batch_size, device)
    pictures, corrupt = pictures_of(batches, arguments.one_by_one), package()
    print(
        f"{images_in(batches)} images, batches of {arguments.batch_size}, {device}, "
        f"{torch.get_num_threads()} threads; ms per image",
        flush=True,
    )
    print(f"{'corruption':18} {'ours':>8} {'package':>8} {'ratio':>6}", flush=True)
    for name in CORRUPTIONS:
        ours(batches[:1], name)  # the first call makes tables
        turns = [
            (ours(batches, name), theirs(pictures, name, corrupt) if corrupt else float("nan"))
            for _ in range(arguments.repeats)
        ]
        fast, slow = (statistics.median(column) for column in zip(*turns, strict=True))
        row = f"{name:18} {fast:8.2f}"
        print(row if np.isnan(slow) else f"{row} {slow:8.1f} {slow / fast:6.1f}", flush=True)


if __name__ == "__main__":
    main()
