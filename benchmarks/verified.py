"""Verified low precision beside fp32: differing answers, and the share that is recomputed.

    python benchmarks/verified.py --model path/to/file.py:factory [...] --imagenet DIR --limit 48

The scripts for ImageNet, spectral bias, critical band and generated ImageNet-C run twice, with
--precision fp32 and with --precision verified, and every row of their predictions is compared: the
best answer, whether the label is among the five, and the category. "near" is the share recomputed
because of its margin, without the audit; "repaired" are the decisions among these that low
precision alone would have changed; "raises" tells how often a bound was too low. Where a device has
no fast fp16, it is simulated (BVG_SIMULATED_FP16), and the gain (seconds of fp32 / of verified)
means nothing. --first: images of each condition on which the error is measured, of a small set. The
exit code is 1 if any answer differs.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

import eval_criticalband
import eval_imagenet
import eval_imagenet_c
import eval_spectral
from bvg.predictions.table import read_predictions
from bvg.progress import text_table
from bvg.run import precision
from bvg.run.decisions import differ, top5
from bvg.run.settings import best_device

SCRIPTS = {
    "imagenet": (eval_imagenet, []),
    "imagenet_spectral": (eval_spectral, []),
    "imagenet_criticalband": (eval_criticalband, []),
    "imagenet_c_generated": (eval_imagenet_c, ["--generate", "--frost", "procedural"]),
}


def seconds_of(main, words: list[str]) -> float:
    """Return the seconds of a script's main function with these words."""
    begin = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(words)
    if code:
        sys.exit(code)
    return time.perf_counter() - begin


def differing(one: Path, other: Path) -> tuple[int, int]:
    """Return how many rows of two predictions differ in what is verified, and their number."""
    tables = [read_predictions(path) for path in (one, other)]
    columns = [
        {"answers": torch.tensor(table.answers)}
        | {name: torch.tensor(values) for name, values in table.columns.items()}
        for table in tables
    ]
    labels = torch.tensor(tables[0].labels).long()
    one_set, other_set = columns
    return int(differ(top5, one_set, other_set, labels).sum()), len(labels)


def main() -> int:
    """Run the scripts in both precisions and print a row per model and benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="+", required=True)
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--limit", type=int, default=48)
    parser.add_argument("--first", type=int, default=precision.FEWEST)
    parser.add_argument("--benchmarks", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--batch_size", default="16")
    args = parser.parse_args()
    precision.FEWEST = args.first
    if best_device(None).type != "cuda":
        os.environ["BVG_SIMULATED_FP16"] = "1"
    columns = "benchmark", "model", "inputs", "differ", "near", "repaired", "audited", "raises"
    rows = [(*columns, "gain")]
    wrong = 0
    for name in args.benchmarks:
        script, extra = SCRIPTS[name]
        words = ["--model", *args.model, "--imagenet", args.imagenet, "--partial", *extra]
        words += ["--limit", str(args.limit), "--batch_size", args.batch_size]
        with tempfile.TemporaryDirectory() as folder:
            results = {how: Path(folder) / how for how in ("fp32", "verified")}
            seconds = {
                how: seconds_of(script.main, [*words, "--precision", how, "--results", str(where)])
                for how, where in results.items()
            }
            for model in sorted(path.name for path in (results["fp32"] / name).glob("*/")):
                paths = [where / name / model for where in results.values()]
                changed, count = differing(*(path / "predictions.parquet" for path in paths))
                found = verified_summary(paths[1])
                wrong += changed
                rows.append(
                    (
                        name,
                        model,
                        f"{count:,}",
                        str(changed),
                        f"{found['near'] / max(1, found['inputs']):.1%}",
                        str(found["repaired"]),
                        str(found["audited"]),
                        str(found["raises"]),
                        f"{seconds['fp32'] / seconds['verified']:.2f}",
                    )
                )
        print(text_table([rows[0], *rows[-len(args.model) :]], right=range(2, 9)), flush=True)
    return 1 if wrong else 0


def verified_summary(folder: Path) -> dict:
    """Return what a result's summary says about the verification."""
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["precision"]


if __name__ == "__main__":
    sys.exit(main())
