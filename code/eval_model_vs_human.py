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
from functools import partial

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS, locate_stimuli, model_vs_human
from bvg.figures.model_vs_human_files import model_vs_human_files
from bvg.run.command_line import data_flag, parse_args, script
from bvg.run.decisions import sixteen_way
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.humans import fingerprint, humans_for, locate_humans, read_human_cues
from bvg.scores.model_vs_human import model_vs_human_metrics
from bvg.stimuli.batch import unchanged


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
        measured = {run.name: (run.predictions, run.metrics) for run in runs}
        results = args.results / "imagenet_model_vs_human"
        print_files(*model_vs_human_files(measured, results, humans, cues))
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
