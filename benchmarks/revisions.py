"""Whole runs of this working tree beside those of another commit.

The other commit is checked out into a temporary folder (git worktree). Each side is a process that
imports its code once and then runs a script's main() whenever it is told to (one_side.py): imports
are not measured, and the sides take turns. A benchmark that fails in the other commit, or that it
lacks, is left out with a line.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.errors import UserError
from inputs import Inputs
from measuring import Cost, Side, in_turns
from table import Row, row

ROOT = Path(__file__).resolve().parents[1]
# By name: the script, and the words that it gets besides those of every run.
BENCHMARKS: dict[str, tuple[str, list[str]]] = {
    "one condition": ("eval_imagenet", []),
    "spectral": ("eval_spectral", []),
    "critical band": ("eval_criticalband", []),
    "generated C": (
        "eval_imagenet_c",
        ["--generate", "--severities", "3", "--frost", "procedural"],
    ),
    "PGD-10": ("eval_imagenet_adv", ["--steps", "10"]),
}


def revisions(
    inputs: Inputs,
    against: str | None = None,
    benchmarks: Mapping[str, tuple[str, list[str]]] = BENCHMARKS,
) -> Iterator[Row]:
    """Yield the costs of whole runs, an image each.

    against: a commit; None: the last tag before this commit, or the commit before it without any
    tag. Raises UserError for an unknown commit, or where this is no git clone.
    """
    commit = _commit(against)
    short = f"commit {commit[:9]}" + (f" ({against})" if against else "")
    with checked_out(commit) as code, one_side(ROOT / "code") as here, one_side(code) as there:
        for what, (script, words) in benchmarks.items():
            words = [*inputs.words(), *words]
            first = [*words, "--limit", "1"]  # the first call loads more of the code
            try:
                for process in (here, there):
                    _answer(process, script, first, 1)
                sides: dict[str, Side] = {
                    name: partial(_answer, process, script, words, inputs.limit)
                    for name, process in (("here", here), ("there", there))
                }
                costs = in_turns(sides, inputs.turns)
            except _FailedError:
                print(f"{what}: left out, since it fails on one side (see above)", flush=True)
                continue
            yield row("revisions", what, inputs.name, short, costs["here"], costs["there"])


class _FailedError(Exception):
    """A run failed."""


def _answer(process: subprocess.Popen, script: str, words: list[str], count: int) -> Cost:
    """Return what a run of the script costs for each of `count` images."""
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps([script, words]) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise UserError("a process that runs a commit's code has died: see above")
    answer = json.loads(line)
    if answer is None:
        raise _FailedError
    return Cost(**answer).per(count)


@contextmanager
def one_side(code: Path) -> Iterator[subprocess.Popen]:
    """Start a process that runs scripts of this folder, and end it afterwards."""
    script = Path(__file__).with_name("one_side.py")
    environment = {**os.environ, "PYTHONPATH": str(code)}
    with subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        yield process  # leaving the context closes its input, which ends it


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check the commit out into a temporary folder, and return its code."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "other"
        git("worktree", "add", "--quiet", "--detach", str(place), commit)
        try:
            yield place / "code"
        finally:
            git("worktree", "remove", "--force", str(place))


def _commit(against: str | None) -> str:
    """Return the full hash of the commit to compare with."""
    if against:
        return git("rev-parse", "--verify", f"{against}^{{commit}}")
    tags = git("tag", "--merged", "HEAD~1", "--sort=-creatordate").splitlines()
    return git("rev-parse", f"{tags[0] if tags else 'HEAD~1'}^{{commit}}")


def git(*words: str) -> str:
    """Return what git prints; raises UserError if it fails."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise UserError(
            f"git {words[0]} failed ({lines[-1] if lines else 'no message'}): choose a commit of "
            "this clone with --against, or leave the part `revisions` out with --parts"
        ) from error
    return done.stdout.strip()
