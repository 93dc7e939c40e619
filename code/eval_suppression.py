"""Suppression: how much accuracy is left without global shape, local shape, texture or colour.

    python code/eval_suppression.py --model resnet50.tv_in1k --imagenet /data/imagenet
    python code/eval_suppression.py --model resnet50.tv_in1k --imagenet /data/imagenet --curves

Reference: relative accuracy .832, .276, .795, .924 (in the order above) for a ResNet-50 of
torchvision, .965, .763, .979, .999 for humans (the paper, on 800 images; see --confident_by).
Paper: Burgert, Stoll, Rota & Demir, "ImageNet-trained CNNs are not biased towards texture",
NeurIPS 2025.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
squashed to 224 x 224 pixels.
Stimuli: original, tiles shuffled in grids of 3 x 3 and of 6 x 6, bilateral filter, greys; with
--curves also all strengths of patch shuffle, patch rotation, bilateral filter, Gaussian blur,
non-local means and greyscale, shuffled channels, and pairs of them: 69 conditions in one pass.
Writes top1_acc/suppression/<condition> (percent); metric/suppression/<cue>/relative (accuracy /
accuracy on the originals) of the cues global-shape, local-shape, texture and colour; the same among
16 categories, as suppression16 (the published rule: more than half of the probability),
suppression16_top1 (the category of the best class) and suppression16_argmax (the category of most
probability, whatever the other classes have); with --curves metric/suppression/<curve>/auc (area
under the curve of relative accuracy) and …/auc-normalised (of accuracy above chance); W&B project
"imagenet_suppression"; figures of all models, and of one image under all conditions.
"""

import hashlib
import sys
from dataclasses import replace
from functools import partial

import pandas as pd

from bvg.data.finding import find_data
from bvg.data.imagenet import are_imagenet, imagenet_val
from bvg.data.preprocessing import SQUASHED_224
from bvg.errors import UserError
from bvg.figures.curves import Humans, Panel, curves
from bvg.figures.stimulus_panel import stimulus_panel
from bvg.predictions.table import read_predictions
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import top5_and_category_sums
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.metric import Metric
from bvg.scores.suppression import (
    CONFIDENT,
    OVER_HALF,
    PREFIX,
    most_confident,
    suppression_metrics,
)
from bvg.stimuli.suppression import (
    ORIGINAL,
    Condition,
    bilateral,
    channel_shuffle,
    condition_name,
    gaussian,
    greyscale,
    nl_means,
    patch_rotation,
    patch_shuffle,
    suppressed,
)

NAME = "imagenet_suppression"
# Burgert et al. 2025, experiment I: what suppresses each cue.
CUES = {
    "global-shape": (patch_shuffle(3),),
    "local-shape": (patch_shuffle(6),),
    "texture": (bilateral(12, 170),),
    "colour": (greyscale(1),),
}
# Experiment II, from weak to strong.
GRIDS = (2, 4, 6, 8, 10, 12, 14, 16)  # tiles a side
BILATERAL = ((4, 50), (6, 80), (8, 110), (10, 140), (12, 170), (14, 200))  # pixels, levels
GAUSSIAN = ((3, 0.33), (5, 0.66), (7, 1), (9, 1.33), (11, 1.66), (13, 2), (15, 2.33))  # kernel, SD
NL_MEANS = (5, 10, 15, 20, 25)  # h
ALPHAS = (0.2, 0.4, 0.6, 0.8, 1)  # part of the greys
ZIPPED = [*zip(BILATERAL, GRIDS, strict=False)]  # the six strengths with the first six grids
CURVES: dict[str, list[Condition]] = {
    "patch-shuffle": [(patch_shuffle(grid),) for grid in GRIDS],
    "patch-rotation": [(patch_rotation(grid),) for grid in GRIDS],
    "bilateral": [(bilateral(*strength),) for strength in BILATERAL],
    "gaussian-blur": [(gaussian(*strength),) for strength in GAUSSIAN],
    "non-local-means": [(nl_means(h),) for h in NL_MEANS],
    "greyscale": [(greyscale(alpha),) for alpha in ALPHAS],
    "patch-shuffle+greyscale": [(patch_shuffle(grid), greyscale(1)) for grid in GRIDS],
    "bilateral+patch-shuffle": [(bilateral(*s), patch_shuffle(grid)) for s, grid in ZIPPED],
    "bilateral-12+patch-shuffle": [(bilateral(12, 170), patch_shuffle(grid)) for grid in GRIDS],
    "bilateral+greyscale": [(bilateral(*strength), greyscale(1)) for strength in BILATERAL],
}
OTHER_CUES = {"channel-shuffle": (channel_shuffle(),)}  # has one strength only

# The paper's table: relative accuracies in the order of CUES, and accuracy on the originals in
# percent, of 20 humans and of networks, on 800 images of the 16 categories.
PUBLISHED = {
    "humans": (0.965, 0.763, 0.979, 0.999, 96.9),
    "ResNet-50": (0.832, 0.276, 0.795, 0.924, 95.4),
    "ResNet-50, modern recipe": (0.943, 0.618, 0.867, 0.948, 93.1),
    "ConvNeXt V2": (0.949, 0.647, 0.925, 0.969, 94.0),
    "ViT": (0.930, 0.636, 0.921, 0.977, 92.9),
    "CLIP-ViT": (0.959, 0.758, 0.949, 0.984, 93.6),
}


def flags(group):
    data_flag(group, "imagenet")
    partial_flag(group)
    add = group.add_argument
    add("--curves", action="store_true", help="evaluate all strengths of all suppressions")
    add(
        "--squash",
        choices=SQUASHED_224,
        default="opencv",
        help="what resizes photographs to 224 x 224 pixels: OpenCV without antialiasing, as "
        "published, or Pillow with antialiasing (default: opencv)",
    )
    add(
        "--confident_by",
        metavar="RUN",
        help="score the 50 images of each category that this finished result (of a ResNet-50, "
        "say) is right about with most confidence, too, as the published images were chosen: "
        "suppression16_confident (default: none)",
    )


def confident_images(args):
    """Return the names of the images that --confident_by chooses, and what the record says."""
    if not args.confident_by:
        return None, None
    path = args.results / NAME / args.confident_by / "predictions.parquet"
    if not path.exists():
        raise UserError(
            f"--confident_by {args.confident_by}: there is no finished result in {path.parent}; "
            "evaluate that model first, without --confident_by"
        )
    predictions = read_predictions(path)
    if not are_imagenet(predictions.classes):
        raise UserError(
            f"--confident_by {args.confident_by}: this model's classes are not ImageNet's, so that "
            "its images have none of the 16 categories; choose another one"
        )
    names = most_confident(predictions)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return names, f"{args.confident_by}, {len(names)} images, {digest[:16]}"


def published(rule):
    """Return the published values as metrics of one rule, by observer."""
    keys = [*(f"metric/{rule}/{cue}/relative" for cue in CUES), f"top1_acc/{rule}/{ORIGINAL}"]
    return {
        f"{observer} (published)": {
            key: Metric(value) for key, value in zip(keys, values, strict=True)
        }
        for observer, values in PUBLISHED.items()
    }


def draw_relative(models, args, path):
    """Return the files of a figure of relative accuracy by cue, with the published values."""
    titles = {
        CONFIDENT: f"16 categories, the 50 images of each that {args.confident_by} is surest about",
        OVER_HALF: "16 categories: more than half of the probability",
        PREFIX: "all classes: top-1",
    }
    keys = {rule: [f"metric/{rule}/{cue}/relative" for cue in CUES] for rule in titles}
    known = [rule for rule in titles if any(keys[rule][0] in found for found in models.values())]
    categories = [rule for rule in known if rule != PREFIX][:1]
    names = [f"without\n{cue.replace('-', ' ')}" for cue in CUES]
    panels = [
        Panel(titles[rule], dict(enumerate(keys[rule])), ticks=dict(enumerate(names)), apart=True)
        for rule in (*categories, PREFIX)
    ]
    others, humans, caption = {}, None, ""
    if categories:
        others = published(categories[0])
        humans = Humans("humans (published)", others.pop("humans (published)"))
        caption = "published: on 800 images that a ResNet-50 is sure about"
    y_label = "accuracy / accuracy on originals"
    return curves(models | others, panels, path, y_label=y_label, caption=caption, humans=humans)


def draw_curves(models, path):
    """Return the files of a figure of accuracy by strength, a panel per curve of experiment II."""
    panels = []
    for name, curve in CURVES.items():
        shown = [ORIGINAL, *map(condition_name, curve)]
        keys: dict[float, str] = {
            place: f"top1_acc/{PREFIX}/{key}" for place, key in enumerate(shown)
        }
        title = name.replace("+", "\n+ ").replace("-", " ")
        panels.append(Panel(title, keys, "strength", ticks={k: f"{k:g}" for k in keys}))
    return curves(models, panels, path, caption="strength 0: originals")


def draw_example(pictures, with_curves, path):
    """Return the files of a figure of one image without each cue, or five strengths a curve."""
    original = (ORIGINAL, ORIGINAL)
    if not with_curves:
        rows = {"without": [*map(condition_name, CUES.values())]}
        return stimulus_panel(pictures, original, rows, CUES, "cue", path)
    rows = {}
    for name, curve in CURVES.items():
        places = [round(k * (len(curve) - 1) / 4) for k in range(5)]
        label = name.replace("+", "\n+ ").replace("-", "\n")
        rows[label] = [condition_name(curve[place]) for place in places]
    return stimulus_panel(pictures, original, rows, range(1, 6), "strength, weak to strong", path)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folder = find_data("imagenet", args.imagenet)
    confident, record = confident_images(args)
    cues, strengths = (CUES | OTHER_CUES, CURVES) if args.curves else (CUES, {})
    shown = dict.fromkeys([*cues.values(), *(c for curve in strengths.values() for c in curve)])

    def stimuli(batch):
        yield ORIGINAL, batch.pixels
        yield from suppressed(batch, shown)

    score = partial(
        suppression_metrics,
        cues={cue: condition_name(condition) for cue, condition in cues.items()},
        curves={name: [*map(condition_name, curve)] for name, curve in strengths.items()},
        confident=confident,
    )
    models, classes = load_models(args)
    images = replace(imagenet_val(folder, classes, args.partial), view=SQUASHED_224[args.squash])
    decide = top5_and_category_sums(classes)
    protocol = {"conditions": [ORIGINAL, *map(condition_name, shown)]}
    suppressing = (f"{cue} {condition_name(condition)}" for cue, condition in CUES.items())
    depends = {"confident_by": record, "cues": ", ".join(suppressing)}
    runs = evaluate(NAME, models, images, stimuli, decide, score, args, protocol, depends)
    if runs:
        metrics = {run.name: run.metrics for run in runs}
        print_files(*draw_relative(metrics, args, args.results / NAME / "suppression"))
        if args.curves:
            print_files(*draw_curves(metrics, args.results / NAME / "suppression_curves"))
        pictures = example(images, stimuli, args)
        print_files(*draw_example(pictures, args.curves, args.results / NAME / "example_stimuli"))
    rules = [CONFIDENT] * bool(confident) + [OVER_HALF, PREFIX]
    print_table(
        runs,
        f"top1_acc/suppression/{ORIGINAL}",
        *(f"metric/{rule}/{cue}/relative" for rule in rules for cue in cues),
        *(f"metric/suppression/{curve}/auc" for curve in strengths),
    )
    if runs and are_imagenet(classes):
        table = pd.DataFrame.from_dict(PUBLISHED, "index", columns=[*CUES, "top1_acc/original"])
        print(f"published, on 800 images of 16 categories (relative accuracies):\n{table}")


if __name__ == "__main__":
    sys.exit(main())
