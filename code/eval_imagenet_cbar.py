"""ImageNet-C-bar: accuracy under 10 corruptions that are unlike ImageNet-C's, at 5 severities.

    python code/eval_imagenet_cbar.py --model resnet50.tv_in1k --imagenet_cbar /data/imagenet-c-bar

Paper: Mintun, Kirillov & Xie, "On Interaction Between Augmentations and Corruptions in Natural
Corruption Robustness", NeurIPS 2021.
Data: the published 224-pixel JPEGs, used as they are
(https://dl.fbaipublicfiles.com/inc_bar/imagenet_c_bar.tar.gz).
Writes top1_acc/<corruption>_<severity>, top1_acc/<corruption>, top1_acc/imagenet-cbar (of all
10 × 5; undefined when fewer were measured), …/measured (of some), in percent; W&B project
"imagenet_cbar"; figures of all models of the call.
"""

import sys
from functools import partial
from pathlib import Path

from analysis.corruption_figure import corruption_figures
from evaluation.benchmark import Benchmark, Finished
from evaluation.corruption_flags import (
    corruption_arguments,
    corruption_folder,
    corruption_images,
    of_files,
)
from evaluation.decisions import among_all_classes
from evaluation.session import main
from images.corruption_folders import IMAGENET_CBAR
from images.preprocessing import READY_224
from scoring.corruptions import corruption_metrics
from stimuli.batch import unchanged


def files(finished: list[Finished], args, example) -> list[Path]:
    """Draw the accuracies of all models of the call."""
    models = {model.name: model.metrics for model in finished}
    return corruption_figures(models, IMAGENET_CBAR, finished[0].folder.parent)


CORRUPTED = Benchmark(
    name="imagenet_cbar",
    arguments=partial(corruption_arguments, data=IMAGENET_CBAR),
    locate=partial(corruption_folder, data=IMAGENET_CBAR),
    images=partial(corruption_images, data=IMAGENET_CBAR),
    stimuli=unchanged,
    decision=among_all_classes,
    score=partial(corruption_metrics, data=IMAGENET_CBAR),
    headline=("top1_acc/imagenet-cbar", "top1_acc/imagenet-cbar/measured"),
    preprocessing=READY_224,
    files=files,
    configure=partial(of_files, data=IMAGENET_CBAR),
)

if __name__ == "__main__":
    sys.exit(main(CORRUPTED, __doc__))
