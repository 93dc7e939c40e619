"""The experiment of texture-vs-shape with human observers, as a web page.

    python code/lab/serve.py ~/stimuli/cue-conflict --out raw-data/lab/cue-conflict

Then open the address that it prints, on the computer that subjects sit at; docs/lab.md says how to
set up screen, distance and order. A trial: 300 ms fixation, 200 ms picture, 200 ms noise, 1,500 ms
to click on one of 16 icons.
Paper: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019.
Data: any folder of 224 x 224 stimuli, <category>/<image>, <condition>/<category>/<image> or
dnn/session-<n>/…: model-vs-human's (python code/download.py model-vs-human), or the miniature's.
Writes, after every trial, OUT/<name>_subject-<NN>_session_1.csv in the published format, for
eval_shape_bias.py --humans OUT, and OUT/…_timing.tsv; OUT/protocol.json has the settings.
The page's libraries (jsPsych 8) are installed with npm the first time.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: put code/ on the path instead of this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bvg.data.categories import CATEGORIES
from bvg.errors import UserError, first_few, reason_of
from bvg.files import lock_folder, make_folder
from bvg.run.command_line import (
    guarded,
    non_negative,
    parse_words,
    plain_parser,
    positive,
    positive_number,
)
from lab.server import HERE, LIBRARIES, Server, catch_in_words
from lab.stimuli import Stimulus, catch_stimuli_in, check_names, stimuli_in
from lab.tables import INSTRUCTIONS, Study, check_protocol

COLUMN = 4  # icons
MOST_CATEGORIES = 16
ANY_NUMBER = (0, 1_000_000)
_RANGES = {  # of numbers in the settings
    "background": (0, 1),
    "feedback_grey": (0, 1),
    "degrees": (0.1, 90),
    "trials_per_block": (1, 1_000_000),
    "missed_share_to_admonish": (0, 1),
    "catch_rate": (0.001, 0.5),
}


def _parser() -> argparse.ArgumentParser:
    parser = plain_parser(
        __doc__,
        "exit codes: 0 stopped with Ctrl-C; 2 a problem you can fix (one sentence says how).",
    )
    add = parser.add_argument
    add("stimuli", type=Path, metavar="STIMULI", help="folder of the pictures to show")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the tables")
    add(
        "--condition",
        choices=INSTRUCTIONS,
        default="neutral",
        help="what subjects are told to answer: neutral (the category), shape or texture (default: "
        "neutral)",
    )
    add(
        "--practice",
        type=Path,
        metavar="DIR",
        help="folder of other pictures of the same categories to practise on, such as photographs "
        "(default: the icons)",
    )
    add(
        "--catch",
        type=Path,
        metavar="DIR",
        help="folder of unambiguous pictures, mixed in as catch trials, one for 20 of the others "
        "(catch_rate in the settings); they are written to tables of their own and enter no score "
        "(default: no catch trials)",
    )
    add("--name", help="the data set's name in file names (default: the folder's)")
    add(
        "--trials",
        type=positive,
        metavar="N",
        help="show each subject only N of the pictures (default: all)",
    )
    add("--seed", type=non_negative, default=0, help="of orders and masks (default: 0)")
    add(
        "--distance",
        type=positive_number,
        default=107.0,
        metavar="CM",
        help="between the subject's eyes and the screen (default: 107)",
    )
    add(
        "--settings",
        type=Path,
        default=HERE / "settings.json",
        metavar="FILE",
        help="durations, grid and texts (default: code/lab/settings.json)",
    )
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; others than this machine's own open the experiment to the "
        "network, unencrypted (default: 127.0.0.1)",
    )
    add("--port", type=non_negative, default=8000, help="(default: 8000; 0 chooses a free one)")
    return parser


def install_libraries() -> None:
    """Install what the page loads into code/lab/node_modules, unless it is there.

    Raises UserError without npm, or if it fails.
    """
    if all(path.exists() for path in LIBRARIES.values()):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            "npm is needed once, to install jsPsych for the page: install Node.js "
            "(https://nodejs.org, or apt-get install npm) and run the same command again"
        )
    print(f"installing jsPsych into {HERE / 'node_modules'}")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        last = [*filter(str.strip, done.stderr.splitlines()), "no message"][0]
        raise UserError(
            f"npm could not install jsPsych ({last}): check the network, or copy "
            "code/lab/node_modules from another computer where this command has run"
        )


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a JSON file; raises UserError if some are missing or impossible."""
    default = _by_name(json.loads((HERE / "settings.json").read_text(encoding="utf-8")))
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        given = _by_name(settings)
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(
            f"the settings {path} cannot be read as a JSON object: correct them, starting from a "
            "copy of code/lab/settings.json"
        ) from error
    missing = [name for name in default if name not in given]
    if missing:
        raise UserError(f"the settings {path} lack {first_few(missing)}: add them")
    for name, value in default.items():
        if not _is_possible(name, given[name], value):
            least, most = _RANGES.get(name, ANY_NUMBER)
            limits = f", from {least:g} to {most:g}" if isinstance(value, int | float) else ""
            raise UserError(
                f"{name} in the settings {path} is {json.dumps(given[name])}: give it a value such "
                f"as {json.dumps(value)}{limits}"
            )
    return settings


def _by_name(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with those of a group as <group>.<name>."""
    return {
        f"{name}.{inner}" if inner else name: one
        for name, value in settings.items()
        for inner, one in (value.items() if isinstance(value, dict) else [("", value)])
    }


def _is_possible(name: str, value: Any, default: Any) -> bool:
    """Return whether a setting is of the default's type and, if a number, within its range."""
    if isinstance(default, list):
        return isinstance(value, list) and all(_is_possible(name, v, default[0]) for v in value)
    if isinstance(default, bool | str) or isinstance(value, bool):
        return type(value) is type(default)
    least, most = _RANGES.get(name, ANY_NUMBER)
    return isinstance(value, int | float) and least <= value <= most


def grid_of(categories: set[str], settings: dict[str, Any]) -> list[list[str]]:
    """Return the icons, column by column: as in the settings, or in alphabetical order.

    Raises UserError for more than 16 categories.
    """
    if len(categories) > MOST_CATEGORIES:
        raise UserError(
            f"the stimuli have {len(categories):,} categories ({first_few(sorted(categories))}), "
            f"where at most {MOST_CATEGORIES} icons are shown: give the folder of one data set"
        )
    if categories <= set(CATEGORIES):
        return settings["grid_columns"]
    names = sorted(categories)
    return [names[start : start + COLUMN] for start in range(0, len(names), COLUMN)]


def study_of(args: argparse.Namespace) -> Study:
    """Return the experiment that the command line describes; raises UserError."""
    settings, stimuli = read_settings(args.settings), stimuli_in(args.stimuli)
    check_names(stimuli)
    grid = grid_of({stimulus.category for stimulus in stimuli}, settings)
    shown = sorted(name for column in grid for name in column)
    if set(CATEGORIES) & set(shown) and shown != sorted(CATEGORIES):
        raise UserError(
            f"grid_columns in {args.settings} must be the 16 categories, each once: correct them"
        )
    practice = _practice(args.practice, set(shown)) if args.practice else []
    name = args.name or args.stimuli.resolve().name
    if not re.fullmatch(r"[\w.-]+", name) or "_" in name or name.startswith("."):
        raise UserError(
            f"the name {name!r} has characters that file names here cannot have: choose letters, "
            "digits and hyphens with --name"
        )
    study = Study(
        name=name,
        stimuli=stimuli,
        practice=practice,
        grid=grid,
        settings=settings,
        instruction=args.condition,
        out=args.out,
        seed=args.seed,
        trials=args.trials,
        distance=args.distance,
        catch=catch_stimuli_in(args.catch, stimuli, shown) if args.catch else [],
    )
    if study.catch_trials() > len(study.catch):
        raise UserError(
            f"{args.catch} has {len(study.catch):,} pictures for {study.catch_trials():,} catch "
            f"trials (catch_rate {settings['catch_rate']:g} in {args.settings}): give more "
            "pictures with --catch, or a lower rate"
        )
    study.check_readable()
    return study


def _practice(folder: Path, categories: set[str]) -> list[Stimulus]:
    found = stimuli_in(folder)
    unknown = sorted({stimulus.category for stimulus in found} - categories)
    if unknown:
        raise UserError(
            f"{folder} has pictures of {first_few(unknown)}, of which there is no icon: give "
            "pictures of the stimuli's categories with --practice"
        )
    return found


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    args = parse_words(_parser(), argv)
    return guarded(lambda: _serve(args), "--out")


def _serve(args: argparse.Namespace) -> None:
    study = study_of(args)
    install_libraries()
    make_folder(study.out, "--out")
    with ExitStack() as held:
        lock_folder(study.out, held, "--out")
        identity = check_protocol(study)
        try:
            server = held.enter_context(Server((args.host, args.port), study, identity))
        except (OSError, OverflowError) as error:
            raise UserError(
                f"cannot listen on {args.host}, port {args.port} ({reason_of(error)}): choose "
                "another one with --port or --host"
            ) from error
        url = f"http://{args.host}:{server.server_port}/"
        catch = study.catch_trials()
        trials = f"{len(study.order(1)) - catch:,} trials" + f" and {catch:,} catch trials" * bool(
            catch
        )
        print(f"{study.name}: {trials} a subject, instruction: {study.instruction}")
        _report_catch_trials(study)
        print(f"open {url} in Chrome, Edge or Firefox; stop with Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"stopped; the tables are in {study.out}")
            _report_catch_trials(study)


def _report_catch_trials(study: Study) -> None:
    for score in study.write_catch_scores():
        print(catch_in_words(score))


if __name__ == "__main__":
    sys.exit(main())
