"""ImageNet validation accuracy, top-1 and top-5.

    python code/eval_imagenet.py --model resnet50.tv_in1k --imagenet /data/imagenet

Paper: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
as val/<wnid>/*.JPEG, or flat with the ground truth (devkit, Kaggle's or torchvision's) beside them
or the wnid in each file's name (Hugging Face's archive).
Writes the keys top1_acc/imagenet and top5_acc/imagenet (percent), W&B project "imagenet".
"""

import sys

from evaluation.benchmark import Benchmark
from evaluation.decisions import among_all_classes
from evaluation.imagenet_flags import imagenet_arguments, imagenet_folder, imagenet_images
from evaluation.session import main
from scoring.accuracy import imagenet_accuracy
from stimuli.batch import unchanged

IMAGENET = Benchmark(
    name="imagenet",
    arguments=imagenet_arguments,
    locate=imagenet_folder,
    images=imagenet_images,
    stimuli=unchanged,
    decision=among_all_classes,
    score=imagenet_accuracy,
    headline=("top1_acc/imagenet", "top5_acc/imagenet"),
)

if __name__ == "__main__":
    sys.exit(main(IMAGENET, __doc__))
