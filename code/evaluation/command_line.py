"""The command line that all scripts share, and the guard that turns mishaps into sentences."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from basics import guard
from basics.errors import UserError
from evaluation.tracking import MODES
from model_zoo.table import IMAGENET_MEAN, IMAGENET_STD

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_CACHES = """
caches: downloads go to $BVG_CACHE (default ~/.cache/bvg), weights to $BVG_WEIGHTS (default
$BVG_CACHE/weights); timm's weights to $HF_HOME, torchvision's to $TORCH_HOME; matplotlib's fonts to
$MPLCONFIGDIR. Everything else that is written goes to --results.
exit codes: 0 done; 2 something the user can fix (one sentence says what); 75 another process is
writing the same result; 130 interrupted (the same command resumes where it stopped).
"""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags that every evaluation script has."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=_CACHES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        nargs="+",
        default=[],
        metavar="NAME",
        help="one or more: a zoo or timm name, torchvision:NAME[/WEIGHTS], file://checkpoint.pth, "
        "or path/to/file.py:factory; RUNNAME=MODEL names the results",
    )
    group = parser.add_argument_group("what is measured (recorded; changing it needs --overwrite)")
    group.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="a class-balanced subset of N images; where the files show conditions, N of each, the "
        "same ones if they are there in all",
    )
    group.add_argument("--seed", type=int, default=0, help="of subsets and noise (default 0)")
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="of the model's arithmetic (default fp32: 32 bits also where GPUs would use TF32)",
    )
    _add_running(parser)
    _add_checkpoints(parser)
    return parser


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how it runs")
    group.add_argument("--device", default=None, help="cuda, cuda:1, mps, cpu (default: the best)")
    group.add_argument(
        "--batch_size",
        type=positive,
        metavar="B",
        help="images at once (default 64; on the CPU 16, as fast there and with less memory)",
    )
    group.add_argument(
        "--num_workers",
        type=_count,
        metavar="W",
        help="processes that decode images ahead (default: the cores, at most 8; on the CPU 0: "
        "threads decode between the batches, since processes would take cores from the model)",
    )
    group.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="where all results go (default results)",
    )
    group.add_argument("--overwrite", action="store_true", help="measure anew what is there")
    group.add_argument(
        "--save_stimuli",
        type=Path,
        metavar="DIR",
        help="write the stimuli of the --limit N images as DIR/<condition>/<image>.png; needs no "
        "--model (with one, the models are measured as well)",
    )
    group.add_argument(
        "--skip_bad_images",
        action="store_true",
        help="leave out images that cannot be decoded; they are counted and recorded",
    )
    group.add_argument(
        "--wandb",
        choices=MODES,
        default="auto",
        help="auto logs online where you are logged in to W&B, else not at all (default)",
    )


def _add_checkpoints(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("weights")
    group.add_argument("--weights_dir", type=Path, metavar="DIR", help="of downloaded weights")
    group.add_argument(
        "--check_top1",
        type=positive,
        metavar="N",
        help="first compare each model's accuracy on N clean validation images of ImageNet "
        "(--imagenet or $BVG_IMAGENET) with the zoo's table, or with chance, and warn where it is "
        "not what it should be",
    )
    group.add_argument(
        "--arch",
        default="resnet50",
        help="of file:// checkpoints: a timm name, torchvision:NAME or file.py:factory "
        "(default resnet50)",
    )
    for name, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
        group.add_argument(
            f"--{name}",
            type=float,
            nargs=3,
            default=default,
            metavar="X",
            help=f"{name} of R, G, B in [0, 1] that a file:// checkpoint expects (ImageNet's)",
        )


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Return the parsed arguments; `-` and `_` inside the name of a flag are the same."""
    words = sys.argv[1:] if argv is None else argv
    arguments = parser.parse_args([underscored(word) for word in words])
    if not arguments.model and not arguments.save_stimuli:
        parser.error("say which models to measure: --model NAME [NAME …]")
    if arguments.save_stimuli and not arguments.limit:
        parser.error("--save_stimuli writes a file per image and condition: say of how many images "
                     "with --limit N")  # fmt: skip
    return arguments


def underscored(word: str) -> str:
    """Return a flag with `_` for each `-` inside its name; other words as they are."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word[2:].partition("=")
    return "--" + flag.replace("-", "_") + equals + value


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    number = _count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def best_device(wanted: str | None) -> torch.device:
    """Return the device asked for, or the fastest there is; raises UserError when it is missing."""
    if wanted is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"the device {wanted!r} is not there ({str(error).splitlines()[0]}): use --device cpu, "
            "or leave --device out"
        ) from error
    return device


def guarded(work: Callable[[], int]) -> int:
    """Return work()'s exit code; whatever a user can mend becomes one sentence and exit code 2."""

    def within_memory() -> int:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            first = str(error).splitlines()[0]
            raise UserError(f"{first} Use a smaller --batch_size") from error

    return guard.guarded(within_memory)
