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
from bvg.errors import UserError, first_few
from bvg.files import lock_folder, make_folder
from bvg.run.command_line import (
    guarded,
    non_negative,
    parse_words,
    plain_parser,
    positive,
    positive_number,
)
from lab.server import HERE, LIBRARIES, Server
from lab.stimuli import Stimulus, stimuli_in
from lab.tables import INSTRUCTIONS, Study, check_protocol

COLUMN = 4  # icons
MOST_CATEGORIES = 16


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
    """Return the settings in a JSON file; raises UserError if it lacks some, or is none."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        default = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
        missing = [name for name in default if name not in settings]
        missing += [
            f"{group}.{name}"
            for group in ("milliseconds", "instructions")
            for name in default[group]
            if name not in settings.get(group, {})
        ]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"the settings {path} cannot be read as a JSON object: correct them, starting from a "
            "copy of code/lab/settings.json"
        ) from error
    if missing:
        raise UserError(f"the settings {path} lack {first_few(missing)}: add them")
    return settings


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
    grid = grid_of({stimulus.category for stimulus in stimuli}, settings)
    shown = {name for column in grid for name in column}
    if set(CATEGORIES) & shown and shown != set(CATEGORIES):
        raise UserError(f"grid_columns in {args.settings} must be the 16 categories: correct them")
    practice = _practice(args.practice, shown) if args.practice else []
    name = args.name or args.stimuli.resolve().name
    if not re.fullmatch(r"[\w.-]+", name) or "_" in name or name.startswith("."):
        raise UserError(
            f"the name {name!r} has characters that file names here cannot have: choose letters, "
            "digits and hyphens with --name"
        )
    return Study(
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
    )


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
        except OSError as error:
            raise UserError(
                f"cannot listen on {args.host}, port {args.port} ({error.strerror}): choose "
                "another one with --port or --host"
            ) from error
        url = f"http://{args.host}:{server.server_port}/"
        trials = len(study.order(1))
        print(f"{study.name}: {trials:,} trials a subject, instruction: {study.instruction}")
        print(f"open {url} in Chrome, Edge or Firefox; stop with Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"stopped; the tables are in {study.out}")


if __name__ == "__main__":
    sys.exit(main())
