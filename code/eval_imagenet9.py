"""ImageNet-9: how much a model relies on backgrounds.

    python code/eval_imagenet9.py --model resnet50.tv_in1k

Reference: 95.6, 86.2 and 78.9 % on original, mixed_same and mixed_rand, BG-gap 7.3 points, for a
ResNet-50 (the repository's table).
Papers: Xiao, Engstrom, Ilyas & Madry, "Noise or Signal: The Role of Image Backgrounds in Object
Recognition", ICLR 2021; Hesse et al., "Beyond Accuracy: What Matters in Designing Well-Behaved
Image Classification Models?", TMLR 2026 (object focus).
Data: the published 224-pixel test images, <variant>/val/<00_dog … 08_fish>/*.JPEG, 4,050 in each of
eight variants, used as they are; python code/download.py imagenet9 downloads them.
A model's answer is the category of its best class among all 1000, of which 370 belong to one of the
nine categories; any other is wrong. For a model of other classes, these are the folders' names.
Writes top1_acc/imagenet9/<variant> (percent) for original, mixed_same, mixed_rand, mixed_next,
only_bg_b, only_bg_t, only_fg and no_fg; imagenet9/bg-gap (mixed_same - mixed_rand, percentage
points); object-focus (1 - BG-gap / accuracy on originals, 1 being best); W&B project "imagenet9"; a
figure of all models.
"""

import sys

import pandas as pd

from bvg.data.finding import find_data
from bvg.data.imagenet9 import (
    CATEGORIES,
    CLASSES,
    MISSING,
    MIXED_RAND,
    MIXED_SAME,
    ORIGINAL,
    VARIANTS,
    category_of_class,
    imagenet9,
)
from bvg.figures.curves import categories, curves
from bvg.figures.drawing import labelled
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import top1_category
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.imagenet9 import FOCUS, GAP, imagenet9_metrics, key_of
from bvg.scores.metric import Metric
from bvg.stimuli.batch import unchanged

# The table in the repository's README: accuracies in percent, and their difference, the BG-gap.
PUBLISHED_KEYS = (key_of(ORIGINAL), key_of(MIXED_SAME), key_of(MIXED_RAND), GAP)
PUBLISHED = {
    "VGG16-BN": (94.3, 83.6, 73.4, 10.2),
    "ResNet-50": (95.6, 86.2, 78.9, 7.3),
    "ResNet-152": (96.7, 89.3, 83.5, 5.8),
}


def flags(group):
    data_flag(group, "imagenet9")
    partial_flag(group)


def draw(models, with_published, path):
    """Return the files of a figure of accuracy by variant, with the published values."""
    others = {}
    if with_published:
        others = {
            f"{name}, published": dict(zip(PUBLISHED_KEYS, map(Metric, values), strict=True))
            for name, values in PUBLISHED.items()
        }
    shown = {
        labelled(name, metrics.get(GAP), 1): metrics for name, metrics in (models | others).items()
    }
    panel = categories(
        {variant.replace("_", " "): key_of(variant) for variant in VARIANTS},
        shaded=[VARIANTS.index(MIXED_SAME), VARIANTS.index(MIXED_RAND)],
        apart=True,
    )
    caption = "in brackets: BG-gap, the difference of the shaded variants, in percentage points"
    return curves(shown, [panel], path, caption=caption)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folder = find_data("imagenet9", args.imagenet9)
    models, classes = load_models(args)
    images = imagenet9(folder, classes, args.partial)
    if missing := images.notes.get(MISSING):
        print(f"{images.root} lacks these variants, which are not evaluated: {', '.join(missing)}")
    of_imagenet = images.classes == CATEGORIES
    decide = top1_category(category_of_class(classes))
    protocol = {"classes": CLASSES} if of_imagenet else {}
    runs = evaluate(
        "imagenet9", models, images, unchanged, decide, imagenet9_metrics, args, protocol
    )
    if runs:
        metrics = {run.name: run.metrics for run in runs}
        print_files(*draw(metrics, of_imagenet, args.results / "imagenet9" / "backgrounds"))
    print_table(runs, *map(key_of, VARIANTS), GAP, FOCUS)
    if runs and of_imagenet:
        table = pd.DataFrame.from_dict(PUBLISHED, "index", columns=PUBLISHED_KEYS)
        print(f"published:\n{table.to_string()}")


if __name__ == "__main__":
    sys.exit(main())
