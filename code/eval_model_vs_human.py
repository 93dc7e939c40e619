r"""Out-of-distribution accuracy, shape bias and consistency with humans on model-vs-human.

    python code/eval_model_vs_human.py --model resnet50.tv_in1k --stimuli DIR --humans DIR

Reference: ood_mean 55.90 %, shape bias 0.2146 for tv_resnet50 (the study's table).
Paper: Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021; 16 entry-level categories, decision by mean probability.
Data: --stimuli, $BVG_MODEL_VS_HUMAN, or downloaded by `python code/download.py model-vs-human`;
human decisions: raw-data of https://github.com/bethgelab/model-vs-human in --humans, $BVG_HUMANS,
or downloaded by `python code/download.py human-decisions`.
Writes top1_acc/<data set>[/<condition>] and top1_acc/ood_mean (percent; the mean over all 17 data
sets without the undistorted and hardest conditions; /<k>_datasets if only k are complete; those
that lack conditions have top1_acc/<data set>/measured, the mean of the others), shape-bias,
shape-bias/max, fraction-correct-shape, …; with humans error-consistency/<data set>[/<condition>]
and /mean; W&B project "imagenet_model_vs_human". When the human decisions change, finished results
are re-scored without evaluating the model again. Decision tables are in the published format; each
call writes human_comparison.csv, error_consistency.csv (between models) and figures.
"""

import sys
from dataclasses import asdict
from functools import partial

import pandas as pd

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS, locate_stimuli, model_vs_human
from bvg.figures.drawing import HUMANS
from bvg.figures.model_vs_human import accuracy_figure, consistency_figure, matrix_figure
from bvg.figures.shape_bias import shape_bias_figure
from bvg.files import write_text
from bvg.run.command_line import data_flag, parse_args, script
from bvg.run.decisions import sixteen_way
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.decision_table import decision_table, write_decisions
from bvg.scores.humans import fingerprint, humans_for, locate_humans, read_human_cues
from bvg.scores.model_vs_human import (
    CONSISTENCY_MEAN,
    between_models,
    human_metrics,
    mean_of,
    model_vs_human_metrics,
    on_images_of,
    rights,
    split,
    with_humans,
)
from bvg.stimuli.batch import unchanged

# The abbreviations in published image names of data sets whose files have none.
EXPERIMENTS = {"edge": "edg", "silhouette": "sif", CUE_CONFLICT: "cue"}


def flags(group):
    add = group.add_argument
    data_flag(group, "model-vs-human")
    add(
        "--datasets",
        nargs="+",
        choices=[*DATA_SETS],
        default=[*DATA_SETS],
        metavar="NAME",
        help=f"data sets to evaluate (default: all, {', '.join(DATA_SETS)})",
    )
    add(
        "--partial",
        action="store_true",
        help="allow missing data sets, conditions, categories and images (recorded in the result); "
        "means that need a missing data set or condition are undefined",
    )
    add(
        "--humans",
        metavar="DIR",
        help="folder of human decisions, <data set>/*.csv (default: $BVG_HUMANS, else the "
        "downloaded one, else none)",
    )


def write_files(runs, humans, human_cues, folder):
    """Write the decision tables, and figures of all models."""
    right, cues = {}, {}
    for run in runs:
        predictions = run.predictions
        right[run.name] = rights(predictions, run.name)
        for data_set, part in split(predictions).items():
            table = decision_table(part, run.name, EXPERIMENTS.get(data_set, data_set))
            print_files(write_decisions(table, run.folder, data_set))
            if data_set == CUE_CONFLICT:
                cues[run.name] = table
    shown = on_images_of(right, humans or {})
    metrics = {run.name: run.metrics for run in runs}
    print_files(*accuracy_figure(metrics, shown, folder / "accuracy"))
    if cues:
        observers = cues if human_cues is None else {**cues, HUMANS: human_cues}
        print_files(*shape_bias_figure(observers, folder / "shape_bias"))
    compare(right, shown, folder)


def compare(right, humans, folder):
    """Write the error consistency of the models with each other and with the humans."""
    comparison, consistency = folder / "human_comparison.csv", folder / "error_consistency.csv"
    figure = folder / "error_consistency_humans"
    for path in (comparison, *(figure.with_suffix(kind) for kind in (".png", ".pdf"))):
        path.unlink(missing_ok=True)  # of an earlier call, perhaps with other humans
    matrix, count = between_models(right)
    mean = f"mean of {count} data set{'s' * (count > 1)}"
    if humans:
        models, own = with_humans(right, humans), human_metrics(humans)
        observers = {**models, HUMANS: own}
        rows = [
            {"observer": name, "metric": key, **asdict(metric)}
            for name, metrics in observers.items()
            for key, metric in metrics.items()
        ]
        write_text(comparison, pd.DataFrame(rows).to_csv(index=False))
        print_files(comparison, *consistency_figure(models, own, figure))
        if len(humans) != count:
            mean += f", with humans of {len(humans)}"
        for name, metrics in observers.items():
            value = mean_of(metrics, CONSISTENCY_MEAN)[1].value
            matrix.loc[HUMANS, name] = matrix.loc[name, HUMANS] = value
    if len(matrix) > 1:
        write_text(consistency, matrix.to_csv(index_label="observer"))
        print_files(consistency, *matrix_figure(matrix, mean, folder / "error_consistency"))


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    humans = humans_for(args.humans, args.datasets)
    cues = read_human_cues(locate_humans(args.humans))
    folder = locate_stimuli(args.stimuli, args.datasets, args.partial)
    models, classes = load_models(args)
    images = model_vs_human(folder, classes, args.datasets, args.partial)
    differing = images.notes.get("partial", {})
    if differing and images.classes == CATEGORIES:  # only these have published numbers
        counts = [f"{k} {n['images']:,} of {n['expected_images']:,}" for k, n in differing.items()]
        print(f"the numbers of images differ from the published ones: {', '.join(counts)}")
    decide = sixteen_way(classes) if models else None
    score = partial(model_vs_human_metrics, humans=humans)
    runs = evaluate(
        "imagenet_model_vs_human",
        models,
        images,
        unchanged,
        decide,
        score,
        args,
        scored_with={"humans": fingerprint(humans)},
    )
    if runs:
        write_files(runs, humans, cues, args.results / "imagenet_model_vs_human")
    fewer = [f"{count}_datasets" for count in range(1, len(DATA_SETS))]
    print_table(
        runs,
        "top1_acc/ood_mean",
        *(f"top1_acc/{name}{end}" for name in DATA_SETS for end in ("", "/measured")),
        *(f"top1_acc/ood_mean/{count}" for count in fewer),
        "shape-bias",
        "shape-bias/max",
        "error-consistency/mean",
        *(f"error-consistency/mean/{count}" for count in fewer),
    )


if __name__ == "__main__":
    sys.exit(main())
