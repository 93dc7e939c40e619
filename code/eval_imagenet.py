"""ImageNet validation: accuracy, calibration, class balance, and ImageNet-X's error ratios.

    python code/eval_imagenet.py --model resnet50.tv_in1k --imagenet /data/imagenet

Reference: 76.15 % top-1 for tv_resnet50 (the study's table), 92.86 % top-5 (torchvision's page),
calibration error .037 (from its predictions in ImageNet-X's repository).
Paper: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015. Also Guo
et al., "On Calibration of Modern Neural Networks", ICML 2017; Hesse et al., "Beyond Accuracy: What
Matters in Designing Well-Behaved Image Classification Models?", TMLR 2026 (class balance); Idrissi
et al., "ImageNet-X", ICLR 2023.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
as val/<wnid>/*.JPEG, or in one flat folder, with the ground truth (devkit, Kaggle or torchvision)
next to it or the wnid in each file name (the Hugging Face archive); optionally ImageNet-X's
annotations (python code/download.py imagenet-x).
Writes top1_acc/imagenet and top5_acc/imagenet (percent); calibration/ece (15 bins), …/ece/debiased
and calibration/overconfidence (mean confidence - accuracy); class-balance, …/accuracy and
…/confidence; with annotations imagenet-x/accuracy, imagenet-x/<factor>/accuracy (percent) and
imagenet-x/<factor>/error-ratio. W&B project "imagenet"; figures of all models.
score_predictions.py adds what a finished result lacks, without its model.
"""

import sys
from functools import partial

from bvg.data.finding import find_data, look_for
from bvg.data.imagenet import imagenet_val
from bvg.data.imagenet_x import read_annotations
from bvg.figures.imagenet import imagenet_figures
from bvg.run.command_line import data_flag, imagenet_flags, parse_args, script
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.calibration import reliability
from bvg.scores.imagenet import imagenet_metrics
from bvg.stimuli.batch import unchanged


def flags(group):
    imagenet_flags(group)
    data_flag(group, "imagenet-x")


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    annotated = look_for("imagenet-x", args.imagenet_x)
    annotations = read_annotations(annotated) if annotated else None
    score = partial(imagenet_metrics, annotations=annotations)
    scored_with = {"imagenet_x": annotations.fingerprint} if annotations else {}
    folder = find_data("imagenet", args.imagenet)
    models, classes = load_models(args)
    images = imagenet_val(folder, classes, args.partial)
    runs = evaluate(
        "imagenet", models, images, unchanged, top5, score, args, scored_with=scored_with
    )
    if runs:
        metrics = {run.name: run.metrics | reliability(run.predictions) for run in runs}
        print_files(*imagenet_figures(metrics, args.results / "imagenet"))
    print_table(
        runs,
        "top1_acc/imagenet",
        "top5_acc/imagenet",
        "calibration/ece",
        "calibration/overconfidence",
        "class-balance",
        "imagenet-x/accuracy",
    )


if __name__ == "__main__":
    sys.exit(main())
