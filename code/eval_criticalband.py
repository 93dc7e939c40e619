"""Critical band: which octave of noise hides objects from a model.

    python code/eval_criticalband.py --model resnet50.tv_in1k --imagenet /data/imagenet

Paper: Subramanian et al., "Spatial-frequency channels, shape bias, and adversarial robustness",
NeurIPS 2023, in the form of Gavrikov & Keuper, CVPR 2024.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed).
Stimuli: grey images of low contrast, without noise and under noise of 7 octaves × 4 strengths.
Writes top1_acc/criticalband/f=<octave>/sd=<SD> (percent); metric/criticalband/bw (octaves), …/cf
(cycles/image), …/pns, their fit's …/r2 and …/degenerate, for thresholds at 50 % and (_norm) at half
of the accuracy without noise, as published and (_interpolated) between the strengths; the same as
criticalband16 among 16 categories, of the images that belong to one; W&B project
"imagenet_criticalband"; figures of all models and of one image under all conditions.
"""

import sys
from pathlib import Path

from analysis.critical_band import channel_metrics
from analysis.critical_band_figure import channel_picture, critical_band_figure
from analysis.drawing import png_and_pdf
from analysis.stimulus_panel import critical_band_layout, stimulus_panel
from evaluation.benchmark import Benchmark, Finished
from evaluation.decisions import among_all_and_categories
from evaluation.imagenet_flags import imagenet_arguments, imagenet_folder, imagenet_images
from evaluation.session import main
from images.imagenet import are_imagenet
from predictions.table import Predictions
from scoring.conditions import category_correct, condition_accuracies, top1_by_condition
from scoring.metric import Metric
from stimuli.critical_band import BANDS, DEVIATIONS, WITHOUT_NOISE, critical_band


def score(predictions: Predictions) -> dict[str, Metric]:
    """Return accuracies and channel parameters, among all classes and among 16 categories."""
    names, correct = top1_by_condition(predictions)
    metrics = condition_accuracies(names, correct)
    metrics |= channel_metrics(names, correct, chance=1 / len(predictions.classes))
    if are_imagenet(predictions.classes) and len(right := category_correct(predictions)):
        renamed = tuple(name.replace("criticalband", "criticalband16") for name in names)
        metrics |= condition_accuracies(renamed, right)
        metrics |= channel_metrics(names, right, "metric/criticalband16", chance=1 / 16)
    return metrics


def files(finished: list[Finished], args, example) -> list[Path]:
    """Draw the channels of all models of the call, and one image under all conditions."""
    folder = args.results / CRITICAL_BAND.name
    maps, panel = png_and_pdf(folder, "critical_band"), png_and_pdf(folder, "example_stimuli")
    chance = 1 / len(finished[0].predictions.classes)
    answers = {model.name: top1_by_condition(model.predictions) for model in finished}
    pictures = {name: channel_picture(*answer, chance) for name, answer in answers.items()}
    critical_band_figure(pictures, maps)
    stimulus_panel(example(), critical_band_layout(), panel)
    return maps + panel


CRITICAL_BAND = Benchmark(
    name="imagenet_criticalband",
    arguments=imagenet_arguments,
    locate=imagenet_folder,
    images=imagenet_images,
    stimuli=critical_band,
    decision=among_all_and_categories,
    decision_columns=("category",),
    score=score,
    headline=(
        f"top1_acc/{WITHOUT_NOISE}",
        *(f"metric/criticalband/{parameter}_norm" for parameter in ("bw", "cf", "pns", "r2")),
    ),
    protocol={"bands": list(BANDS), "deviations": list(DEVIATIONS), "noise": "one field per image"},
    files=files,
)

if __name__ == "__main__":
    sys.exit(main(CRITICAL_BAND, __doc__))
