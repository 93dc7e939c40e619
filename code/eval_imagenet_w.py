"""ImageNet-W: how much a model relies on a watermark that goes with one class.

    python code/eval_imagenet_w.py --model resnet50.tv_in1k --imagenet /data/imagenet

Reference: IN-W gap -25.40 points, carton gap +30 points, for a ResNet-50 (the repository's table).
Paper: Li et al., "A Whac-A-Mole Dilemma: Shortcuts Come in Multiples Where Mitigating One Amplifies
Others", CVPR 2023. Many images of cartons in ImageNet carry a Chinese watermark.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
and the font Source Han Serif SC ExtraLight, from the package imagenet-w (pip install --no-deps
imagenet-w; only its font is read) or --font FILE.
Stimuli: the crops as they are, and with the text 捷径捷径捷径 ("shortcut", three times) in half
transparent white over them, in one pass.
Writes top1_acc/clean and top1_acc/imagenet-w (percent); imagenet-w/gap, imagenet-w/carton-gap (the
change of accuracy, of all images and of the 50 cartons) and imagenet-w/delta-p-carton (the change
of the class's probability), in percentage points; W&B project "imagenet_w"; figures of all models,
and of one image.
"""

import sys

import pandas as pd

from bvg.data.finding import find_data
from bvg.data.imagenet import are_imagenet, imagenet_val
from bvg.figures.curves import categories, curves
from bvg.figures.stimulus_panel import stimulus_panel
from bvg.run.command_line import imagenet_flags, parse_args, script
from bvg.run.decisions import top5, top5_and_probability
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.imagenet_w import (
    CARTON,
    CARTON_GAP,
    CARTON_WNID,
    DELTA,
    GAP,
    WATERMARK,
    imagenet_w_metrics,
)
from bvg.scores.metric import Metric
from bvg.stimuli.batch import CLEAN
from bvg.stimuli.imagenet_w import (
    FONT,
    fingerprint,
    font_file,
    font_size,
    text_layer,
    under_white,
)

# The package imagenet-w 1.0.0.
TEXT = "捷径捷径捷径"
ALPHA = 128  # of 255
POSITION = (0.01, 0.4)  # of the text's left and upper end, as parts of the image
FONT_SIZES = {224: 36, 384: 62, 512: 82, 518: 84}  # pixels, by the image's side
SIDE_PER_FONT_SIZE = 6.22  # of images of another side
PUBLISHED_FONT = "9f560532"  # how its SHA-256 begins

# The repository's table: a ResNet-50 as trained usually (ERM), and with the paper's last layer
# ensemble (LLE), in percentage points.
PUBLISHED = {"ResNet-50": (-25.40, 30), "ResNet-50 with LLE": (-6.18, 10)}


def flags(group):
    imagenet_flags(group)
    group.add_argument(
        "--font",
        metavar="FILE",
        help=f"the font of the watermark, {FONT} (default: that of the package imagenet-w)",
    )


def draw(models, classes, path):
    """Return the files of a figure of what the watermark changes, with the published values."""
    others = {}
    if are_imagenet(classes):
        others = {
            f"{name}, published": dict(zip((GAP, CARTON_GAP), map(Metric, values), strict=True))
            for name, values in PUBLISHED.items()
        }
    keys = {"accuracy": GAP}
    if CARTON_WNID in classes:
        keys |= {"accuracy on cartons": CARTON_GAP, "probability of carton": DELTA}
    return curves(
        models | others,
        [categories(keys, "with the watermark − without", apart=True)],
        path,
        y_label="change (percentage points)",
        limits=(None, None),
        reference=("no change", 0.0),
    )


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    font = font_file(args.font)
    if not fingerprint(font).startswith(PUBLISHED_FONT):
        print(f"{font} is not the published {FONT}: results are not comparable with published ones")

    def stimuli(batch):
        side = batch.pixels.shape[-1]
        size = font_size(side, FONT_SIZES, SIDE_PER_FONT_SIZE)
        layer = text_layer(side, TEXT, font, size, POSITION, ALPHA)
        yield CLEAN, batch.pixels
        yield WATERMARK, under_white(batch.pixels, layer)

    folder = find_data("imagenet", args.imagenet)
    models, classes = load_models(args)
    images = imagenet_val(folder, classes, args.partial)
    decide = top5
    if CARTON_WNID in classes:
        decide = top5_and_probability(CARTON, classes.index(CARTON_WNID))
    protocol = {
        "text": TEXT,
        "alpha": ALPHA,
        "position": list(POSITION),
        "font_sizes": {str(side): size for side, size in FONT_SIZES.items()},
        "side_per_font_size": SIDE_PER_FONT_SIZE,
        "font": fingerprint(font),
    }
    runs = evaluate(
        "imagenet_w", models, images, stimuli, decide, imagenet_w_metrics, args, protocol
    )
    if runs:
        folder = args.results / "imagenet_w"
        metrics = {run.name: run.metrics for run in runs}
        print_files(*draw(metrics, classes, folder / "watermark"))
        pictures, original = example(images, stimuli, args), (CLEAN, "clean")
        panel = folder / "example_stimuli"
        print_files(
            *stimulus_panel(pictures, original, {"": [WATERMARK]}, ["watermark"], "", panel)
        )
    print_table(runs, f"top1_acc/{CLEAN}", f"top1_acc/{WATERMARK}", GAP, CARTON_GAP, DELTA)
    if runs and are_imagenet(classes):
        table = pd.DataFrame.from_dict(PUBLISHED, "index", columns=[GAP, CARTON_GAP])
        print(f"published:\n{table}")


if __name__ == "__main__":
    sys.exit(main())
