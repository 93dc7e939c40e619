"""LAION-C: accuracy under corruptions that are new to models trained on images of the web.

    python code/eval_laion_c.py --model resnet50.tv_in1k --laion_c /data/laion-c
    python code/eval_laion_c.py --model resnet50.tv_in1k --generate --imagenet /data/imagenet

Reference: mean accuracy of 67.5 % of EVA-G, 47.1 % of a ViT-B/16 trained on ImageNet-21k, 55.2 % of
the best human observer (the authors' leaderboard).
Paper: Li, Klein, Brendel, Geirhos & Zimmermann, "LAION-C: An Out-of-Distribution Benchmark for
Web-Scale Vision Models", ICML 2025.
Data: the published files (https://zenodo.org/records/14051887): six corruptions at five levels,
images of 16 superclasses of 285 of ImageNet's classes. Or, with --generate, four of the corruptions
(stickers, vertical_lines, geometric_shapes, luminance_checkerboard) of 4,800 of ImageNet's
validation images, 300 of each superclass. These are other images than the published ones, hence a
separate result (laion_c_generated) with keys of its own, not comparable with published values.
The answer is the superclass whose classes have the largest mean probability; models with other
classes than ImageNet's answer with their own.
Writes top1_acc/laion-c/<corruption>_<level>, …/<corruption>, top1_acc/laion-c (mean of all 6 × 5;
undefined if any is missing), …/measured (mean of those evaluated), in percent; W&B project
"laion_c"; with --generate the same under laion-c-generated, and …/clean, W&B project
"laion_c_generated"; figures of all models.
"""

import sys
from functools import partial
from typing import Any

from bvg.data.finding import find_data
from bvg.data.imagenet import are_imagenet, imagenet_val
from bvg.data.imagenet_c import corruption_condition
from bvg.data.laion_c import (
    CORRUPTIONS,
    SEVERITIES,
    SUPERCLASS_INDICES,
    SUPERCLASSES,
    laion_c,
    of_superclasses,
    read_stickers,
    superclasses_of,
)
from bvg.errors import UserError
from bvg.figures.curves import Humans, Panel, categories, curves
from bvg.figures.stimulus_panel import stimulus_panel
from bvg.run.command_line import condition_flags, data_flag, parse_args, partial_flag, script
from bvg.run.decisions import best_groups, top5
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.laion_c import laion_c_metrics
from bvg.scores.metric import Metric
from bvg.stimuli.batch import unchanged
from bvg.stimuli.laion_c import (
    corrupted,
    geometric_shapes,
    luminance_checkerboard,
    stickers,
    vertical_lines,
)

# Li et al. 2025, as in the program published with it; at levels 1 to 5.
STICKERS = (100, 200, 400, 600, 1200)
VERTICAL_LINES = ((224, 1), (178, 2), (112, 4), (84, 6), (60, 8))  # lines, pixels between points
GEOMETRIC_SHAPES = (150, 300, 600, 800, 1000)
LUMINANCE = ((0, 50), (50, 100), (100, 125), (125, 150), (150, 255))  # 8-bit levels, from … to
GENERATED: dict[str, tuple[Any, ...]] = {
    "stickers": STICKERS,
    "vertical_lines": VERTICAL_LINES,
    "geometric_shapes": GEOMETRIC_SHAPES,
    "luminance_checkerboard": LUMINANCE,
}
STICKER_SIDE = 16  # pixels
STICKER_IMAGES = 1000  # that stickers are made of; as published, 100,000 of ImageNet's training set

# Mean accuracy over all 6 × 5 conditions in percent (the leaderboard in the authors' repository).
PUBLISHED = {
    "EVA-G/14 560 (published)": 67.5,
    "ConvNeXt-XXL CLIP (published)": 54.8,
    "ViT-B/16 AugReg, IN21k (published)": 47.1,
}
BEST_HUMAN = 55.2  # of 19 observers


def flags(group):
    data_flag(group, "laion-c")
    partial_flag(group)
    condition_flags(group, CORRUPTIONS, SEVERITIES)
    add = group.add_argument
    add(
        "--generate",
        action="store_true",
        help=f"generate {', '.join(GENERATED)} from clean images; a separate result "
        "(laion_c_generated)",
    )
    add(
        "--imagenet",
        metavar="DIR",
        help="with --generate: folder of ImageNet (default: $BVG_IMAGENET)",
    )


def check_flags(args):
    if args.generate and args.laion_c:
        raise UserError(
            "--generate corrupts clean images, so it needs --imagenet DIR, not --laion_c: drop "
            "--generate or --laion_c"
        )
    if args.imagenet and not args.generate:
        raise UserError(
            "--imagenet applies to generated corruptions only: add --generate, or drop --imagenet "
            "to evaluate the published files"
        )
    if args.save_stimuli and not args.generate:
        raise UserError(
            "the files of LAION-C are the stimuli, so --save_stimuli has nothing to write: drop it"
        )
    other = [name for name in args.corruptions if name not in GENERATED]
    if args.generate and other and {*args.corruptions} != {*CORRUPTIONS}:
        raise UserError(
            f"{', '.join(other)} cannot be generated: choose --corruptions from "
            f"{' '.join(GENERATED)}, or evaluate the published files with --laion_c"
        )


def generator(corruption, severity, bank):
    """Return what corrupts an image at one of the levels."""
    value = GENERATED[corruption][severity - 1]
    if corruption == "stickers":
        return stickers(value, bank)
    if corruption == "vertical_lines":
        return vertical_lines(*value)
    if corruption == "geometric_shapes":
        return geometric_shapes(value)
    return luminance_checkerboard(*value)


def draw_accuracy(models, key, corruptions, severities, clean, published, path):
    """Return the files of a figure of accuracy by level, and of means, with the published ones."""
    places = {0: f"top1_acc/{key}/clean"} if clean else {}
    panels = [
        Panel(
            name.replace("_", " "),
            places | {s: f"top1_acc/{key}/{corruption_condition(name, s)}" for s in severities},
            "level (0: clean)" if clean else "level",
            {s: str(s) for s in (*places, *severities)},
        )
        for name in corruptions
    ]
    if len(severities) < len(SEVERITIES):
        return curves(models, panels, path)
    mean = f"top1_acc/{key}"
    means = {name.replace("_", "\n"): f"{mean}/{name}" for name in corruptions} | {"all": mean}
    panels.append(categories(means, "mean over the five levels", apart=True))
    if not published:
        return curves(models, panels, path)
    others = {name: {mean: Metric(value)} for name, value in PUBLISHED.items()}
    humans = Humans("best human (published)", {mean: Metric(BEST_HUMAN)})
    return curves(models | others, panels, path, humans=humans)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    check_flags(args)
    known = [*GENERATED] if args.generate else [*CORRUPTIONS]
    corruptions = [name for name in CORRUPTIONS if name in args.corruptions and name in known]
    severities = [severity for severity in SEVERITIES if severity in args.severities]
    protocol = {"corruptions": corruptions, "severities": severities}
    if args.generate:
        name, key = "laion_c_generated", "laion-c-generated"
        folder = find_data("imagenet", args.imagenet)
        models, classes = load_models(args)
        images = of_superclasses(imagenet_val(folder, classes, args.partial), args.seed)
        bank = None
        if "stickers" in corruptions:
            bank = read_stickers(images, STICKER_IMAGES, STICKER_SIDE, args.seed)
            protocol["stickers"] = bank.digest
        protocol["levels"] = {name: GENERATED[name] for name in corruptions}
        conditions = {
            corruption_condition(name, s): generator(name, s, bank)
            for name in corruptions
            for s in severities
        }

        def stimuli(batch):
            yield "clean", batch.pixels
            yield from corrupted(batch, conditions)

    else:
        name, key, stimuli = "laion_c", "laion-c", unchanged
        folder = find_data("laion-c", args.laion_c)
        models, classes = load_models(args)
        images = laion_c(folder, superclasses_of(classes), corruptions, severities, args.partial)
    decide = best_groups([*SUPERCLASS_INDICES.values()]) if are_imagenet(classes) else top5
    score = partial(laion_c_metrics, key=key, corruptions=known)
    runs = evaluate(name, models, images, stimuli, decide, score, args, protocol)
    if runs:
        metrics = {run.name: run.metrics for run in runs}
        published = not args.generate and images.classes == SUPERCLASSES
        path = args.results / name / "levels"
        shown = (key, corruptions, severities, args.generate, published)
        print_files(*draw_accuracy(metrics, *shown, path))
        if args.generate:
            rows = {
                c.replace("_", "\n"): [corruption_condition(c, s) for s in severities]
                for c in corruptions
            }
            pictures, original = example(images, stimuli, args), ("clean", "clean")
            panel = args.results / name / "example_stimuli"
            print_files(*stimulus_panel(pictures, original, rows, severities, "level", panel))
    means = (f"top1_acc/{key}/{name}" for name in corruptions)
    print_table(runs, f"top1_acc/{key}", f"top1_acc/{key}/measured", *means)
    if runs and published:
        references = PUBLISHED | {"best human (published)": BEST_HUMAN}
        print("mean accuracy:", ", ".join(f"{name} {value}" for name, value in references.items()))


if __name__ == "__main__":
    sys.exit(main())
