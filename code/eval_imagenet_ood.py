"""Accuracy on ImageNet-V2, ImageNet-A, ImageNet-R and ImageNet-Sketch, one or several of them.

    python code/eval_imagenet_ood.py --model resnet50.tv_in1k --imagenet_r /data/imagenet-r

Papers: V2: Recht et al., ICML 2019; A: Hendrycks et al., CVPR 2021; R: Hendrycks et al., ICCV 2021;
Sketch: Wang et al., NeurIPS 2019. Paper of the study: Gavrikov & Keuper, CVPR 2024.
Data: folders as published; python code/download.py imagenet-v2 imagenet-a imagenet-r
imagenet-sketch puts them into the cache. Without any flag, all data sets are measured that the
environment ($BVG_IMAGENET_V2, …_A, …_R, …_SKETCH) or the cache have.
V2 is the matched-frequency selection, whose folders 0 to 999 are positions among the 1000 classes.
A and R have 200 classes; the models choose among these, and, as 1000-way, among all.
Writes top1_acc/<set> and top5_acc/<set> (percent) for imagenet-v2, imagenet-a, imagenet-r,
imagenet-sketch, imagenet-a/1000-way and imagenet-r/1000-way; a result folder and W&B project for
each data set: imagenet_v2, imagenet_a, imagenet_r, imagenet_sketch.
"""

import sys
from dataclasses import replace
from functools import partial

from evaluation.benchmark import Benchmark
from evaluation.decisions import UNRESTRICTED, among_all_classes, among_own_classes
from evaluation.session import main
from evaluation.variant_flags import variant_arguments, variant_folders
from images.variant_table import VARIANTS, Variant
from images.variants import variant_images
from scoring.accuracy import subset_accuracy, top1_and_top5
from stimuli.batch import unchanged


def configure(ood: Benchmark, arguments) -> list[Benchmark]:
    """Return a benchmark for each data set that is there."""
    return [of_variant(variant) for variant, _ in variant_folders(arguments)]


def of_variant(variant: Variant) -> Benchmark:
    """Return the benchmark of one data set."""
    few = bool(variant.subset)
    keys = [variant.key, f"{variant.key}/1000-way"][: 1 + few]
    return Benchmark(
        name=variant.benchmark,
        arguments=variant_arguments,
        locate=lambda args: dict(variant_folders(args))[variant],
        images=lambda folder, classes, args: variant_images(folder, variant, classes, args.partial),
        stimuli=unchanged,
        decision=among_own_classes if few else among_all_classes,
        decision_columns=UNRESTRICTED if few else (),
        score=partial(subset_accuracy if few else top1_and_top5, key=variant.key),
        headline=tuple(f"top{k}_acc/{key}" for key in keys for k in (1, 5)),
    )


OOD = replace(of_variant(VARIANTS[0]), configure=configure)

if __name__ == "__main__":
    sys.exit(main(OOD, __doc__))
