"""Whether one field of noise per image gives the accuracies that fresh noise gives.

    python benchmarks/fresh_noise.py --model path/to/file.py:factory --imagenet DIR

The project draws one field per image and takes all 28 noisy conditions of the critical band from
it; the published code draws anew for every condition. Here both are measured on the same images,
and each condition's difference is set against the error that the images' answers leave: the two
answers on an image differ or not, and z is their mean difference over its standard error.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

import eval_criticalband
from bvg.predictions.table import Predictions, read_predictions
from bvg.scores.accuracy import top1_by_condition
from bvg.stimuli.batch import Batch, Stimuli
from bvg.stimuli.criticalband import (
    SIZE,
    WITHOUT_NOISE,
    clip_noise,
    condition_name,
    low_contrast_grey,
    octave_bands,
)
from bvg.stimuli.randomness import keyed_normal

NOISY = [
    (condition_name(f, sd), f, sd)
    for f in eval_criticalband.BANDS
    for sd in eval_criticalband.DEVIATIONS
]


def fresh(batch: Batch) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the critical band's conditions, each from a field of noise of its own."""
    grey = low_contrast_grey(batch.pixels)
    yield WITHOUT_NOISE, grey.unsqueeze(1).expand(-1, 3, -1, -1)
    for condition, band, deviation in NOISY:
        field = keyed_normal(batch, f"fresh {condition}", (SIZE, SIZE))
        masked = grey + dict(octave_bands(field, eval_criticalband.BANDS))[band] * deviation
        clip_noise(masked, None)  # the few lost pixels become 0.1 or 0.9 here
        yield condition, masked.unsqueeze(1).expand(-1, 3, -1, -1)


def answers(stimuli: Stimuli, words: list[str]) -> list[Predictions]:
    """Return each model's predictions on the stimuli."""
    eval_criticalband.stimuli = stimuli
    with tempfile.TemporaryDirectory() as results:
        if eval_criticalband.main([*words, "--results", results, "--wandb", "disabled"]):
            sys.exit(2)
        files = sorted(Path(results).glob("*/*/predictions.parquet"))
        return [read_predictions(file) for file in files]


def compare() -> None:
    """Print, by model, the accuracies' differences and whether they exceed the sampling error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", required=True)
    parser.add_argument("--imagenet", required=True)
    arguments = parser.parse_args()
    words = ["--model", *arguments.model, "--imagenet", arguments.imagenet, "--partial"]
    shared = eval_criticalband.stimuli
    pairs = zip(answers(shared, words), answers(fresh, words), strict=True)
    for one, other in pairs:
        a, b = (_right(predictions) for predictions in (one, other))
        difference = a.astype(int) - b
        spread = difference.std(axis=0) / math.sqrt(len(a))
        z = difference.mean(axis=0) / np.where(spread == 0, np.inf, spread)
        print(
            f"{len(a)} images, {a.shape[1]} conditions: mean accuracy {100 * a.mean():.2f} % "
            f"shared, {100 * b.mean():.2f} % fresh; largest difference in a condition "
            f"{100 * np.abs(difference.mean(axis=0)).max():.2f} points; |z| over 1.96 in "
            f"{(np.abs(z) > 1.96).sum()}, largest |z| {np.abs(z).max():.2f}, "
            f"root mean square of z {math.sqrt((z**2).mean()):.2f}"
        )


def _right(predictions: Predictions) -> np.ndarray:
    """Return (images, conditions) bool, the noisy conditions in their order."""
    names, correct = top1_by_condition(predictions)
    return correct[:, [names.index(condition) for condition, _, _ in NOISY]]


if __name__ == "__main__":
    compare()
