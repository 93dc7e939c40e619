"""Configural shape: whether a model recognises two images that consist of the same pieces.

    python code/eval_css.py --model resnet50.tv_in1k

Reference: Configural Shape Score 0.167 with 72 pairs, 0.231 with 1,440, for a ResNet-50 of
torchvision; 0.896 for humans (the authors' tables).
Paper: Doshi et al., "Visual anagrams reveal hidden differences in holistic shape processing across
vision models", NeurIPS 2025, arXiv 2507.00493.
Data: pairs of 256-pixel images (visual anagrams), squashed to 224 pixels, whose 16 square pieces
are the same and show another animal in each arrangement; nine animals; python code/download.py
visual-anagrams downloads both sets (https://huggingface.co/datasets/visionlab/visual-anagrams).
Decision: the largest logit among each animal's ImageNet classes, then the animal with the largest.
Writes css/<pairs> (fraction of pairs with both images right; chance 1/81), …/one-right,
…/none-right, …/foil-rate (fraction of images taken for the other animal of the pair),
…/pair-margin and …/margin/<class> (logits), top1_acc/anagrams/<pairs> (percent, also by
/class/<name>; chance 11.1), with <pairs> 72 or 1440; W&B projects "css_72" and "css_1440"; each
model's decisions.csv; figures of all models.
"""

import sys
from functools import partial

import pandas as pd

from bvg.data.css import PAIRS, members_of, visual_anagrams
from bvg.data.finding import find_data
from bvg.data.imagenet import are_imagenet, imagenet_classes
from bvg.figures.css import pairs_figure
from bvg.figures.curves import categories, curves
from bvg.files import write_text
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import largest_of
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.css import css_metrics, decisions_by_image
from bvg.stimuli.batch import unchanged

# Accuracy on single images and Configural Shape Score, by number of pairs: the authors' tables
# doshi_css_pairs72.csv and doshi_css_pairs1440.csv (https://github.com/harvard-visionlab/
# eval-anagrams, commit 75c929e). They list the same human values, of the 72 pairs, in both.
HUMANS = "humans (published)"
PUBLISHED: dict[int, dict[str, tuple[float, float]]] = {
    72: {
        "BagNet-9": (0.1944, 0.0278),
        "AlexNet": (0.3125, 0.0556),
        "ResNet-50": (0.5278, 0.1667),
        "ResNet-50, stylised ImageNet": (0.5972, 0.2778),
        "ResNet-50, SWSL": (0.7778, 0.5694),
        "ViT-B/16": (0.6458, 0.3750),
        "DINOv2 ViT-L/14": (0.8472, 0.7083),
        "SigLIP 2 ViT-L/16, zero-shot": (0.9097, 0.8194),
    },
    1440: {
        "BagNet-9": (0.2014, 0.0090),
        "AlexNet": (0.2851, 0.0493),
        "ResNet-50": (0.5497, 0.2306),
        "ResNet-50, stylised ImageNet": (0.6240, 0.3486),
        "ResNet-50, SWSL": (0.8187, 0.6542),
        "ViT-B/16": (0.6799, 0.4021),
        "DINOv2 ViT-L/14": (0.9118, 0.8285),
        "SigLIP 2 ViT-L/16, zero-shot": (0.9358, 0.8729),
    },
}
HUMAN_VALUES = (0.9479, 0.8958)


def flags(group):
    data_flag(group, "visual-anagrams")
    partial_flag(group)
    group.add_argument(
        "--pairs",
        type=int,
        choices=PAIRS,
        default=72,
        help="which of the two sets: the paper's 72 pairs, or 1,440 (default: 72)",
    )


def published(pairs):
    """Return the published fractions of pairs with both, one and no image right, by observer.

    With a score s and an accuracy a, one image is right in 2 (a - s) of the pairs.
    """
    known = {f"{name} (published)": values for name, values in PUBLISHED[pairs].items()}
    if pairs == 72:
        known[HUMANS] = HUMAN_VALUES
    return {name: (s, 2 * (a - s), 1 - 2 * a + s) for name, (a, s) in known.items()}


def draw_margins(models, pairs, names, path):
    """Return the files of a figure of the mean margin of each class, which is above 0 if right."""
    panel = categories({name: f"css/{pairs}/margin/{name}" for name in names}, apart=True)
    y_label = "margin (logits)"
    caption = "margin: distance of the label's logit from the decision boundary, mean over images"
    limits, zero = (None, None), ("decision boundary", 0)
    return curves(
        models, [panel], path, y_label=y_label, caption=caption, limits=limits, reference=zero
    )


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folder, pairs = find_data("visual-anagrams", args.visual_anagrams), args.pairs
    models, classes = load_models(args)
    classes = classes or imagenet_classes()
    images = visual_anagrams(folder, pairs, classes, args.partial)
    members = members_of(images.classes, classes)
    name = f"css_{pairs}"
    runs = evaluate(
        name,
        models,
        images,
        unchanged,
        largest_of(members),
        partial(css_metrics, pairs=pairs),
        args,
        protocol={"classes": {animal: list(indices) for animal, indices in members.items()}},
    )
    for run in runs:
        path = run.folder / "decisions.csv"
        write_text(path, decisions_by_image(run.predictions).to_csv(index=False))
        print_files(path)
    if runs:
        metrics = {run.name: run.metrics for run in runs}
        others = published(pairs) if are_imagenet(classes) else {}
        print_files(*pairs_figure(metrics, others, HUMANS, pairs, args.results / name / "css"))
        margins = args.results / name / "margins"
        print_files(*draw_margins(metrics, pairs, images.classes, margins))
    print_table(
        runs,
        f"css/{pairs}",
        f"top1_acc/anagrams/{pairs}",
        f"css/{pairs}/foil-rate",
        f"css/{pairs}/pair-margin",
    )
    if runs and are_imagenet(classes):
        known = {**PUBLISHED[pairs], "humans, 72 pairs": HUMAN_VALUES}
        table = pd.DataFrame.from_dict(known, "index", columns=["accuracy", f"css/{pairs}"])
        print(f"published:\n{table}")


if __name__ == "__main__":
    sys.exit(main())
