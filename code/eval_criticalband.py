"""Critical band: which octave of noise hides objects from a model.

    python code/eval_criticalband.py --model resnet50.tv_in1k --imagenet /data/imagenet

Reference: bw_norm 5.67 octaves, cf_norm 54.7 cycles/image, pns_norm 1.00 for tv_resnet50 (the
study's table).
Paper: Subramanian et al., "Spatial-frequency channels, shape bias, and adversarial robustness",
NeurIPS 2023, in the form of Gavrikov & Keuper, CVPR 2024.
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed).
Stimuli: grey images of low contrast, without noise and under noise of 7 octaves × 4 strengths.
Writes top1_acc/criticalband/f=<octave>/sd=<SD> (percent); metric/criticalband/bw (octaves), …/cf
(cycles/image), …/pns, and …/r2 and …/degenerate of their fit, for thresholds at 50 % and (_norm) at
half the accuracy without noise, as published and (_interpolated) between the strengths; the same
among 16 categories (criticalband16), for the images that belong to one; W&B project
"imagenet_criticalband"; figures of all models, and of one image under all conditions.
The published stimuli, with which humans were tested: eval_critical_band_masking.py. Their channel
is drawn and printed for comparison; it is of 16 categories, and of thresholds at 50 %.
"""

import sys

from bvg.data.finding import find_data
from bvg.data.imagenet import are_imagenet, imagenet_val
from bvg.figures.criticalband import channel_picture, critical_band_figure
from bvg.figures.stimulus_panel import stimulus_panel
from bvg.run.command_line import imagenet_flags, parse_args, script
from bvg.run.decisions import top5_and_category
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.accuracy import category_correct, condition_accuracies, top1_by_condition
from bvg.scores.channel import LOWEST_CENTRE
from bvg.scores.critical_band_masking import HUMANS, human_channel
from bvg.scores.criticalband import channel_metrics
from bvg.stimuli.criticalband import WITHOUT_NOISE, condition_name, critical_band

# Subramanian et al. 2023: octaves, band f being centred at 1.75 * 2**f cycles per image; the
# standard deviations of the noise, each twice the one before, on images whose greys span 0.2.
BANDS = (0, 1, 2, 3, 4, 5, 6)
DEVIATIONS = (0.02, 0.04, 0.08, 0.16)


def stimuli(batch):
    return critical_band(batch, BANDS, DEVIATIONS)


def score(predictions):
    """Return accuracies and channel parameters, among all classes and among 16 categories."""
    names, correct = top1_by_condition(predictions)
    metrics = condition_accuracies(names, correct)
    metrics |= channel_metrics(names, correct, chance=1 / len(predictions.classes))
    if are_imagenet(predictions.classes) and len(right := category_correct(predictions)):
        renamed = tuple(name.replace("criticalband", "criticalband16") for name in names)
        metrics |= condition_accuracies(renamed, right)
        metrics |= channel_metrics(names, right, "metric/criticalband16", chance=1 / 16)
    return metrics


def figures(runs, args, images):
    """Draw the channels of all models evaluated, and one image under all conditions."""
    folder = args.results / "imagenet_criticalband"
    channels = {}
    for run in runs:
        predictions = run.predictions
        chance = 1 / len(predictions.classes)
        channels[run.name] = channel_picture(*top1_by_condition(predictions), chance)
    print_files(*critical_band_figure(channels, folder / "critical_band", human_channel()))
    rows = {f"SD {sd}": [condition_name(f, sd) for f in BANDS] for sd in DEVIATIONS}
    centres = [f"{LOWEST_CENTRE * 2.0**f:g}" for f in BANDS]
    unit = "centre frequency of the noise (cycles/image)"
    pictures, original = example(images, stimuli, args), (WITHOUT_NOISE, "no noise")
    panel = folder / "example_stimuli"
    print_files(*stimulus_panel(pictures, original, rows, centres, unit, panel))


@script
def main(argv=None):
    args = parse_args(__doc__, argv, imagenet_flags)
    folder = find_data("imagenet", args.imagenet)
    models, classes = load_models(args)
    images = imagenet_val(folder, classes, args.partial)
    decide = top5_and_category(classes)
    protocol = {
        "bands": list(BANDS),
        "deviations": list(DEVIATIONS),
        "noise": "one field per image",
    }
    runs = evaluate("imagenet_criticalband", models, images, stimuli, decide, score, args, protocol)
    if runs:
        figures(runs, args, images)
    print_table(
        runs,
        f"top1_acc/{WITHOUT_NOISE}",
        *(f"metric/criticalband/{name}_norm" for name in ("bw", "cf", "pns", "r2")),
    )
    if runs:
        print(HUMANS)


if __name__ == "__main__":
    sys.exit(main())
