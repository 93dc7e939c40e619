"""ImageNet-C: accuracy under 19 corruptions at 5 severities, from the published files or generated.

    python code/eval_imagenet_c.py --model resnet50.tv_in1k --imagenet_c /data/imagenet-c
    python code/eval_imagenet_c.py --model resnet50.tv_in1k --generate --imagenet /data/imagenet

Paper: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019.
Data: the published 224-pixel JPEGs (https://zenodo.org/records/2235448, 75 GB), used as they are;
or, with --generate, ImageNet's validation images, which are decoded once and corrupted on the
device. The result is then another one (imagenet_c_generated), with clean accuracy besides.
Writes top1_acc/<corruption>_<severity>, top1_acc/<corruption>, top1_acc/imagenet-c (of all 19 × 5;
undefined when fewer were measured), …/15 (the standard corruptions), …/noise and so on (groups),
…/measured (of some), in percent; mCE, mCE/<corruption> and relative-mCE, in percent of AlexNet's
errors; W&B project "imagenet_c" or "imagenet_c_generated"; figures of all models of the call.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from analysis.corruption_figure import corruption_figures
from analysis.drawing import png_and_pdf
from analysis.stimulus_panel import corruption_layout, stimulus_panel
from evaluation import corruption_flags as flags
from evaluation.benchmark import Benchmark, Finished
from evaluation.corruption_flags import IMAGENET_C
from evaluation.decisions import among_all_classes
from evaluation.imagenet_flags import imagenet_folder, imagenet_images
from evaluation.session import main
from images.preprocessing import READY_224, STUDY
from scoring.corruptions import corruption_metrics
from stimuli.batch import unchanged


def arguments(group) -> None:
    """Add the flags of published files and of generated images."""
    flags.corruption_arguments(group, IMAGENET_C)
    flags.generate_arguments(group)


def configure(benchmark: Benchmark, args) -> tuple[Benchmark]:
    """Return the benchmark on the published files or on generated images."""
    stimuli, protocol = flags.generated(args)
    if not stimuli:
        return flags.of_files(benchmark, args, IMAGENET_C)
    changed = replace(
        benchmark, name=f"{benchmark.name}_generated", locate=imagenet_folder,
        images=imagenet_images, stimuli=stimuli, preprocessing=STUDY, protocol=protocol,
        headline=("top1_acc/clean", *flags.headline(benchmark, args, IMAGENET_C)),
    )  # fmt: skip
    return (changed,)


def files(finished: list[Finished], args, example) -> list[Path]:
    """Draw the accuracies of all models, and one image under all conditions that are generated."""
    folder = finished[0].folder.parent
    figures = corruption_figures({m.name: m.metrics for m in finished}, IMAGENET_C, folder)
    panel = png_and_pdf(folder, "example_stimuli") if args.generate else []
    if panel:
        stimulus_panel(example(), corruption_layout(*flags.chosen(args, IMAGENET_C)), panel)
    return figures + panel


CORRUPTED = Benchmark(
    name="imagenet_c", arguments=arguments,
    locate=partial(flags.corruption_folder, data=IMAGENET_C),
    images=partial(flags.corruption_images, data=IMAGENET_C), stimuli=unchanged,
    decision=among_all_classes, score=partial(corruption_metrics, data=IMAGENET_C),
    headline=(
        "top1_acc/imagenet-c", "top1_acc/imagenet-c/measured",
        *(f"top1_acc/imagenet-c/{subset}" for subset in IMAGENET_C.subsets), "mCE",
    ),
    preprocessing=READY_224, files=files, configure=configure,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(CORRUPTED, __doc__))
