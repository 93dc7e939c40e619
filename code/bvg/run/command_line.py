"""The command line shared by all scripts, and the guard that turns errors into sentences."""

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from bvg.errors import UserError, is_out_of_memory
from bvg.run import guard
from bvg.run.parsing import count, positive, underscored
from bvg.run.wandb_mirror import MODES
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_CACHES = """
caches: downloads go to $BVG_CACHE (default: ~/.cache/bvg), weights to $BVG_WEIGHTS (default:
$BVG_CACHE/weights), timm's weights to $HF_HOME, torchvision's to $TORCH_HOME, matplotlib's fonts to
$MPLCONFIGDIR. All other output goes to --results.
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 75 another process is writing
the same result; 130 interrupted (the same command resumes).
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
        help="models to evaluate: zoo or timm names, torchvision:NAME[/WEIGHTS], "
        "file://checkpoint.pth, or path/to/file.py:factory; RUNNAME=MODEL sets the name of the "
        "results",
    )
    group = parser.add_argument_group("protocol (recorded; changing it needs --overwrite)")
    group.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="evaluate a class-balanced subset of N images (N per condition for C, C-bar, P), the "
        "same images in every condition (default: all images)",
    )
    group.add_argument(
        "--seed", type=int, default=0, help="random seed for subsets and noise (default: 0)"
    )
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="precision of the model's arithmetic (default: fp32, without TF32)",
    )
    group.add_argument(
        "--allow_unstable",
        action="store_true",
        help="evaluate models whose outputs are random or depend on the other images of the batch "
        "(such as dropout or batch normalization in training mode), which are refused by "
        "default",
    )
    _add_running(parser)
    _add_checkpoints(parser)
    return parser


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("execution")
    group.add_argument(
        "--device", default=None, help="cuda, cuda:1, mps or cpu (default: the fastest available)"
    )
    group.add_argument(
        "--batch_size",
        type=positive,
        metavar="B",
        help="images per batch (default: 64, or 16 on the CPU)",
    )
    group.add_argument(
        "--num_workers",
        type=count,
        metavar="W",
        help="worker processes that decode images (default: one per core, at most 8; 0 on the CPU, "
        "where threads decode between batches)",
    )
    group.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="directory for results (default: results)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="re-run and replace existing results"
    )
    group.add_argument(
        "--save_stimuli",
        type=Path,
        metavar="DIR",
        help="save the stimuli of the --limit N images to DIR/<condition>/<image>.png; --model is "
        "optional then (default: save none)",
    )
    group.add_argument(
        "--skip_bad_images",
        action="store_true",
        help="skip images that cannot be decoded, and record how many (default: raise an error)",
    )
    group.add_argument(
        "--wandb",
        choices=MODES,
        default="auto",
        help="upload results to W&B; auto uploads if you are logged in (default: auto)",
    )


def _add_checkpoints(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("weights")
    group.add_argument(
        "--weights_dir",
        type=Path,
        metavar="DIR",
        help="directory for downloaded weights (default: $BVG_WEIGHTS, else $BVG_CACHE/weights)",
    )
    group.add_argument(
        "--check_top1",
        type=positive,
        metavar="N",
        help="first check each model's accuracy on N clean validation images of ImageNet "
        "(--imagenet or $BVG_IMAGENET): warn if it differs from the zoo's number (or, without one, "
        "is no better than chance), or improves with another normalization, BGR channels or pixels "
        "in 0-255 (default: no check)",
    )
    group.add_argument(
        "--arch",
        help="architecture of file:// checkpoints: a timm name, torchvision:NAME or "
        "path/to/file.py:factory (default: resnet50)",
    )
    group.add_argument(
        "--weights_key",
        metavar="KEY",
        help="weights to use from a file:// checkpoint, as a dotted path such as state_dict or "
        "teacher.backbone (default: averaged weights under state_dict_ema or model_ema if present, "
        "as in timm, else the only ones that fit)",
    )
    for name, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
        group.add_argument(
            f"--{name}",
            type=float,
            nargs=3,
            metavar=("R", "G", "B"),
            help=f"normalization {name} of a file:// checkpoint, for pixels in [0, 1] "
            f"(default: ImageNet's, {' '.join(map(str, default))})",
        )


def parse_args(
    description: str | None,
    argv: list[str] | None,
    *flags: Callable[[argparse._ArgumentGroup], None],
) -> argparse.Namespace:
    """Return the arguments of a script: its own flags, and those that every script has.

    description: the script's docstring. argv: None for the process's own. flags: functions that add
    flags to a group. `-` and `_` inside the name of a flag are the same.
    """
    own = parser(description)
    group = own.add_argument_group("data and protocol")
    for add_flags in flags:
        add_flags(group)
    words = sys.argv[1:] if argv is None else argv
    arguments = own.parse_args([underscored(word) for word in words])
    if not arguments.model and not arguments.save_stimuli:
        own.error("no models to evaluate: give --model NAME [NAME …]")
    if arguments.save_stimuli and not arguments.limit:
        own.error(
            "--save_stimuli writes a file per image and condition: give the number of "
            "images with --limit N"
        )
    return arguments


def options(**given: Any) -> argparse.Namespace:
    """Return the default arguments of a script, changed by keyword.

    For notebooks: options(model=["tv_resnet50"], limit=100, results="mine"), or with modules at
    hand options(model={"mine": network}).
    """
    found = parser(None).parse_args([])
    vars(found).update(given)
    found.results = Path(found.results)
    return found


def with_options(args: argparse.Namespace, **changes: Any) -> argparse.Namespace:
    """Return a copy of the arguments with some of them changed."""
    return argparse.Namespace(**{**vars(args), **changes})


def script(main: Callable[[list[str] | None], None]) -> Callable[..., int]:
    """Return a script's main function as one that returns an exit code.

    Errors that the user can fix become one sentence and exit code 2 instead of a traceback.
    """

    @wraps(main)
    def returning(argv: list[str] | None = None) -> int:
        def work() -> int:
            main(argv)
            return 0

        return guarded(work)

    return returning


def best_device(wanted: str | None) -> torch.device:
    """Return the requested device, or the fastest one; raises UserError if it is unavailable."""
    if wanted is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"the device {wanted!r} is unavailable ({str(error).splitlines()[0]}): use --device "
            "cpu, or drop --device"
        ) from error
    return device


def guarded(work: Callable[[], int]) -> int:
    """Return work()'s exit code: 2, after one sentence, for errors that the user can fix."""

    def within_memory() -> int:
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            first = str(error).splitlines()[0]
            raise UserError(f"{first} Use a smaller --batch_size") from error

    return guard.guarded(within_memory)
