"""Accuracy on ImageNet-V2, ImageNet-A, ImageNet-R and ImageNet-Sketch, or any of them.

    python code/eval_imagenet_ood.py --model resnet50.tv_in1k --imagenet_r /data/imagenet-r

Reference: the study's table has 63.14 % (V2), 0.03 % (A), 36.16 % (R) and 24.09 % (Sketch) for
tv_resnet50.
Papers: V2: Recht et al., ICML 2019; A: Hendrycks et al., CVPR 2021; R: Hendrycks et al., ICCV 2021;
Sketch: Wang et al., NeurIPS 2019. Paper of the study: Gavrikov & Keuper, CVPR 2024.
Data: folders as published; python code/download.py imagenet-v2 imagenet-a imagenet-r
imagenet-sketch downloads them. Without a flag, evaluates every data set that an environment
variable ($BVG_IMAGENET_V2, …_A, …_R, …_SKETCH) names or that was downloaded.
V2 is the matched-frequency selection, whose folders 0 to 999 are indices of the 1000 classes.
A and R have 200 classes; models choose among these, and (keys with 1000-way) among all.
Writes top1_acc/<set> and top5_acc/<set> (percent) for imagenet-v2, imagenet-a, imagenet-r,
imagenet-sketch, imagenet-a/1000-way and imagenet-r/1000-way; a result folder and W&B project for
each data set: imagenet_v2, imagenet_a, imagenet_r, imagenet_sketch.
"""

import sys
from functools import partial

from bvg.data.finding import look_for
from bvg.data.image_set import RESTRICTED
from bvg.data.imagenet_ood import VARIANTS, variant_folder, variant_images
from bvg.errors import UserError
from bvg.run.command_line import (
    data_flag,
    parse_args,
    partial_flag,
    preprocess_flag,
    script,
    with_options,
)
from bvg.run.decisions import top5, top5_among
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_table
from bvg.scores.accuracy import subset_accuracy, top1_and_top5
from bvg.stimuli.batch import unchanged

# Number of images, classes and layout of each are in bvg.data.imagenet_ood. To evaluate another set
# of ImageNet's classes, add it here: (*VARIANTS, Variant("my-set", images=500)) (docs/adding.md).
SETS = VARIANTS


def flags(group):
    for variant in SETS:
        data_flag(group, variant.key)
    partial_flag(group)
    preprocess_flag(group)


def folders_of(args):
    """Return the folders of the data sets to evaluate.

    Those given by flags; without flags, all that environment variables name or were downloaded.
    """
    given = {variant: getattr(args, variant.benchmark) for variant in SETS}
    chosen = [variant for variant in SETS if given[variant] or not any(given.values())]
    found = {variant: look_for(variant.key, given[variant]) for variant in chosen}
    found = {variant: variant_folder(place, variant) for variant, place in found.items() if place}
    if not found:
        raise UserError(
            "give the folder of at least one data set with "
            f"{', '.join(v.entry.flag for v in SETS)} (or an environment variable, "
            f"{SETS[0].entry.variable} etc.), or download them: python code/download.py "
            f"{' '.join(variant.key for variant in SETS)}"
        )
    return found


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folders = folders_of(args)
    models, classes = load_models(args)
    sets = {v: variant_images(folder, v, classes, args.partial) for v, folder in folders.items()}
    for variant, images in sets.items():
        subset = images.notes.get(RESTRICTED) if models else None  # of A and R, 200 classes
        decide = top5_among([classes.index(name) for name in subset]) if subset else top5
        score = partial(subset_accuracy if subset else top1_and_top5, key=variant.key)
        options = args
        if args.save_stimuli and len(sets) > 1:
            options = with_options(args, save_stimuli=args.save_stimuli / variant.benchmark)
        runs = evaluate(variant.benchmark, models, images, unchanged, decide, score, options)
        keys = (variant.key, f"{variant.key}/1000-way")
        print_table(runs, *(f"top{k}_acc/{key}" for key in keys for k in (1, 5)))


if __name__ == "__main__":
    sys.exit(main())
