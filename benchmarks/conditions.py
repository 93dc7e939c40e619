"""What sharing the work of many conditions gains, beside a straightforward loop.

Both sides see the same images, model, batch size and cores. "stimuli" are made from crops that are
in memory already, all conditions of an image together here and one by one there. "runs" go from
files to answers: here the script's main() with everything that it does, there a bare loop over
conditions, images and batches in a process of its own (straightforward.py), so that it has nothing
of ours, not even the settings of the memory allocator.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

import eval_criticalband
import eval_imagenet
import eval_spectral
from bvg.errors import UserError
from bvg.stimuli.batch import Batch
from inputs import Inputs
from measuring import Cost, in_turns, timed, whole_run
from straightforward import CONDITIONS, crop_of
from table import Row, row

AGAINST = "straightforward loop"
SCRIPTS: dict[str, Any] = {
    "one condition": eval_imagenet,
    "spectral": eval_spectral,
    "critical band": eval_criticalband,
}
FEW = 4  # images that are filtered one by one


def stimuli(inputs: Inputs) -> Iterator[Row]:
    """Yield the costs of making all conditions of an image."""
    batches = inputs.batches()
    images = inputs.images()
    crops = [crop_of(images.path(index)) for index in range(min(len(images), FEW))]
    for what in ("spectral", "critical band"):
        script, slow = SCRIPTS[what], [*CONDITIONS[what]().values()][1:]  # without the simplest

        def ours(some: list[Batch], script: Any = script) -> Cost:
            made = timed(lambda: [None for batch in some for _ in script.stimuli(batch)])
            return made.per(sum(len(batch.names) for batch in some))

        def theirs(slow: list[Any] = slow) -> Cost:
            made = timed(lambda: [stimulus(crop) for crop in crops for stimulus in slow])
            return made.per(len(crops))

        ours(batches[:1])  # the first call makes tables
        costs = in_turns({"here": partial(ours, batches), "there": theirs}, inputs.turns)
        name = f"{what}: {len(slow)} conditions"
        yield row("stimuli", name, inputs.name, "one by one", costs["here"], costs["there"])


def runs(inputs: Inputs, scripts: Mapping[str, Any] = SCRIPTS) -> Iterator[Row]:
    """Yield the costs of whole runs."""
    images = inputs.images()
    files = [str(images.path(index)) for index in range(len(images))]
    command = [sys.executable, str(Path(__file__).with_name("straightforward.py"))]
    command += ["--model", inputs.model, "--batch_size", str(inputs.batch_size)]
    command += ["--device", str(inputs.device)]

    for what, script in scripts.items():

        def ours(script: Any = script) -> Cost:
            return whole_run(script.main, inputs.words()).per(len(files))

        def theirs(what: str = what) -> Cost:
            words = [*command, "--what", what, "--images", *files]
            done = subprocess.run(words, stdout=subprocess.PIPE, encoding="utf-8")
            if done.returncode:
                raise UserError("the straightforward loop failed: see above")
            return Cost(**json.loads(done.stdout)).per(len(files))

        costs = in_turns({"here": ours, "there": theirs}, inputs.turns)
        yield row("runs", what, inputs.name, AGAINST, costs["here"], costs["there"])
