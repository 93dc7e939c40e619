"""ImageNet validation accuracy, top-1 and top-5.

    python code/eval_imagenet.py --model resnet50.tv_in1k --imagenet /data/imagenet

Paper: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
as val/<wnid>/*.JPEG, or flat with the devkit's ground truth beside them.
Writes the keys top1_acc/imagenet and top5_acc/imagenet (percent), W&B project "imagenet".
"""

import os
import sys
from pathlib import Path

from basics.errors import UserError
from evaluation.benchmark import Benchmark
from evaluation.decisions import among_all_classes
from evaluation.session import main
from images.image_set import existing_folder
from images.imagenet import WHERE, imagenet_val
from scoring.accuracy import imagenet_accuracy
from stimuli.batch import unchanged


def arguments(group):
    """Add the flags that say where ImageNet is."""
    group.add_argument("--imagenet", metavar="DIR", help="ImageNet's folder (else $BVG_IMAGENET)")
    group.add_argument("--partial", action="store_true", help="allow a subset of the images")


def locate(args) -> Path:
    """Return the folder of the images; raises UserError when it is not given or not there."""
    given = args.imagenet or os.environ.get("BVG_IMAGENET")
    if not given:
        raise UserError(f"give ImageNet's folder with --imagenet (or BVG_IMAGENET); {WHERE}")
    return existing_folder(given, "the ImageNet folder", "--imagenet")


IMAGENET = Benchmark(
    name="imagenet",
    arguments=arguments,
    locate=locate,
    images=lambda folder, classes, args: imagenet_val(folder, classes, args.partial),
    stimuli=unchanged,
    decision=among_all_classes,
    score=imagenet_accuracy,
    headline=("top1_acc/imagenet", "top5_acc/imagenet"),
)

if __name__ == "__main__":
    sys.exit(main(IMAGENET, __doc__))
