"""What eval_laion_c.py --generate costs per image, beside the definitions in tests/oracles.

    python benchmarks/laion_c.py --imagenet DIR

Prints the milliseconds of CPU time of an image under each corruption, on one thread, as the mean
over the five levels: ours in batches, and the definition's loops over pixels, shapes and lines,
image by image. They take turns on the same crops; each figure is the median of the turns.
"""

import argparse
import importlib
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))

from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.laion_c import SEVERITIES, Stickers, read_stickers
from bvg.run.settings import best_device
from bvg.stimuli.batch import Batch, bytes_of
from bvg.stimuli.laion_c import corrupted
from bvg.stimuli.randomness import keyed_generator
from corruptions import crops_of
from eval_laion_c import GENERATED, STICKER_IMAGES, STICKER_SIDE, generator


def ours(batches: list[Batch], name: str, bank: Stickers) -> float:
    """Return the CPU milliseconds per image and level of a corruption."""
    conditions = {f"{name}_{level}": generator(name, level, bank) for level in SEVERITIES}
    begin = time.process_time()
    for batch in batches:
        for _ in corrupted(batch, conditions):
            pass
    images = sum(len(batch.names) for batch in batches)
    return 1000 * (time.process_time() - begin) / images / len(SEVERITIES)


def definition(oracle: ModuleType, batches: list[Batch], name: str, bank: Stickers) -> float:
    """Return the same for the loops of tests/oracles/laion_c.py."""
    by_name = dict(zip(bank.names, bank.tiles, strict=True))
    crops = [crop for batch in batches for crop in bytes_of(batch.pixels)]
    begin = time.process_time()
    for crop in crops:
        for value in GENERATED[name]:
            one(oracle, crop, name, value, by_name)
    return 1000 * (time.process_time() - begin) / len(crops) / len(SEVERITIES)


def one(
    oracle: ModuleType, crop: np.ndarray, name: str, value: Any, bank: dict[str, np.ndarray]
) -> None:
    """Make one image by its definition."""
    draws = keyed_generator(0, name, "image")
    if name == "stickers":
        oracle.stickers(crop, "image", draws, value, bank)
    elif name == "vertical_lines":
        oracle.vertical_lines(crop, *value)
    elif name == "geometric_shapes":
        oracle.geometric_shapes(crop, draws, value)
    else:
        oracle.luminance_checkerboard(crop, draws, *value)


def main() -> None:
    """Print a row per corruption."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--limit", type=int, default=8, help="images (default 8)")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # more would spin while they wait for each other
    oracle = importlib.import_module("oracles.laion_c")
    images = imagenet_val(arguments.imagenet, imagenet_classes(), partial=True)
    bank = read_stickers(images, STICKER_IMAGES, STICKER_SIDE, 0)
    batches = crops_of(arguments.imagenet, arguments.limit, arguments.limit, best_device("cpu"))
    print("CPU ms per image: corruption, ours, definition, ratio")
    for name in GENERATED:
        turns = [
            (ours(batches, name, bank), definition(oracle, batches, name, bank))
            for _ in range(arguments.repeats)
        ]
        mine, slow = (statistics.median(column) for column in zip(*turns, strict=True))
        print(f"{name} {mine:.2f} {slow:.1f} {slow / mine:.0f}", flush=True)


if __name__ == "__main__":
    main()
