"""Spectral bias: accuracy when only low or only high spatial frequencies remain.

    python code/eval_spectral.py --model resnet50.tv_in1k --imagenet /data/imagenet

Reference: LPP 0.633, HPP 0.007, spectral bias 0.011 for tv_resnet50 (the study's table).
Paper: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed).
Stimuli: low-pass and high-pass filtered at 11 cutoffs each, and unfiltered, all in one pass.
Writes top1_acc/clean, top1_acc/lowpass/<cutoff>, top1_acc/highpass/<cutoff> (percent);
metric/bandpass/LFC/<cutoff> and …/HFC/<cutoff> (accuracy / clean accuracy), …/LPP and …/HPP (their
means at 0.1 to 0.5), …/spectral-bias (HPP / (LPP + HPP)); W&B project "imagenet_spectral"; figures
of all models, and of one image under all conditions.
"""

import sys

from bvg.data.finding import find_data
from bvg.data.imagenet import imagenet_val
from bvg.figures.curves import Panel, curves
from bvg.figures.drawing import labelled
from bvg.figures.stimulus_panel import stimulus_panel
from bvg.run.command_line import imagenet_flags, parse_args, script
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.accuracy import condition_accuracies, top1_by_condition
from bvg.scores.spectral import spectral_metrics
from bvg.stimuli.spectral import bandpass

# Gavrikov & Keuper 2024: fractions of the frequency range that are kept.
CUTOFFS = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
MEAN_CUTOFFS = (0.1, 0.2, 0.3, 0.4, 0.5)  # LPP and HPP average over these


def stimuli(batch):
    yield "clean", batch.pixels
    yield from bandpass(batch.pixels, CUTOFFS)


def score(predictions):
    conditions, correct = top1_by_condition(predictions)
    accuracies = condition_accuracies(conditions, correct)
    return accuracies | spectral_metrics(conditions, correct, MEAN_CUTOFFS)


def figures(runs, args, images):
    """Draw accuracy by cutoff, a line per model, and one image under all conditions."""
    folder = args.results / "imagenet_spectral"
    unit = "cutoff: share of the frequency range that is kept"
    panels = [
        Panel(
            f"{band}-pass: the {band}est frequencies are kept",
            {cutoff: f"top1_acc/{band}pass/{cutoff}" for cutoff in CUTOFFS},
            unit,
            ticks={cutoff: str(cutoff) for cutoff in CUTOFFS},
            shaded=[(MEAN_CUTOFFS[0], MEAN_CUTOFFS[-1])],
            across="top1_acc/clean",
        )
        for band in ("low", "high")
    ]
    bias = "metric/bandpass/spectral-bias"
    models = {labelled(run.name, run.metrics.get(bias), 3): run.metrics for run in runs}
    caption = "in brackets: spectral bias, from the shaded cutoffs; dashed: unfiltered images"
    print_files(*curves(models, panels, folder / "spectral", caption=caption))
    rows = {f"{band}-pass": [f"{band}pass/{c}" for c in CUTOFFS] for band in ("low", "high")}
    pictures, original = example(images, stimuli, args), ("clean", "unfiltered")
    panel = folder / "example_stimuli"
    print_files(*stimulus_panel(pictures, original, rows, CUTOFFS, unit, panel))


@script
def main(argv=None):
    args = parse_args(__doc__, argv, imagenet_flags)
    folder = find_data("imagenet", args.imagenet)
    models, classes = load_models(args)
    images = imagenet_val(folder, classes, args.partial)
    runs = evaluate(
        "imagenet_spectral",
        models,
        images,
        stimuli,
        top5,
        score,
        args,
        protocol={"cutoffs": list(CUTOFFS)},
        scored_with={"mean_cutoffs": " ".join(map(str, MEAN_CUTOFFS))},
    )
    if runs:
        figures(runs, args, images)
    print_table(
        runs,
        "top1_acc/clean",
        "metric/bandpass/LPP",
        "metric/bandpass/HPP",
        "metric/bandpass/spectral-bias",
    )


if __name__ == "__main__":
    sys.exit(main())
