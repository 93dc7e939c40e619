"""Train the models of the miniature world, each with a known bias.

    python code/miniature/train.py --all
    python code/miniature/train.py plain stylised

Each takes one or two minutes on two CPU cores. Writes weights/<name>.safetensors and an entry in
weights/training_log.json, next to this file (or into --out).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

if not __package__:  # run as a script: put code/ on the path instead of this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bvg.files import make_folder, write_text, written_atomically
from bvg.run.command_line import guarded, parse_words, plain_parser
from miniature import world
from miniature.learning import fit
from miniature.measure import cue_fractions, decisions, sample
from miniature.recipes import RECIPES, Recipe, described

WEIGHTS = Path(__file__).resolve().parent / "weights"
LOG = "training_log.json"
PICTURES: dict[str, Callable[[int], Iterator[world.Picture]]] = {
    "matched": world.matched,
    "texture_randomised": world.texture_randomised,
    "shape_randomised": world.shape_randomised,
    "half_randomised": world.half_randomised,
    "cue_conflict": world.cue_conflict,
}
WORLD_SEED = 0
HELD_OUT_PER_CLASS = 20


@cache
def _images(split: str, pictures: str, per_class: int) -> torch.Tensor:
    return sample(WORLD_SEED, split, PICTURES[pictures](per_class))


def _labels(recipe: Recipe, per_class: int) -> torch.Tensor:
    pictures = PICTURES[recipe.pictures](per_class)
    return torch.tensor([getattr(picture, recipe.label) for picture in pictures])


def _evaluate(model: nn.Module) -> dict[str, float]:
    """Return the accuracy on the world's validation images and the fractions on cue conflict."""
    answers = decisions(model, _images("val", "matched", HELD_OUT_PER_CLASS))
    right = answers == _labels(Recipe(), HELD_OUT_PER_CLASS)
    conflict = decisions(model, _images("cue-conflict", "cue_conflict", world.CONFLICT_INSTANCES))
    fractions = cue_fractions(conflict, world.cue_conflict(world.CONFLICT_INSTANCES))
    figures = {"held_out_accuracy": right.double().mean().item(), **fractions}
    return {key: round(value, 4) for key, value in figures.items()}


def _save(path: Path, model: nn.Module, metadata: dict[str, str]) -> None:
    """Save the weights in half precision, under their name only once complete."""
    state = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
    }
    with written_atomically(path, "--out") as file:
        file.write(save(state, metadata=metadata))


def _log(path: Path, name: str, entry: dict[str, object]) -> None:
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries[name] = entry
    text = json.dumps({key: entries[key] for key in sorted(entries)}, indent=1) + "\n"
    write_text(path, text)


def train(name: str, seed: int, out: Path) -> dict[str, object]:
    """Train a recipe, write its weights to `out`, and return its log entry."""
    recipe = RECIPES[name]
    images = _images("train", recipe.pictures, recipe.per_class)
    start = time.perf_counter()
    model, curve = fit(images, _labels(recipe, recipe.per_class), recipe, seed, name)
    seconds = round(time.perf_counter() - start, 1)
    entry: dict[str, object] = {
        "recipe": described(recipe),
        "seed": seed,
        "world_version": world.VERSION,
        "torch": torch.__version__,
        "train_accuracy": curve[-1]["accuracy"],
    }
    model = model.half().float()  # evaluated as it will be used: rounded to half precision
    entry |= _evaluate(model)
    # A single metadata key, because safetensors writes several in any order.
    metadata = {"training": json.dumps({"name": name, **entry})}
    _save(out / f"{name}.safetensors", model, metadata)
    entry |= {"seconds": seconds, "threads": torch.get_num_threads(), "curve": curve}
    _log(out / LOG, name, entry)
    return entry


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the recipes; return the exit code."""
    parser = plain_parser(__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"recipes to train, of {', '.join(RECIPES)}"
    )
    parser.add_argument("--all", action="store_true", help="train every recipe")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="random seed of initialization and training (default: 0)",
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument(
        "--out",
        type=Path,
        default=WEIGHTS,
        metavar="DIR",
        help="directory for weights and log (default: next to this script)",
    )
    args = parse_words(parser, arguments)
    names = list(RECIPES) if args.all else args.names
    if not names:
        parser.error("no recipes to train: give NAME [NAME …], or --all")
    if unknown := [name for name in names if name not in RECIPES]:
        parser.error(f"unknown recipe {', '.join(unknown)}; choose from {', '.join(RECIPES)}")
    return guarded(lambda: _train_all(names, args), "--out")


def _train_all(names: list[str], args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    make_folder(args.out, "--out")
    for name in names:
        entry = train(name, args.seed, args.out)
        figures = ("held_out_accuracy", "shape_bias", "shape", "texture", "neither", "seconds")
        print(f"{name}: " + ", ".join(f"{key} {entry[key]}" for key in figures), flush=True)


if __name__ == "__main__":
    sys.exit(main())
