"""A benchmark for the tests: two conditions, one of them random, over a folder of four classes.

NOISE_SLEEP slows it down, so that it can be killed in time; NOISE_GATE names a file that it waits
for.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bvg.data.imagenet import imagenet_val
from bvg.data.preprocessing import Preprocessing
from bvg.run.command_line import parse_args, script, with_options
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_table
from bvg.scores.accuracy import accuracy
from bvg.stimuli.randomness import keyed_normal


def stimuli(batch):
    yield "clean", batch.pixels
    time.sleep(float(os.environ.get("NOISE_SLEEP", "0")))
    while "NOISE_GATE" in os.environ and not Path(os.environ["NOISE_GATE"]).exists():
        time.sleep(0.02)
    yield "noise", batch.pixels + 0.5 * keyed_normal(batch, "noise", (3, *batch.pixels.shape[2:]))


def flags(group):
    group.add_argument("--data")


@dataclass(frozen=True)
class Toy:
    """A benchmark whose parts tests exchange; `main` is the script of it."""

    name: str
    images: Callable
    stimuli: Any
    score: Callable
    view: Preprocessing
    frames: int = 1

    def main(self, argv: list[str] | None = None) -> int:
        @script
        def run(argv):
            args = parse_args(__doc__, argv, flags)
            models, classes = load_models(with_options(args, preprocess="study"))
            images = self.images(Path(args.data), classes)
            images = replace(images, view=self.view, frames=self.frames)
            runs = evaluate(self.name, models, images, self.stimuli, top5, self.score, args)
            print_table(runs, "top1_acc")

        return run(argv)


def score(predictions):
    return {"top1_acc": accuracy(predictions, 1)}


NOISE = Toy("noise", imagenet_val, stimuli, score, Preprocessing(resize=32, crop=24))
