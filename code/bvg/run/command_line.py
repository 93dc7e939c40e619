"""The command line of every script: flags, exit codes, and errors as one sentence.

Nothing here imports PyTorch, which takes seconds: `--help` and light scripts stay quick.
"""

import argparse
import gc
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any

from bvg.data.fetch import cache_folder
from bvg.errors import UserError, is_out_of_memory, reason_of, storage_error
from bvg.run.wandb_mirror import MODES
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD

PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "verified")
FORMS = ("eager", "auto", "folded", "compiled")
STIMULUS_SIDE = 224  # pixels, of model-vs-human's images as published
BUSY = 75  # exit code where another process holds a lock (EX_TEMPFAIL: try again later)
FROST_HELP = (
    "folder of frost photographs, or 'procedural' for a synthetic texture (default: the published "
    "photographs if the package imagecorruptions or imagecorruptions-imaug is installed, else "
    "procedural); the choice is recorded"
)
_EPILOG = """
caches: downloads go to $BVG_CACHE (default: ~/.cache/bvg), weights to $BVG_WEIGHTS (default:
$BVG_CACHE/weights), timm's weights to $HF_HOME, torchvision's to $TORCH_HOME, matplotlib's fonts to
$MPLCONFIGDIR. All other output goes to --results.
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 75 another process is writing
the same result; 130 interrupted (the same command resumes).
"""


def escape_unencodable_output() -> None:
    """Let standard output escape characters that its encoding lacks (ASCII, Latin-1, cp1252).

    Otherwise an ε, or a file name that is not UTF-8, would end a run with a UnicodeEncodeError.
    Lines are written at once, also to a log.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook has others
            stream.reconfigure(errors="backslashreplace", line_buffering=True)


escape_unencodable_output()  # on import, since --help is printed before any work is guarded


def plain_parser(description: str | None, epilog: str | None = None) -> argparse.ArgumentParser:
    """Return a parser without flags that prints the description and the epilog as they are."""
    return argparse.ArgumentParser(
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags that every evaluation script has."""
    parser = plain_parser(description, _EPILOG)
    parser.add_argument(
        "--model",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="models to evaluate: zoo or timm names, torchvision:NAME[/WEIGHTS], zero-shot "
        "open_clip:ARCH/TAG or hf-hub:ORG/NAME, Hugging Face classifiers hf:ORG/NAME or hf:FOLDER, "
        "file://checkpoint.pth, or path/to/file.py:factory; RUNNAME=MODEL sets the name of the "
        "results",
    )
    _add_protocol(parser.add_argument_group("protocol (recorded; changing it needs --overwrite)"))
    _add_execution(parser.add_argument_group("execution"))
    _add_weights(parser.add_argument_group("weights"))
    return parser


def _add_protocol(group: argparse._ArgumentGroup) -> None:
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
        help="precision of the model's arithmetic; 'verified': fp16 or TF32 on GPUs that have it, "
        "and fp32 again where a decision could differ, so that answers are fp32's (docs/speed.md); "
        "with bf16 and fp16, a sample shows how many decisions differ (default: fp32, without "
        "TF32)",
    )
    group.add_argument(
        "--allow_unstable",
        action="store_true",
        help="evaluate models whose outputs are random or depend on the other images of the batch "
        "(such as dropout or batch normalization in training mode), which are refused by "
        "default",
    )


def _add_execution(group: argparse._ArgumentGroup) -> None:
    device_flag(group)
    group.add_argument(
        "--batch_size",
        type=positive,
        metavar="B",
        help="images per batch (default: 64, or 16 on the CPU)",
    )
    group.add_argument(
        "--num_workers",
        type=non_negative,
        metavar="W",
        help="worker processes that decode images (default: one per core, at most 8; 0 on the CPU, "
        "where threads decode between batches)",
    )
    group.add_argument(
        "--cache_crops",
        type=Path,
        nargs="?",
        const=cache_folder() / "crops",
        metavar="DIR",
        help="keep the decoded crops of single images in DIR (without DIR: $BVG_CACHE/crops), and "
        "use those that an earlier run kept; 150 kB per image, 7.5 GB for ImageNet's validation "
        "set (default: decode the files each time)",
    )
    group.add_argument(
        "--form",
        choices=FORMS,
        default=FORMS[0],
        help="how the model is computed: eager, as it is; folded, with batch norms as part of the "
        "convolutions; compiled, by torch.compile as well (about a minute); auto, the fastest by "
        "measurement. Decisions are compared on the first batch; the last digits of confidences "
        "may differ. A result is completed in the form in which it began (default: eager)",
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


def _add_weights(group: argparse._ArgumentGroup) -> None:
    weights_dir_flag(group)
    group.add_argument(
        "--check_top1",
        type=positive,
        metavar="N",
        help="first check each model's accuracy on N clean validation images of ImageNet "
        "(--imagenet or $BVG_IMAGENET): warn if it differs from the zoo's number (or, without one, "
        "is no better than chance), or improves under another convention of the input: another "
        "normalization, BGR or grey, pixels in 0-255, another size (default: long runs on clean "
        "ImageNet check the input of models that are not the zoo's)",
    )
    group.add_argument(
        "--arch",
        help="architecture of file:// checkpoints: a timm name, torchvision:NAME or "
        "path/to/file.py:factory (default: what train.py recorded in the file, else resnet50)",
    )
    group.add_argument(
        "--weights_key",
        metavar="KEY",
        help="weights to use from a file:// checkpoint, as a dotted path such as state_dict or "
        "teacher.backbone (default: averaged weights under state_dict_ema or model_ema if present, "
        "as in timm, else the only ones that fit)",
    )
    group.add_argument(
        "--templates",
        metavar="SET",
        help="sentences around the class names of zero-shot models: openai80, simple7, none (the "
        "names alone), or a text file with one {} per line (default: openai80)",
    )
    group.add_argument(
        "--class_names",
        type=Path,
        metavar="FILE",
        help="what zero-shot models call the classes: a text file of ImageNet's 1000 names in the "
        "order of the wnids, or of lines `class<TAB>name` (default: open_clip's names)",
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
    """Return the arguments of a script: those that every script has, and the script's own.

    description: the script's docstring. argv: None for the process's own. flags: functions that add
    flags to a group.
    """
    whole = parser(description)
    group = whole.add_argument_group("data and protocol")
    for add_flags in flags:
        add_flags(group)
    args = parse_words(whole, argv)
    if not args.model and not args.save_stimuli:
        whole.error("no models to evaluate: give --model NAME [NAME …]")
    if args.save_stimuli and not args.limit:
        whole.error(
            "--save_stimuli writes a file per image and condition: give the number of "
            "images with --limit N"
        )
    return args


def parse_words(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments in `argv` (None: the process's own); flags take `-` for `_`.

    Empty values end the process, since they usually come from unset variables of a shell, and an
    empty path would be the current folder. "~/" is the home also after "=", where shells leave it.
    """
    words = [underscored(word) for word in (sys.argv[1:] if argv is None else argv)]
    for before, word in zip(["", *words], words, strict=False):
        if not word or re.fullmatch(r"--\w+=", word):
            parser.error(
                f"empty value after {word or before or 'the command'}: is a variable unset?"
            )
    return parser.parse_args([_at_home(word) for word in words])


def _at_home(word: str) -> str:
    flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return flag + equals + str(Path(value).expanduser()) if value.startswith("~/") else word


def underscored(word: str) -> str:
    """Return a flag with `_` for each `-` inside its name; other words unchanged."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word[2:].partition("=")
    return "--" + flag.replace("-", "_") + equals + value


def positive(text: str) -> int:
    """Return an integer of at least 1, for argparse."""
    number = non_negative(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def non_negative(text: str) -> int:
    """Return an integer of at least 0, for argparse."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def positive_number(text: str) -> float:
    """Return a finite number above 0, for argparse."""
    number = float(text)
    if not 0 < number < float("inf") or "_" in text:  # which Python takes for no character
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def part(text: str) -> float:
    """Return a number above 0 and up to 1, for argparse."""
    if not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return float(text)


def jpeg_quality(text: str) -> int:
    """Return a JPEG quality of 1 to 100, for argparse."""
    if positive(text) > 100:
        raise argparse.ArgumentTypeError(f"{text} is not a JPEG quality of 1 to 100")
    return int(text)


def smaller_side(text: str) -> int:
    """Return a number of pixels a side that 224 can be downsampled to, for argparse."""
    number = positive(text)
    if number >= STIMULUS_SIDE:
        raise argparse.ArgumentTypeError(f"must be less than {STIMULUS_SIDE}, the images' own size")
    return number


def options(**changes: Any) -> argparse.Namespace:
    """Return the default arguments of a script with some of them changed, for notebooks.

    Examples: options(model=["tv_resnet50"], limit=100, results="mine"); with modules instead of
    names, options(model={"mine": network}).
    """
    args = with_options(parser(None).parse_args([]), **changes)
    args.results = Path(args.results)
    return args


def with_options(args: argparse.Namespace, **changes: Any) -> argparse.Namespace:
    """Return a copy of the arguments with some of them changed."""
    return argparse.Namespace(**{**vars(args), **changes})


def data_flag(group: argparse._ActionsContainer, name: str) -> None:
    """Add the flag for the folder of a data set of the catalogue (bvg/data/downloads.toml)."""
    from bvg.data.downloads import CATALOGUE, data_sets  # here: it imports the network clients

    if name not in data_sets():
        raise UserError(f"{name!r} is not in the catalogue of data sets: add it to {CATALOGUE}")
    data_set = data_sets()[name]
    fetched = "" if data_set.explain else ", else the downloaded one"
    group.add_argument(
        data_set.flag,
        metavar="DIR",
        help=f"folder of {data_set.title} (default: ${data_set.variable}{fetched})",
    )


def imagenet_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags for ImageNet's folder and the preprocessing of its images."""
    data_flag(group, "imagenet")
    partial_flag(group)
    preprocess_flag(group)


def preprocess_flag(group: argparse._ArgumentGroup) -> None:
    """Add the flag for the preprocessing of images."""
    group.add_argument(
        "--preprocess",
        choices=("study", "native"),
        default="study",
        help="'study': Resize(256) + CenterCrop(224) for every model; 'native': each model's own "
        "preprocessing (default: study)",
    )


def partial_flag(group: argparse._ActionsContainer) -> None:
    """Add the flag that accepts an incomplete data set."""
    group.add_argument(
        "--partial", action="store_true", help="allow an incomplete data set (recorded)"
    )


def condition_flags(
    group: argparse._ArgumentGroup, corruptions: Sequence[str], severities: Sequence[int]
) -> None:
    """Add the flags that choose corruptions and severities."""
    group.add_argument(
        "--corruptions",
        nargs="+",
        choices=corruptions,
        default=corruptions,
        metavar="NAME",
        help=f"corruptions to evaluate, of {' '.join(corruptions)} (default: all)",
    )
    group.add_argument(
        "--severities",
        nargs="+",
        type=int,
        choices=severities,
        default=severities,
        metavar="S",
        help=f"severities to evaluate, of {' '.join(map(str, severities))} (default: all)",
    )


def lowpass_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags that ask for low-pass filtered images, which are a result of their own."""
    group.add_argument(
        "--blur",
        nargs="+",
        type=positive_number,
        default=[],
        metavar="SIGMA",
        help="evaluate the images through low-pass filters instead, and unfiltered for comparison, "
        "in one run and as a separate result: Gaussian blur of these standard deviations in pixels "
        "(default: no filters)",
    )
    group.add_argument(
        "--downsample",
        nargs="+",
        type=smaller_side,
        default=[],
        metavar="R",
        help="the same, resized to R x R pixels and back; also together with --blur",
    )


def device_flag(group: argparse._ActionsContainer) -> None:
    """Add the flag for the device."""
    group.add_argument("--device", help="cuda, cuda:1, mps or cpu (default: the fastest available)")


def weights_dir_flag(group: argparse._ActionsContainer) -> None:
    """Add the flag for the directory of downloaded weights."""
    group.add_argument(
        "--weights_dir",
        type=Path,
        metavar="DIR",
        help="directory for downloaded weights (default: $BVG_WEIGHTS, else $BVG_CACHE/weights)",
    )


def script(main: Callable[[list[str] | None], None]) -> Callable[..., int]:
    """Return a script's main function as one that returns an exit code; see `guarded`."""

    @wraps(main)
    def returning(argv: list[str] | None = None) -> int:
        _keep_imported()
        return guarded(lambda: main(argv))

    return returning


@cache
def _keep_imported() -> None:
    """Spare the garbage collector what has been imported.

    It lives to the end, and looking through it takes 0.15 s each time, mostly while figures are
    drawn.
    """
    gc.freeze()


def guarded(work: Callable[[], int | None], option: str = "--results") -> int:
    """Return work()'s exit code (0 for None), or one for an error after one sentence about it.

    2: a problem that the user can fix. 75 (BUSY): another process holds a lock (a UserError raised
    from a BlockingIOError). 130: interrupted, by Ctrl-C or SIGTERM.
    option: the flag that chooses another output folder. BVG_DEBUG=1 also shows the traceback.
    """
    signal.signal(signal.SIGTERM, _interrupt_once)  # what schedulers send before they kill
    try:
        return work() or 0
    except BrokenPipeError:  # the reader of the output has closed it, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13  # as if by SIGPIPE, a name that Windows does not have
    except (UserError, OSError) as error:
        print_error(error, option)
        return BUSY if isinstance(error.__cause__, BlockingIOError) else 2
    except UnicodeError as error:
        remedy = "save the file as UTF-8 (BVG_DEBUG=1 shows where it is read)"
        print_error(UserError(f"a text is not UTF-8 ({reason_of(error)}): {remedy}"))
        return 2
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        print_error(UserError(f"{reason_of(error)}: use a smaller --batch_size"))
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command resumes", file=sys.stderr)
        return 130


def print_error(error: UserError | OSError, option: str = "--results") -> None:
    """Print the error as one sentence."""
    if os.environ.get("BVG_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, FileNotFoundError):
        error = UserError(f"{error.filename} no longer exists: restore it, or start again")
    elif isinstance(error, OSError):
        error = storage_error(error, error.filename or "a file", option)
    print(f"error: {error}", file=sys.stderr, flush=True)


def _interrupt_once(signum: int, frame: object) -> None:
    """Raise KeyboardInterrupt, and ignore further SIGTERMs: they would stop the final writing.

    Schedulers repeat the signal.
    """
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt
