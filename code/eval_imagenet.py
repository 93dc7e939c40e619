"""ImageNet validation accuracy, top-1 and top-5.

    python code/eval_imagenet.py --model resnet50.tv_in1k --imagenet /data/imagenet

Reference: 76.15 % top-1 for tv_resnet50 (the study's table), 92.86 % top-5 (torchvision's page).
Paper: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
as val/<wnid>/*.JPEG, or in one flat folder, with the ground truth (devkit, Kaggle or torchvision)
next to it or the wnid in each file name (the Hugging Face archive).
Writes the keys top1_acc/imagenet and top5_acc/imagenet (percent), W&B project "imagenet".
"""

import sys

from bvg.data.finding import find_data
from bvg.data.imagenet import imagenet_val
from bvg.run.command_line import imagenet_flags, parse_args, script
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_table
from bvg.scores.accuracy import imagenet_accuracy
from bvg.stimuli.batch import unchanged


@script
def main(argv=None):
    args = parse_args(__doc__, argv, imagenet_flags)
    folder = find_data("imagenet", args.imagenet)
    models, classes = load_models(args)
    images = imagenet_val(folder, classes, args.partial)
    runs = evaluate("imagenet", models, images, unchanged, top5, imagenet_accuracy, args)
    print_table(runs, "top1_acc/imagenet", "top5_acc/imagenet")


if __name__ == "__main__":
    sys.exit(main())
