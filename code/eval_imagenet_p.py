"""ImageNet-P: how often a model's answer flips while an image changes a little at a time.

    python code/eval_imagenet_p.py --model resnet50.tv_in1k --imagenet_p /data/imagenet-p

Paper: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019.
Data: ten perturbations of 50,000 sequences of about 31 frames, <perturbation>/<wnid>/*.mp4
(https://github.com/hendrycks/robustness; reading mp4 needs: pip install 'av>=18'), or folders of
frames, <perturbation>/<wnid>/<sequence>/*.png.
Writes flip_prob/<perturbation> (in [0, 1]), top5_distance/<perturbation> and their means
…/imagenet-p, W&B project "imagenet_p"; a figure of all models of the call. With --reference, a
finished AlexNet's result, also FR/<perturbation>, T5D/<perturbation>, mFR and mT5D (percent), also
in relative.csv; for another reference, finished results are scored again, not measured.
"""

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from analysis.drawing import png_and_pdf
from analysis.stability_figure import stability_figure
from basics.errors import UserError
from evaluation.benchmark import Benchmark, Finished
from evaluation.decisions import among_all_classes
from evaluation.session import main
from images.image_set import existing_folder
from images.preprocessing import READY_224
from images.sequences import FRAMES, PERTURBATIONS, WHERE, imagenet_p
from scoring.stability import (
    RELATIVE_FILE,
    read_reference,
    reference_fingerprint,
    stability_metrics,
    write_relative,
)
from stimuli.batch import unchanged


def arguments(group):
    """Add the flags that say where ImageNet-P is and what of it is measured."""
    group.add_argument("--imagenet_p", metavar="DIR", help="its folder (else $BVG_IMAGENET_P)")
    group.add_argument("--perturbations", nargs="+", metavar="NAME", help="instead of the ten")
    group.add_argument("--partial", action="store_true", help="allow a subset of the sequences")
    group.add_argument("--reference", metavar="RESULT", help="a result of torchvision:alexnet "
                       "(folder or summary.json), or a CSV of perturbation,flip_prob,"
                       "top5_distance")  # fmt: skip


def configure(benchmark: Benchmark, args) -> list[Benchmark]:
    """Return the benchmark, with metrics relative to the reference if there is one."""
    reference = read_reference(Path(args.reference)) if args.reference else None
    score = partial(stability_metrics, reference=reference, name=args.reference)
    scored_with = {"reference": reference_fingerprint(reference)}
    return [replace(benchmark, score=score, scored_with=scored_with)]


def locate(args) -> Path:
    """Return the folder of the sequences."""
    given = args.imagenet_p or os.environ.get("BVG_IMAGENET_P")
    if not given:
        raise UserError(f"give its folder with --imagenet_p (or BVG_IMAGENET_P); {WHERE}")
    return existing_folder(given, "the ImageNet-P folder", "--imagenet_p")


def files(finished: list[Finished], args, example) -> list[Path]:
    """Draw all models of the call, and write what is relative to the reference."""
    figure = png_and_pdf(args.results / IMAGENET_P.name, "stability")
    stability_figure({model.name: model.metrics for model in finished}, figure)
    tables = []
    for model in finished:
        if args.reference:
            tables.append(write_relative(model.metrics, model.folder, args.reference))
        else:  # there may be one of an earlier call
            (model.folder / RELATIVE_FILE).unlink(missing_ok=True)
    return figure + tables


IMAGENET_P = Benchmark(
    name="imagenet_p", arguments=arguments, locate=locate,
    images=lambda folder, classes, args: imagenet_p(
        folder, classes, args.perturbations, args.partial),
    stimuli=unchanged, decision=among_all_classes, score=stability_metrics,
    headline=(*(f"flip_prob/{name}" for name in PERTURBATIONS),
              "flip_prob/imagenet-p", "top5_distance/imagenet-p", "mFR", "mT5D"),
    preprocessing=READY_224, files=files, frames=FRAMES, configure=configure,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(IMAGENET_P, __doc__))
