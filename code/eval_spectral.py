"""Spectral bias: accuracy when only low or only high spatial frequencies remain.

    python code/eval_spectral.py --model resnet50.tv_in1k --imagenet /data/imagenet

Paper: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed).
Stimuli: low-pass and high-pass filtered at 11 cutoffs each, and unfiltered, all in one pass.
Writes top1_acc/clean, top1_acc/lowpass/<cutoff>, top1_acc/highpass/<cutoff> (percent);
metric/bandpass/LFC/<cutoff> and …/HFC/<cutoff> (accuracy / clean accuracy), …/LPP and …/HPP (their
means at 0.1 to 0.5), …/spectral-bias (HPP / (LPP + HPP)); W&B project "imagenet_spectral"; figures
of all models of the call and of one image under all conditions.
"""

import sys
from pathlib import Path

from analysis.drawing import png_and_pdf
from analysis.spectral import spectral_metrics
from analysis.spectral_figure import spectral_figure
from analysis.stimulus_panel import spectral_layout, stimulus_panel
from evaluation.benchmark import Benchmark, Finished
from evaluation.decisions import among_all_classes
from evaluation.imagenet_flags import imagenet_arguments, imagenet_folder, imagenet_images
from evaluation.session import main
from predictions.table import Predictions
from scoring.conditions import condition_accuracies, top1_by_condition
from scoring.metric import Metric
from stimuli.spectral import CUTOFFS, spectral


def score(predictions: Predictions) -> dict[str, Metric]:
    """Return the accuracy under each condition and what follows from them."""
    conditions, correct = top1_by_condition(predictions)
    return condition_accuracies(conditions, correct) | spectral_metrics(conditions, correct)


def files(finished: list[Finished], args, example) -> list[Path]:
    """Draw the accuracies of all models of the call, and one image under all conditions."""
    folder = args.results / SPECTRAL.name
    curves, panel = png_and_pdf(folder, "spectral"), png_and_pdf(folder, "example_stimuli")
    spectral_figure({model.name: model.metrics for model in finished}, curves)
    stimulus_panel(example(), spectral_layout(), panel)
    return curves + panel


SPECTRAL = Benchmark(
    name="imagenet_spectral",
    arguments=imagenet_arguments,
    locate=imagenet_folder,
    images=imagenet_images,
    stimuli=spectral,
    decision=among_all_classes,
    score=score,
    headline=(
        "top1_acc/clean",
        "metric/bandpass/LPP",
        "metric/bandpass/HPP",
        "metric/bandpass/spectral-bias",
    ),
    protocol={"cutoffs": list(CUTOFFS)},
    files=files,
)

if __name__ == "__main__":
    sys.exit(main(SPECTRAL, __doc__))
