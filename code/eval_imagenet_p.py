"""ImageNet-P: how often a model's prediction flips while an image changes gradually.

    python code/eval_imagenet_p.py --model resnet50.tv_in1k --imagenet_p /data/imagenet-p

Reference: mFR 58.0 and mT5D 78.4 for a ResNet-50, AlexNet being 100 (Hendrycks & Dietterich 2019).
Paper: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019.
Data: ten perturbations of 50,000 sequences of about 31 frames, <perturbation>/<wnid>/*.mp4
(https://github.com/hendrycks/robustness; reading mp4 needs: pip install 'av>=18'), or folders of
frames, <perturbation>/<wnid>/<sequence>/*.png.
Writes flip_prob/<perturbation> (in [0, 1]), top5_distance/<perturbation> and their means
…/imagenet-p, W&B project "imagenet_p"; a figure of all models. With --reference, the result of an
AlexNet, also FR/<perturbation>, T5D/<perturbation>, mFR and mT5D (percent), in relative.csv too;
with another reference, finished results are re-scored without evaluating the model again.
--reference alexnet takes built-in flip probabilities, which are corroborated but unsourced
(docs/fidelity.md): mFR without mT5D.
"""

import sys
from functools import partial
from pathlib import Path

from bvg.data.finding import find_data
from bvg.data.imagenet_p import PERTURBATIONS, imagenet_p
from bvg.figures.imagenet_p import stability_figure
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import top5_in_order
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.imagenet_p import (
    RELATIVE_FILE,
    read_reference,
    reference_fingerprint,
    stability_metrics,
    write_relative,
)
from bvg.stimuli.batch import unchanged


def flags(group):
    add = group.add_argument
    data_flag(group, "imagenet-p")
    add(
        "--perturbations",
        nargs="+",
        metavar="NAME",
        help=f"perturbations to evaluate (default: all ten, {' '.join(PERTURBATIONS)})",
    )
    partial_flag(group)
    add(
        "--reference",
        metavar="RESULT",
        help="result of torchvision:alexnet (its folder or summary.json), a CSV of "
        "perturbation,flip_prob,top5_distance, or 'alexnet' for the built-in flip probabilities; "
        "mFR and mT5D are computed from it (default: none, without mFR and mT5D)",
    )


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    reference = read_reference(Path(args.reference)) if args.reference else None
    folder = find_data("imagenet-p", args.imagenet_p)
    models, classes = load_models(args)
    images = imagenet_p(folder, classes, args.perturbations, args.partial)
    score = partial(stability_metrics, reference=reference, name=args.reference)
    runs = evaluate(
        "imagenet_p",
        models,
        images,
        unchanged,
        top5_in_order,
        score,
        args,
        scored_with={"reference": reference_fingerprint(reference)},
    )
    if runs:
        metrics = {run.name: run.metrics for run in runs}
        print_files(*stability_figure(metrics, args.results / "imagenet_p" / "stability"))
    for run in runs:
        if reference:
            print_files(write_relative(run.metrics, run.folder, args.reference))
        else:  # remove that of an earlier call with a reference
            (run.folder / RELATIVE_FILE).unlink(missing_ok=True)
    print_table(
        runs,
        "flip_prob/imagenet-p",
        *(f"flip_prob/{name}" for name in PERTURBATIONS),
        "top5_distance/imagenet-p",
        "mFR",
        "mT5D",
    )


if __name__ == "__main__":
    sys.exit(main())
