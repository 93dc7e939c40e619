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
fraction-correct-shape, …; with humans error-consistency/<data set>[/<condition>] and /mean; by the
rule of the best class (max rule), the same but for single conditions with /max; W&B project
"imagenet_model_vs_human". When the human decisions change, finished results are re-scored without
evaluating the model again. Decision tables are in the published format, of <model> and, by the max
rule, <model>-max-rule; each call writes human_comparison.csv, error_consistency.csv (between
models) and figures.

Low-pass control (Wolff et al., ICLR 2026, arXiv 2602.13859): the same through low-pass filters.

    python code/eval_model_vs_human.py --model resnet50.tv_in1k --blur 1 2.5 4 --downsample 64

Writes these keys by filter (top1_acc/ood_mean/blur=2.5, error-consistency/mean/unfiltered, …; not
by condition and category) in a run of its own, W&B project "imagenet_model_vs_human_lowpass";
figures of error consistency against accuracy, and of shape bias.
"""

import sys
from dataclasses import asdict
from functools import partial

import pandas as pd

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS, locate_stimuli, model_vs_human
from bvg.figures.drawing import HUMANS, remove
from bvg.figures.lowpass import consistency_by_accuracy, filters_panel, shape_bias_by_filter
from bvg.figures.model_vs_human import accuracy_figure, consistency_figure, matrix_figure
from bvg.figures.shape_bias import shape_bias_figure
from bvg.files import write_text
from bvg.run.command_line import data_flag, lowpass_flags, parse_args, script
from bvg.run.decisions import sixteen_way
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.decision_table import decision_table, write_decisions
from bvg.scores.humans import fingerprint, humans_for, locate_humans, read_human_cues
from bvg.scores.lowpass import UNFILTERED, by_filter, filters_of, metrics_under, under_filter
from bvg.scores.max_rule import by_rule
from bvg.scores.model_vs_human import (
    CONSISTENCY_MEAN,
    OOD_MEAN,
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
from bvg.stimuli.lowpass import lowpass

# ImageNet's classes of each category (Geirhos et al. 2018), whose mean probability decides.
MEMBERS = CATEGORY_INDICES
# The abbreviations in published image names of data sets whose files have none.
EXPERIMENTS = {"edge": "edg", "silhouette": "sif", CUE_CONFLICT: "cue"}
FEWER = [f"/{count}_datasets" for count in range(1, len(DATA_SETS))]
ACCURACIES = [f"top1_acc/{name}{end}" for name in DATA_SETS for end in ("", "/measured")]
MEANS = (  # over data sets, of however many there are
    *(f"top1_acc/ood_mean{end}" for end in ("", *FEWER)),
    *(f"top1_acc/ood_mean{end}/max" for end in ("", *FEWER)),
    "shape-bias",
    "shape-bias/max",
    *(f"error-consistency/mean{end}" for end in ("", *FEWER)),
)
FIGURES = ("accuracy", "shape_bias", "error_consistency", "error_consistency_humans")
# Wolff et al.: accuracy (%) and error consistency with humans; means of all 17 data sets.
PUBLISHED = {
    "OpenCLIP ViT-H-14": {
        "unfiltered": (78, 0.28),
        "blur=2.5": (72, 0.37),
        "downsample=64": (75, 0.35),
    },
    "humans": {"unfiltered": (72, 0.43)},
}


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
    lowpass_flags(group)


def write_files(runs, humans, human_cues, folder):
    """Write the decision tables, and figures of all models; remove those of an earlier call."""
    remove(*(folder / name for name in FIGURES))  # perhaps of other models, humans or data sets
    for name in ("human_comparison.csv", "error_consistency.csv"):
        (folder / name).unlink(missing_ok=True)
    right, cues = {}, {}
    for run in runs:
        predictions = run.predictions
        right[run.name] = rights(predictions, run.name)
        tables = {
            (name, data_set): decision_table(part, name, EXPERIMENTS.get(data_set, data_set))
            for name, answers in by_rule(predictions, run.name).items()
            for data_set, part in split(answers).items()
        }
        made = [(data_set, table) for (_, data_set), table in tables.items()]
        print_files(*write_decisions(made, run.folder))
        if (run.name, CUE_CONFLICT) in tables:
            cues[run.name] = tables[run.name, CUE_CONFLICT]
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


def low_pass_control(models, images, decide, score, humans, human_cues, args):
    """Evaluate the images through each filter, and unfiltered, as a result of its own."""
    sigmas, sides = sorted({*args.blur}), sorted({*args.downsample}, reverse=True)
    stimuli = partial(lowpass, sigmas=sigmas, sides=sides)
    runs = evaluate(
        "imagenet_model_vs_human_lowpass",
        models,
        images,
        stimuli,
        decide,
        partial(by_filter, score=score),
        args,
        protocol={"blur": sigmas, "downsample": sides},
        scored_with={"humans": fingerprint(humans)},
    )
    if runs:
        folder = args.results / "imagenet_model_vs_human_lowpass"
        metrics = {run.name: run.metrics for run in runs}
        filters = filters_of(runs[0].metrics)
        if f"shape-bias/{UNFILTERED}" in runs[0].metrics:
            print_files(*shape_bias_by_filter(metrics, human_cues, folder / "shape_bias"))
        if humans:
            right = {run.name: rights(under_filter(run.predictions, UNFILTERED)) for run in runs}
            own = human_metrics(on_images_of(right, humans))
            count, _ = mean_of(metrics_under(runs[0].metrics, UNFILTERED), OOD_MEAN)
            published = PUBLISHED if count == len(DATA_SETS) else {}
            figure = folder / "error_consistency"
            print_files(*consistency_by_accuracy(metrics, own, published, figure))
        print_files(*filters_panel(example(images, stimuli, args), folder / "example_stimuli"))
        print_table(runs, *(f"{key}/{name}" for key in MEANS for name in filters))


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
    decide = sixteen_way(classes, MEMBERS) if models else None
    score = partial(model_vs_human_metrics, humans=humans)
    if args.blur or args.downsample:
        low_pass_control(models, images, decide, score, humans, cues, args)
        return
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
    print_table(runs, MEANS[0], *ACCURACIES, *MEANS[1:])


if __name__ == "__main__":
    sys.exit(main())
