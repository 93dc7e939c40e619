"""What batches gain in making corruptions.

Those of ImageNet-C stand beside the package imagecorruptions, those of LAION-C that are generated
beside the definitions in tests/oracles, in loops over pixels, shapes and lines. Ours are made in
batches, from crops in memory; the others image by image. An image's cost is the mean over the five
severities.
"""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))

from bvg.data.laion_c import Stickers, read_stickers
from bvg.errors import UserError
from bvg.stimuli.batch import Batch, Stimuli, bytes_of
from bvg.stimuli.imagenet_c import CORRUPTIONS, SEVERITIES, imagenet_c
from bvg.stimuli.laion_c import corrupted
from bvg.stimuli.randomness import keyed_generator
from eval_laion_c import GENERATED, STICKER_IMAGES, STICKER_SIDE, generator
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


def laion_c_rows(inputs: Inputs, names: tuple[str, ...] = tuple(GENERATED)) -> Iterator[Row]:
    """Yield the costs of LAION-C's generated corruptions, beside the definition's."""
    oracle = importlib.import_module("oracles.laion_c")
    bank = read_stickers(inputs.all_images(), STICKER_IMAGES, STICKER_SIDE, 0)
    by_name = dict(zip(bank.names, bank.tiles, strict=True))
    batches = inputs.batches(FEW)
    crops = [crop for batch in batches for crop in bytes_of(batch.pixels)]

    def theirs(some: list[np.ndarray], name: str) -> Cost:
        def work() -> None:
            for crop in some:
                for value in GENERATED[name]:
                    by_definition(oracle, crop, name, value, by_name)

        return timed(work).per(len(some) * len(SEVERITIES))

    for name in names:
        stimuli = generated(name, bank)
        sides: dict[str, Side] = {
            "here": partial(ours, batches, stimuli),
            "there": partial(theirs, crops[:1], name),
        }
        costs = in_turns(sides, inputs.turns)
        what, against = f"LAION-C's {name}", "definition in loops"
        yield row("laion_c", what, inputs.name, against, costs["here"], costs["there"])


def ours(batches: list[Batch], stimuli: Stimuli) -> Cost:
    """Return what one corruption of an image costs here."""
    made = timed(lambda: [None for batch in batches for _ in stimuli(batch)])
    return made.per(sum(len(batch.names) for batch in batches) * len(SEVERITIES))


def generated(name: str, bank: Stickers) -> Stimuli:
    """Return the stimuli of one of LAION-C's corruptions at its levels."""
    conditions = {f"{name}_{level}": generator(name, level, bank) for level in SEVERITIES}
    return partial(corrupted, corruptions=conditions)


def by_definition(
    oracle: Any, crop: np.ndarray, name: str, value: Any, bank: dict[str, np.ndarray]
) -> None:
    """Make one of LAION-C's images by its definition."""
    draws = keyed_generator(0, name, "image")
    make: dict[str, Callable[[], object]] = {
        "stickers": lambda: oracle.stickers(crop, "image", draws, value, bank),
        "vertical_lines": lambda: oracle.vertical_lines(crop, *value),
        "geometric_shapes": lambda: oracle.geometric_shapes(crop, draws, value),
        "luminance_checkerboard": lambda: oracle.luminance_checkerboard(crop, draws, *value),
    }
    make[name]()
