"""ImageNet-C-bar: accuracy under 10 corruptions that are unlike ImageNet-C's, at 5 severities.

    python code/eval_imagenet_cbar.py --model resnet50.tv_in1k --imagenet_cbar /data/imagenet-c-bar

Reference: 39.70 % for tv_resnet50 (the study's table).
Paper: Mintun, Kirillov & Xie, "On Interaction Between Augmentations and Corruptions in Natural
Corruption Robustness", NeurIPS 2021.
Data: the published 224-pixel JPEGs, used as they are
(https://dl.fbaipublicfiles.com/inc_bar/imagenet_c_bar.tar.gz).
Writes top1_acc/<corruption>_<severity>, top1_acc/<corruption>, top1_acc/imagenet-cbar (mean of all
10 × 5; undefined if any is missing), …/measured (mean of those evaluated), in percent; W&B project
"imagenet_cbar"; figures of all models.
"""

import sys
from functools import partial

from bvg.data.finding import find_data
from bvg.data.imagenet_c import CorruptionSet, corruption_folders
from bvg.errors import UserError
from bvg.figures.imagenet_c import corruption_figures
from bvg.run.command_line import condition_flags, data_flag, parse_args, partial_flag, script
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.imagenet_c import corruption_metrics
from bvg.stimuli.batch import unchanged

SEVERITIES = (1, 2, 3, 4, 5)
# The authors' program (imagenet_c_bar.csv in their repository) names severities' folders after
# their parameter, their archive 1 to 5; both are accepted.
LEVELS: dict[str, tuple[str, ...]] = {
    "blue_noise_sample": ("0.80", "1.60", "2.40", "4.00", "5.60"),
    "brownish_noise": ("1.00", "2.00", "3.00", "4.00", "5.00"),
    "caustic_refraction": ("2.35", "3.20", "4.90", "6.60", "9.15"),
    "checkerboard_cutout": ("2.00", "3.00", "4.00", "5.00", "6.00"),
    "cocentric_sine_waves": ("3.00", "5.00", "8.00", "9.00", "10.00"),
    "inverse_sparkles": ("1.00", "2.00", "4.00", "9.00", "10.00"),
    "perlin_noise": ("4.60", "5.20", "5.80", "7.60", "8.80"),
    "plasma_noise": ("4.75", "7.00", "8.50", "9.25", "10.00"),
    "single_frequency_greyscale": ("1.00", "1.50", "2.00", "4.50", "5.00"),
    "sparkles": ("1.00", "2.00", "3.00", "5.00", "6.00"),
}
IMAGENET_CBAR = CorruptionSet(
    name="imagenet-c-bar",
    key="imagenet-cbar",
    corruptions=tuple(LEVELS),
    levels=LEVELS,
)


def flags(group):
    data_flag(group, "imagenet-c-bar")
    partial_flag(group)
    condition_flags(group, IMAGENET_CBAR.corruptions, SEVERITIES)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    if args.save_stimuli:
        raise UserError(
            "the files of ImageNet-C-bar are the stimuli, so --save_stimuli has nothing to write: "
            "drop it"
        )
    corruptions = tuple(name for name in IMAGENET_CBAR.corruptions if name in args.corruptions)
    severities = tuple(severity for severity in SEVERITIES if severity in args.severities)
    folder = find_data("imagenet-c-bar", args.imagenet_cbar)
    models, classes = load_models(args)
    images = corruption_folders(
        folder, IMAGENET_CBAR, classes, corruptions, severities, args.partial
    )
    protocol = {"corruptions": list(corruptions), "severities": list(severities)}
    score = partial(corruption_metrics, data=IMAGENET_CBAR)
    scored_with = {"mean_of": " ".join(IMAGENET_CBAR.corruptions)}
    runs = evaluate(
        "imagenet_cbar", models, images, unchanged, top5, score, args, protocol, scored_with
    )
    if runs:
        metrics = {run.name: run.metrics for run in runs}
        folder = args.results / "imagenet_cbar"
        print_files(*corruption_figures(metrics, IMAGENET_CBAR.corruptions, folder))
    print_table(runs, "top1_acc/imagenet-cbar", "top1_acc/imagenet-cbar/measured")


if __name__ == "__main__":
    sys.exit(main())
