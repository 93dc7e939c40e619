"""How much memory runs take, and how little it grows with the number of images.

    python benchmarks/memory.py --model path/to/file.py:factory --imagenet DIR

Prints the peak of a process of its own for scripts of one and of many conditions, on few images and
on three times as many.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.errors import UserError
from bvg.run.command_line import guarded, parse_words, plain_parser, positive

SCRIPTS = ("eval_imagenet", "eval_spectral", "eval_criticalband", "eval_imagenet_adv")


def peak(script: str, words: list[str]) -> float:
    """Return the peak memory of a script in MB; raises UserError if it fails."""
    file = Path(__file__).resolve().parents[1] / "code" / f"{script}.py"
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, str(file), *words, "--results", results, "--wandb", "disabled"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise UserError(f"{script}.py failed: see above")
    return usage.ru_maxrss / 1024


def main() -> int:
    """Print a line for each script and number of images; return the exit code."""
    parser = plain_parser(__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--limit", type=positive, default=128, help="images (default: 128)")
    parser.add_argument("--batch_size", type=positive, default=16, help="(default: 16)")
    args = parse_words(parser, None)
    words = ["--model", args.model, "--imagenet", args.imagenet, "--partial", "--device", "cpu"]
    words += ["--batch_size", str(args.batch_size)]

    def measure() -> None:
        for script in SCRIPTS:
            for limit in (args.limit, 3 * args.limit):
                megabytes = peak(script, [*words, "--limit", str(limit)])
                print(f"{script}.py, {limit} images: peak {megabytes:.0f} MB", flush=True)

    return guarded(measure)


if __name__ == "__main__":
    sys.exit(main())
