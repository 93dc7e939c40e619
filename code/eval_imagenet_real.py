"""ImageNet-ReaL: validation accuracy by reassessed labels, of which an image may have several.

    python code/eval_imagenet_real.py --model resnet50.tv_in1k --imagenet /data/imagenet

Reference: timm's table has 82.96 % for tv_resnet50 and 85.71 % for resnet50.a1_in1k (its
results-imagenet-real.csv); the study's published column is of the last 326 images only.
Paper: Beyer et al., "Are we done with ImageNet?", 2020.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
with the archive's file names; and real.json (https://github.com/google-research/
reassessed-imagenet): --real, else $BVG_REAL, else the file that python code/download.py
imagenet-real downloaded, else the copy that comes with timm.
A prediction is right if it is one of the image's labels; the 3,163 images without labels are
excluded.
Writes top1_acc/imagenet-real and, on the same images, top1_acc/imagenet-real/original-label
(percent), W&B project "imagenet_real".
"""

import sys

from bvg.data.finding import find_data
from bvg.data.imagenet import imagenet_val
from bvg.data.imagenet_real import read_real, real_file, with_real_labels
from bvg.files import sha256_of
from bvg.run.command_line import imagenet_flags, parse_args, script
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_table
from bvg.scores.imagenet_real import real_accuracy
from bvg.stimuli.batch import unchanged


def real_flag(group):
    group.add_argument(
        "--real",
        metavar="FILE",
        help="ReaL labels, real.json (default: $BVG_REAL, else the downloaded file, else timm's)",
    )


@script
def main(argv=None):
    args = parse_args(__doc__, argv, imagenet_flags, real_flag)
    labels = real_file(args.real)
    table = read_real(labels)
    folder = find_data("imagenet", args.imagenet)
    models, classes = load_models(args)
    images = with_real_labels(imagenet_val(folder, classes, args.partial), table)
    protocol = {"real_sha256": sha256_of(labels)}
    runs = evaluate("imagenet_real", models, images, unchanged, top5, real_accuracy, args, protocol)
    print_table(runs, "top1_acc/imagenet-real", "top1_acc/imagenet-real/original-label")


if __name__ == "__main__":
    sys.exit(main())
