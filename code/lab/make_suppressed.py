"""The stimuli of eval_suppression.py as a folder that can be shown to people.

    python code/lab/make_suppressed.py PHOTOGRAPHS --out ~/stimuli/suppression
    python code/lab/serve.py ~/stimuli/suppression --out raw-data/lab/suppression

Paper: Burgert, Stoll, Rota & Demir, "ImageNet-trained CNNs are not biased towards texture",
NeurIPS 2025.
Data: photographs in folders of the 16 categories, <category>/<image>, squashed to 224 x 224 pixels
as in eval_suppression.py, whose conditions these are.
Writes OUT/<condition>/<category>/<image>.png: original, global-shape, local-shape, texture and
colour, each named after the cue that it lacks.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

if not __package__:  # run as a script: put code/ on the path instead of this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bvg.data.categories import CATEGORIES
from bvg.data.folders import existing_folder, in_class_folders
from bvg.data.preprocessing import SQUASHED_224, decode
from bvg.errors import UserError
from bvg.files import make_folder, written_atomically
from bvg.run.command_line import guarded, non_negative, parse_words, plain_parser
from bvg.stimuli.batch import Batch, bytes_of
from bvg.stimuli.suppression import ORIGINAL, condition_name, suppressed
from eval_suppression import CUES


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    parser = plain_parser(
        __doc__, "exit codes: 0 done; 2 a problem you can fix (one sentence says how)."
    )
    add = parser.add_argument
    add("photographs", type=Path, metavar="PHOTOGRAPHS", help="folder of <category>/<image>")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the stimuli")
    add("--seed", type=non_negative, default=0, help="of the shuffled tiles (default: 0)")
    args = parse_words(parser, argv)
    return guarded(lambda: _make(args), "--out")


def _make(args: argparse.Namespace) -> None:
    folder = existing_folder(args.photographs, "the folder of photographs", "PHOTOGRAPHS")
    found = in_class_folders(folder, CATEGORIES)
    if not found.files:
        raise UserError(
            f"{folder} has no photographs in folders {', '.join(CATEGORIES[:3])}, …: give a folder "
            "that has"
        )
    cue_of = {condition_name(condition): cue for cue, condition in CUES.items()}
    for file, name in zip(found.files, found.names, strict=True):
        pixels = SQUASHED_224["opencv"](decode(folder / file))
        for condition, image in _conditions(pixels, name, args.seed):
            path = args.out / cue_of.get(condition, condition) / f"{Path(name).with_suffix('')}.png"
            make_folder(path.parent, "--out")
            with written_atomically(path, "--out") as target:
                Image.fromarray(image).save(target, "PNG")
    print(f"{args.out}: {len(found.files):,} photographs under {len(CUES) + 1} conditions")


def _conditions(pixels: np.ndarray, name: str, seed: int) -> list[tuple[str, np.ndarray]]:
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    batch = Batch(tensor, (name,), torch.zeros(1, dtype=torch.int64), seed)
    made = suppressed(batch, CUES.values())
    return [(ORIGINAL, pixels), *((condition, bytes_of(image)[0]) for condition, image in made)]


if __name__ == "__main__":
    sys.exit(main())
