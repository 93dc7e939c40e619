"""ImageNet-ReaL: validation accuracy by reassessed labels, of which an image may have several.

    python code/eval_imagenet_real.py --model resnet50.tv_in1k --imagenet /data/imagenet

Paper: Beyer et al., "Are we done with ImageNet?", 2020.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed),
with the archive's file names; and real.json (https://github.com/google-research/
reassessed-imagenet): --real, else $BVG_REAL, else what python code/download.py imagenet-real has
put into the cache, else the copy that comes with timm.
An answer is right if it is one of the image's labels; 3,163 images without any are left out.
Writes top1_acc/imagenet-real and, on the same images, top1_acc/imagenet-real/original-label
(percent), W&B project "imagenet_real".
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from basics.errors import UserError
from basics.fetch import cache_folder
from basics.files import sha256_of
from evaluation.benchmark import Benchmark
from evaluation.decisions import among_all_classes
from evaluation.imagenet_flags import imagenet_arguments, imagenet_folder, imagenet_images
from evaluation.session import main
from images.image_set import ImageSet
from images.real_labels import WHERE, packaged_real, read_real, with_real_labels
from scoring.real import real_accuracy
from stimuli.batch import unchanged


def arguments(group):
    """Add the flags that say where ImageNet and the labels are."""
    imagenet_arguments(group)
    group.add_argument("--real", metavar="FILE", help="real.json (else $BVG_REAL, else timm's)")


def real_file(args) -> Path:
    """Return the file of labels; raises UserError when it is given but not there, or nowhere."""
    given = args.real or os.environ.get("BVG_REAL")
    if given:
        return Path(given).expanduser()
    data = cache_folder() / "data"
    cached = [data / name for name in ("imagenet-real/real.json", "real.json")]
    found = next(filter(Path.is_file, cached), None) or packaged_real()
    if not found:
        raise UserError(
            "give the ReaL labels with --real (or BVG_REAL), or download them: "
            f"python code/download.py imagenet-real; they are real.json of {WHERE}"
        )
    return found


def configure(real: Benchmark, args) -> list[Benchmark]:
    """Return the benchmark with the labels that the arguments name."""
    table = read_real(real_file(args))

    def images(folder: Path, classes: tuple[str, ...], args) -> ImageSet:
        return with_real_labels(imagenet_images(folder, classes, args), table)

    return [replace(real, images=images, protocol={"real_sha256": sha256_of(real_file(args))})]


REAL = Benchmark(
    name="imagenet_real", arguments=arguments, locate=imagenet_folder, images=imagenet_images,
    stimuli=unchanged, decision=among_all_classes, score=real_accuracy, configure=configure,
    headline=("top1_acc/imagenet-real", "top1_acc/imagenet-real/original-label"),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(REAL, __doc__))
