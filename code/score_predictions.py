"""Score predictions that are on disk, without a model: calibration, class balance, ImageNet-X.

    python code/score_predictions.py                              # finished results of ImageNet
    python code/score_predictions.py --results DIR --imagenet_x DIR --models tv_resnet50
    python code/score_predictions.py --predictions ResNet50.csv DINO.csv --out scores.csv
    python code/score_predictions.py --trials DIR --out channels.csv

Brings the results of eval_imagenet.py up to date: those of earlier versions lack calibration and
class balance, and all of them lack ImageNet-X's error ratios if its annotations were not there. The
scores are computed from predictions.parquet and go into summary.json; the predictions stay as they
are, and a second call changes nothing. Class balance needs the probability of the label, which
earlier versions did not record: only its first half, the balance of accuracies, is known then.
With --predictions, scores other people's tables instead, a CSV per model with the columns
file_name, predicted_class and predicted_probability: their accuracy (top-1 and ReaL), calibration
and error ratios. Their labels come with ImageNet-X's annotations.
With --trials, fits the channels of networks whose trials of critical-band masking were published
(python code/download.py published-tables/critical_band), a row per file: thresholds at 50 %,
bandwidth, centre, peak sensitivity, and why the fit is degenerate, if it is: the formulas' numbers
then mean nothing. The paper's channels are these, degenerate ones included.
Reference: ResNet50.csv and DINO.csv of https://github.com/facebookresearch/imagenetx
(model_predictions/base) have a top-1 accuracy of 76.13 and 76.75 %, a calibration error of .037 and
.027, and error ratios of 2.39 and 2.15 for unusual textures.
Data: ImageNet-X's annotations, python code/download.py imagenet-x (CC-BY-NC 4.0).
Keys: see eval_imagenet.py.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from bvg.data.finding import find_data, look_for
from bvg.data.imagenet import VAL_CLASSES
from bvg.data.imagenet_real import read_real, real_file
from bvg.data.imagenet_x import Annotations, read_annotations, read_val_labels
from bvg.errors import UserError, reason_of
from bvg.figures.imagenet import imagenet_figures
from bvg.files import lock_folder, written_atomically
from bvg.predictions.published import TRIAL_FILE, read_published, read_trials
from bvg.predictions.store import ResultFolder
from bvg.predictions.table import Predictions, read_predictions, schema
from bvg.run.checks import guesses
from bvg.run.command_line import data_flag, guarded, parse_words, partial_flag, plain_parser
from bvg.run.runs import check_alike, metrics_table, print_files
from bvg.run.wandb_mirror import MODES, mirror
from bvg.scores.accuracy import accuracy
from bvg.scores.calibration import calibration_metrics, reliability
from bvg.scores.class_balance import ACCURACY, class_balance_metrics
from bvg.scores.critical_band_masking import (
    BANDWIDTH,
    CENTRE,
    HUMANS,
    SENSITIVITY,
    by_condition,
    channel_of,
)
from bvg.scores.imagenet import imagenet_metrics
from bvg.scores.imagenet_real import real_accuracy, with_real_columns
from bvg.scores.imagenet_x import PREFIX, imagenet_x_metrics
from bvg.scores.metric import Metric
from bvg.stimuli.criticalband import WITHOUT_NOISE

BENCHMARK = "imagenet"
# Of the best of all classes, and perhaps one of the background; less the error of 16 bits.
LEAST_PROBABILITY = 0.99 / (VAL_CLASSES + 1)
SHOWN = (
    "top1_acc/imagenet",
    "calibration/ece",
    "calibration/overconfidence",
    "class-balance/accuracy",
    "class-balance",
    "imagenet-x/accuracy",
)


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    parser = plain_parser(
        __doc__, "exit codes: 0 done; 2 a problem you can fix (one sentence says how)."
    )
    add = parser.add_argument
    add(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of results to score (default: results)",
    )
    add(
        "--models",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="score only these models' results (default: all)",
    )
    data_flag(parser, "imagenet-x")
    add(
        "--predictions",
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help="score these tables of predictions instead of results (default: none)",
    )
    partial_flag(parser)
    add(
        "--trials",
        type=Path,
        metavar="DIR",
        help="fit the channels of the networks whose trials are in this folder instead, files "
        "solomon_<network>_accuracies_<date>.json or cbm_… (default: none)",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="with --predictions or --trials: also write the scores to this CSV (default: print "
        "them only)",
    )
    add(
        "--wandb",
        choices=MODES,
        default="auto",
        help="upload results whose scores changed to W&B; auto uploads if you are logged in "
        "(default: auto)",
    )
    args = parse_words(parser, argv)
    return guarded(lambda: _run(args), "--out" if args.out else "--results")


def _run(args: argparse.Namespace) -> None:
    _check_flags(args)
    if args.trials:
        fit_trials(args.trials, args.out)
    elif args.predictions:
        score_tables(args.predictions, args.imagenet_x, args.partial, args.out)
    else:
        annotated = look_for("imagenet-x", args.imagenet_x)
        annotations = read_annotations(annotated) if annotated else None
        changed = score_results(args.results / BENCHMARK, args.models, annotations)
        mirror(changed, args.wandb)


def _check_flags(args: argparse.Namespace) -> None:
    """Raise UserError for flags that would have no effect, and for `--out` onto a table to read."""
    if args.trials and args.predictions:
        raise UserError("--trials and --predictions are two tasks: give one of them at a time")
    if args.partial and not args.predictions:
        raise UserError("--partial applies to --predictions: add that, or drop --partial")
    if args.out and not (args.predictions or args.trials):
        raise UserError("--out applies to --predictions and --trials: add one, or drop --out")
    if args.models and (args.predictions or args.trials):
        raise UserError("--models chooses among results: drop it, or the files to score instead")
    if args.out and args.out.resolve() in {path.resolve() for path in args.predictions or ()}:
        raise UserError(f"--out {args.out} is one of the tables of predictions: choose another")


def score_results(benchmark: Path, names: list[str], annotations: Annotations | None) -> list[Path]:
    """Score the models' finished results below a folder; return the summaries that changed.

    names: of the models; all if it is empty.
    """
    found = {path.parent.name: path.parent for path in sorted(benchmark.glob("*/summary.json"))}
    if not found:
        raise UserError(
            f"{benchmark} has no finished result: run eval_imagenet.py first, or give the folder "
            "of the results with --results"
        )
    if unknown := [name for name in names if name not in found]:
        raise UserError(
            f"{benchmark} has no finished result of {', '.join(unknown)}: choose --models from "
            f"{', '.join(found)}"
        )
    changed, metrics = [], {}
    for name in dict.fromkeys(names or found):
        with ExitStack() as held:
            lock_folder(found[name], held)
            store = ResultFolder(found[name], schema(BENCHMARK, (), ()))
            if not store.is_complete():
                print(f"{name}: is being re-run and is skipped; the same command resumes it")
                continue
            predictions = read_predictions(store.predictions)
            scores = imagenet_metrics(predictions, annotations)
            is_new = update(store, scores, annotations)
        print(f"{name}: {'scored' if is_new else 'already up to date'}, in {found[name]}")
        changed += [store.summary] * is_new
        metrics[name] = scores | reliability(predictions)
    if metrics:
        print_files(*imagenet_figures(metrics, benchmark))
        print(metrics_table(metrics, SHOWN))
    return changed


def update(store: ResultFolder, scores: dict[str, Metric], annotations: Annotations | None) -> bool:
    """Write the scores into a result's summary; return whether it changed.

    Other scores stay, but for those by other annotations.
    """
    try:
        summary = json.loads(store.summary.read_text(encoding="utf-8"))
        before, scored_with = summary["metrics"], summary.get("scored_with", {})
        recorded = {key: Metric(**values) for key, values in before.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{store.summary} cannot be read ({reason_of(error)}): re-run it with --overwrite, or "
            "name the others with --models"
        ) from error
    check_alike(store.folder, recorded, scores)
    if annotations:
        before = {key: value for key, value in before.items() if not key.startswith(f"{PREFIX}/")}
        scored_with = scored_with | {"imagenet_x": annotations.fingerprint}
    metrics = before | {key: metric.as_dict() for key, metric in scores.items()}
    updated = summary | {"metrics": metrics}
    updated |= {"scored_with": scored_with} if scored_with else {}
    if updated == summary:
        return False
    store.finish(updated)
    return True


def score_tables(paths: list[Path], given: str | None, partial: bool, out: Path | None) -> None:
    """Score other people's tables of predictions, print the scores and write them to `out`."""
    folder = find_data("imagenet-x", given)
    labels, annotations = read_val_labels(folder), read_annotations(folder)
    real = read_real(real_file(None))
    tables: dict[str, dict[str, Metric]] = {}
    for path in paths:
        if path.stem in tables:
            raise UserError(f"two files are called {path.stem}: rename one, or score one at a time")
        predictions = read_published(path, labels, partial)
        classes, probabilities = doubts_of(predictions, path)
        calibration = calibration_metrics(predictions)
        tables[path.stem] = (
            {"top1_acc/imagenet": accuracy(predictions, 1).noted(classes)}
            | real_accuracy(with_real_columns(predictions, real))
            | {key: metric.noted(probabilities) for key, metric in calibration.items()}
            | {ACCURACY: class_balance_metrics(predictions)[ACCURACY]}
            | imagenet_x_metrics(predictions, annotations)
        )
    keys = dict.fromkeys(key for scores in tables.values() for key in scores)
    print(metrics_table(tables, [*keys]))
    if out:
        rows = [
            {"model": model, "metric": key, **asdict(metric)}
            for model, scores in tables.items()
            for key, metric in scores.items()
        ]
        write_table(pd.DataFrame(rows), out)


def doubts_of(predictions: Predictions, path: Path) -> tuple[str, str]:
    """Return why a table's classes and its probabilities are doubtful, or nothing; print both."""
    classes = probabilities = ""
    if guesses(predictions, [], VAL_CLASSES):
        classes = "no better than guesses: are the classes in the order of the sorted wnids?"
    if (least := predictions.confidence.min()) < LEAST_PROBABILITY:
        probabilities = (
            f"a probability is {least:.2g}, which that of the best class cannot be, unless it is a "
            "sigmoid's: is it that of the label, or a logarithm?"
        )
    for doubt in filter(None, (classes, probabilities)):
        print(f"{path.stem}: warning: {doubt}", file=sys.stderr, flush=True)
    return classes, probabilities


def write_table(table: pd.DataFrame, out: Path) -> None:
    """Write a table to `out`, as CSV."""
    with written_atomically(out, "--out") as file:
        file.write(table.to_csv(index=False).encode())
    print_files(out)


def fit_trials(folder: Path, out: Path | None) -> None:
    """Fit the channels of published trials, print them and write them to `out`."""
    files = {path: TRIAL_FILE.fullmatch(path.name) for path in sorted(folder.rglob("*.json"))}
    names = {path: match["model"] for path, match in files.items() if match}
    if not names:
        raise UserError(
            f"{folder} has no files solomon_<network>_accuracies_<date>.json: give another folder "
            "with --trials, or run: python code/download.py published-tables/critical_band"
        )
    rows = []
    for path, name in names.items():
        trials = by_condition(read_trials(path))
        channel = channel_of(trials)
        rows.append(
            {
                "model": name,
                "trials": sum(map(len, trials.values())),
                "without noise (%)": round(100 * trials[WITHOUT_NOISE].mean(), 2),
                "thresholds": " ".join(f"{step:g}" for step in channel.thresholds),
                BANDWIDTH: channel.bandwidth,
                CENTRE: channel.centre,
                SENSITIVITY: channel.peak_sensitivity,
                "degenerate": "; ".join(channel.degenerate),
            }
        )
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    print(HUMANS)
    if out:
        write_table(table, out)


if __name__ == "__main__":
    sys.exit(main())
