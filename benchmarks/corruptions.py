"""What batches gain in making corruptions, beside the package imagecorruptions.

Ours are made in batches, from crops in memory; the others image by image. An image's cost is the
mean over the five severities.
"""

import importlib
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.errors import UserError
from bvg.stimuli.batch import Batch, Stimuli, bytes_of
from bvg.stimuli.imagenet_c import CORRUPTIONS, SEVERITIES, imagenet_c
from inputs import Inputs
from measuring import Cost, Side, in_turns, timed
from table import Row, row

FEW = 4  # images for what is done one by one


def imagenet_c_rows(inputs: Inputs, names: tuple[str, ...] = tuple(CORRUPTIONS)) -> Iterator[Row]:
    """Yield the costs of the corruptions of ImageNet-C, beside the package's."""
    warnings.simplefilter("ignore")  # the package's imports are old, and say so
    try:
        corrupt = importlib.import_module("imagecorruptions").corrupt
    except ImportError as error:
        raise UserError(
            "the part `corruptions` needs the package imagecorruptions-imaug: start it with `make "
            "bench`, which installs it, or leave the part out with --parts"
        ) from error
    batches = inputs.batches()
    pictures = bytes_of(batches[0].pixels)[:FEW]

    def theirs(some: np.ndarray, name: str) -> Cost:
        def work() -> None:
            for picture in some:
                for severity in SEVERITIES:
                    corrupt(picture, severity=severity, corruption_name=name)

        return timed(work).per(len(some) * len(SEVERITIES))

    for name in names:
        stimuli = imagenet_c([name])
        ours(batches[:1], stimuli)  # the first call makes tables, or compiles
        theirs(pictures[:1], name)
        sides: dict[str, Side] = {
            "here": partial(ours, batches, stimuli),
            "there": partial(theirs, pictures, name),
        }
        costs = in_turns(sides, inputs.turns)
        against = "imagecorruptions"
        yield row("corruptions", name, inputs.name, against, costs["here"], costs["there"])


def ours(batches: list[Batch], stimuli: Stimuli) -> Cost:
    """Return what one corruption of an image costs here."""
    made = timed(lambda: [None for batch in batches for _ in stimuli(batch)])
    return made.per(sum(len(batch.names) for batch in batches) * len(SEVERITIES))
