"""REFINED-BIAS: how well a model recognises shape alone, and texture alone, among 1000 classes.

    python code/eval_refined_bias.py --model resnet50.tv_in1k

Reference: shape MRR 0.0518, 0.0988 and 0.2438 for BagNet-9, -17 and -33 (the paper).
Paper: Kim et al., "On the Reliability of Cue Conflict and Beyond", arXiv 2603.10834, 2026.
Data: 6,000 stimuli, refined_bias_shape/<class>/ and refined_bias_texture/<class>/ with 10 classes
of 300 images each; python code/download.py refined-bias downloads them.
The measure is the mean reciprocal rank (MRR) of the label among all 1000 classes; where a class has
several wnids, the rank is the best of theirs. For a model of other classes (the miniature's), the
class folders have their names.
Writes refined-bias/shape-mrr and refined-bias/texture-mrr (in (0, 1]), top1_acc/refined-bias/shape
and …/texture (percent), each also by class (…/class/<name>), W&B project "refined_bias"; figures of
shape against texture, and of every class.
"""

import sys
from functools import partial

from bvg.data.finding import find_data
from bvg.data.imagenet import are_imagenet, imagenet_classes
from bvg.data.refined_bias import classes_of, members_of, refined_bias
from bvg.figures.refined_bias import refined_bias_figures
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import top5_and_ranks
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.refined_bias import refined_bias_metrics
from bvg.stimuli.batch import unchanged

# The paper's shape MRR (its result files, with texture MRR, are not published).
PUBLISHED = {"BagNet-9": 0.0518, "BagNet-17": 0.0988, "BagNet-33": 0.2438}


def flags(group):
    data_flag(group, "refined-bias")
    partial_flag(group)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folder = find_data("refined-bias", args.refined_bias)
    models, classes = load_models(args)
    classes = classes or imagenet_classes()
    images = refined_bias(folder, classes, args.partial)
    known = classes_of(images.root, classes)
    members = members_of(known)
    runs = evaluate(
        "refined_bias",
        models,
        images,
        unchanged,
        top5_and_ranks(classes, members),
        partial(refined_bias_metrics, classes=known),
        args,
        protocol={"wnids": {name: list(wnids) for name, wnids in members.items()}},
    )
    if runs:
        metrics = {run.name: run.metrics for run in runs}
        published = PUBLISHED if are_imagenet(classes) else {}
        print_files(*refined_bias_figures(metrics, published, args.results / "refined_bias"))
    print_table(
        runs,
        "refined-bias/shape-mrr",
        "refined-bias/texture-mrr",
        "top1_acc/refined-bias/shape",
        "top1_acc/refined-bias/texture",
    )


if __name__ == "__main__":
    sys.exit(main())
