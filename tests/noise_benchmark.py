"""A benchmark for the tests: two conditions, one of them random, over a folder of four classes.

Run as a script, it is killed from outside: NOISE_SLEEP slows it down for that, NOISE_GATE names a
file that it waits for, NOISE_CHUNK sets the images per chunk.
"""

import os
import sys
import time
from pathlib import Path

from evaluation.benchmark import Benchmark
from evaluation.decisions import among_all_classes
from evaluation.session import main
from images.imagenet import imagenet_val
from images.preprocessing import Preprocessing
from scoring.accuracy import accuracy
from stimuli.randomness import keyed_normal


def stimuli(batch):
    yield "clean", batch.pixels
    time.sleep(float(os.environ.get("NOISE_SLEEP", "0")))
    while "NOISE_GATE" in os.environ and not Path(os.environ["NOISE_GATE"]).exists():
        time.sleep(0.02)
    yield "noise", batch.pixels + 0.5 * keyed_normal(batch, "noise", (3, *batch.pixels.shape[2:]))


NOISE = Benchmark(
    name="noise",
    arguments=lambda group: group.add_argument("--data"),
    locate=lambda args: Path(args.data),
    images=lambda folder, classes, args: imagenet_val(folder, classes),
    stimuli=stimuli,
    decision=among_all_classes,
    score=lambda predictions: {"top1_acc": accuracy(predictions, 1)},
    headline=("top1_acc",),
    preprocessing=Preprocessing(resize=32, crop=24),
)

if __name__ == "__main__":
    if "NOISE_CHUNK" in os.environ:
        from evaluation import loop

        loop.CHUNK_IMAGES = int(os.environ["NOISE_CHUNK"])
    sys.exit(main(NOISE, __doc__))
