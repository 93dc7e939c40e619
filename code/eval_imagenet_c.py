"""ImageNet-C: accuracy under 19 corruptions at 5 severities, from the published files or generated.

    python code/eval_imagenet_c.py --model resnet50.tv_in1k --imagenet_c /data/imagenet-c
    python code/eval_imagenet_c.py --model resnet50.tv_in1k --generate --imagenet /data/imagenet

Reference: 41.12 % on all 19 × 5 for tv_resnet50 (the study's table).
Paper: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019.
Data: the published 224-pixel JPEGs (https://zenodo.org/records/2235448, 75 GB), used as they are;
or, with --generate, ImageNet's validation images, which are decoded once and corrupted on the
device. That is a separate result (imagenet_c_generated), which also has the clean accuracy.
To add a corruption, put it into bvg.stimuli.imagenet_c.CORRUPTIONS and its name into ADDED below.
Writes top1_acc/<corruption>_<severity>, top1_acc/<corruption>, top1_acc/imagenet-c (mean of all
19 × 5; undefined if any is missing), …/15 (the standard corruptions), …/noise etc. (groups),
…/measured (mean of those evaluated), in percent; mCE, mCE/<corruption> and relative-mCE, in percent
of AlexNet's errors; W&B project "imagenet_c" or "imagenet_c_generated"; figures of all models.
"""

import sys
from functools import partial

from bvg.data.finding import find_data
from bvg.data.imagenet import imagenet_val
from bvg.data.imagenet_c import CorruptionSet, corruption_condition, corruption_folders
from bvg.errors import UserError
from bvg.figures.imagenet_c import corruption_figures
from bvg.figures.stimulus_panel import stimulus_panel
from bvg.run.command_line import (
    FROST_HELP,
    condition_flags,
    data_flag,
    parse_args,
    partial_flag,
    script,
)
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.imagenet_c import corruption_metrics
from bvg.stimuli.batch import unchanged
from bvg.stimuli.imagenet_c import frost_source, imagenet_c

# Hendrycks & Dietterich 2019; the groups are also the archives that the files come in.
GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    "extra": ("speckle_noise", "gaussian_blur", "spatter", "saturate"),
}
STANDARD = (*GROUPS["noise"], *GROUPS["blur"], *GROUPS["weather"], *GROUPS["digital"])
SEVERITIES = (1, 2, 3, 4, 5)
ADDED: tuple[str, ...] = ()  # further corruptions, which do not count in top1_acc/imagenet-c

IMAGENET_C = CorruptionSet(
    name="imagenet-c",
    key="imagenet-c",
    corruptions=(*STANDARD, *GROUPS["extra"]),
    subsets={"15": STANDARD, **GROUPS},
    groups=tuple(GROUPS),
)


def flags(group):
    data_flag(group, "imagenet-c")
    partial_flag(group)
    condition_flags(group, (*IMAGENET_C.corruptions, *ADDED), SEVERITIES)
    add = group.add_argument
    add(
        "--generate",
        action="store_true",
        help="generate the corruptions from clean images; a separate result (imagenet_c_generated)",
    )
    add(
        "--imagenet",
        metavar="DIR",
        help="with --generate: folder of ImageNet (default: $BVG_IMAGENET)",
    )
    add(
        "--as_published",
        action="store_true",
        help="with --generate: compress each image as JPEG of quality 85, like the published files",
    )
    add("--frost", metavar="DIR", help=f"with --generate: {FROST_HELP}")


def check_flags(args):
    if args.generate and args.imagenet_c:
        raise UserError(
            "--generate corrupts clean images, so it needs --imagenet DIR, not --imagenet_c: drop "
            "--generate or --imagenet_c"
        )
    for flag in () if args.generate else ("imagenet", "as_published", "frost"):
        if getattr(args, flag):
            raise UserError(
                f"--{flag} applies to generated corruptions only: add --generate, or drop --{flag} "
                "to evaluate the published files"
            )
    if args.save_stimuli and not args.generate:
        raise UserError(
            "the files of ImageNet-C are the stimuli, so --save_stimuli has nothing to write: "
            "drop it"
        )


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    check_flags(args)
    corruptions = [name for name in (*IMAGENET_C.corruptions, *ADDED) if name in args.corruptions]
    severities = [severity for severity in SEVERITIES if severity in args.severities]
    protocol = {"corruptions": corruptions, "severities": severities}
    score = partial(corruption_metrics, data=IMAGENET_C)
    if args.generate:
        name, folder = "imagenet_c_generated", find_data("imagenet", args.imagenet)
        photographs, source = frost_source(args.frost, corruptions)
        protocol |= {"as_published": args.as_published, "frost": source}
        corrupted = imagenet_c(corruptions, severities, args.as_published, photographs)

        def stimuli(batch):
            conditions = corrupted(batch)
            first = next(conditions)  # before the clean images, so that errors are raised at once
            yield "clean", batch.pixels
            yield first
            yield from conditions

        models, classes = load_models(args)
        images = imagenet_val(folder, classes, args.partial)
    else:
        name, folder, stimuli = "imagenet_c", find_data("imagenet-c", args.imagenet_c), unchanged
        models, classes = load_models(args)
        images = corruption_folders(
            folder, IMAGENET_C, classes, tuple(corruptions), tuple(severities), args.partial
        )
    scored_with = {"mean_of": " ".join(IMAGENET_C.corruptions)}
    runs = evaluate(name, models, images, stimuli, top5, score, args, protocol, scored_with)
    if runs:
        results = args.results / name
        metrics = {run.name: run.metrics for run in runs}
        print_files(*corruption_figures(metrics, IMAGENET_C.corruptions, results))
    if runs and args.generate:
        rows = {
            corruption.replace("_", "\n"): [corruption_condition(corruption, s) for s in severities]
            for corruption in corruptions
        }
        pictures, original = example(images, stimuli, args), ("clean", "clean")
        panel = results / "example_stimuli"
        print_files(*stimulus_panel(pictures, original, rows, severities, "severity", panel))
    print_table(
        runs,
        "top1_acc/clean",
        "top1_acc/imagenet-c",
        "top1_acc/imagenet-c/measured",
        *(f"top1_acc/imagenet-c/{subset}" for subset in IMAGENET_C.subsets),
        "mCE",
        *(f"top1_acc/{corruption}" for corruption in ADDED),
    )


if __name__ == "__main__":
    sys.exit(main())
