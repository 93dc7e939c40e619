"""Stylized-ImageNet: accuracy among 1000 classes when the texture is that of a painting.

    python code/stylize.py --images /data/imagenet/val --out /data/sin --styles /data/paintings
    python code/eval_stylized_imagenet.py --model resnet50.tv_in1k --stylized_imagenet /data/sin

Reference: 20.48 % for a ResNet-50, 55.00 % for one trained on Stylized-ImageNet, 28.27 % for a
ResNet-50 SWSL, 11.51 % for VGG-16, 7.41 % for AlexNet (imagenet-testbed).
Paper: Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
improves accuracy and robustness", ICLR 2019.
Data: a stylized copy of the 50,000 validation images, 224 pixels, used as they are. It cannot be
distributed: make it with stylize.py. Another stylizer, or other paintings, make another test set;
the manifest that stylize.py writes is part of the record.
Writes top1_acc/stylized-imagenet and top5_acc/stylized-imagenet (percent), W&B project
"stylized_imagenet". (top1_acc/stylized is of model-vs-human's 800 images and 16 categories.)
"""

import sys
from dataclasses import replace
from functools import partial

import pandas as pd

from bvg.data.finding import find_data
from bvg.data.imagenet import are_imagenet, imagenet_val
from bvg.data.preprocessing import READY_224
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_table
from bvg.scores.accuracy import top1_and_top5
from bvg.stimuli.batch import unchanged
from bvg.stylize.manifest import stylizer_of

KEY = "stylized-imagenet"

# imagenet-testbed's table, on the published stylizer's images.
PUBLISHED = {
    "ResNet-50": 20.48,
    "ResNet-50 trained on Stylized-ImageNet": 55.00,
    "ResNet-50 SWSL": 28.27,
    "VGG-16": 11.51,
    "AlexNet": 7.41,
}


def flags(group):
    data_flag(group, KEY)
    partial_flag(group)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folder = find_data("stylized-imagenet", args.stylized_imagenet)
    models, classes = load_models(args)
    images = replace(imagenet_val(folder, classes, args.partial, KEY), view=READY_224)
    stylizer = stylizer_of(images.root)
    if not stylizer:
        print(f"{images.root} has no manifest of stylize.py: its stylizer is recorded as unknown")
    protocol = {"stylizer": stylizer or "unknown"}
    score = partial(top1_and_top5, key=KEY)
    runs = evaluate("stylized_imagenet", models, images, unchanged, top5, score, args, protocol)
    print_table(runs, f"top1_acc/{KEY}", f"top5_acc/{KEY}")
    if runs and are_imagenet(classes):
        table = pd.DataFrame.from_dict(PUBLISHED, "index", columns=[f"top1_acc/{KEY}"])
        print(f"published, of the original stylizer and paintings:\n{table}")


if __name__ == "__main__":
    sys.exit(main())
