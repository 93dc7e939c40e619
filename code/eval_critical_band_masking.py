"""Critical-band masking: which octave of noise hides objects, on the stimuli that humans saw.

    python code/eval_critical_band_masking.py --model resnet50.tv_in1k

Reference: bandwidth 1.00 octave, centre 39.60 cycles/image, peak sensitivity 1.00 for humans; 3.99,
39.4 and 0.71 for the paper's ResNet-50 (fitted to its published trials).
Paper: Subramanian et al., "Spatial-frequency channels, shape bias, and adversarial robustness",
NeurIPS 2023.
Data: 1,050 grey images of low contrast in 16 categories, each under noise of one of 7 octaves at
one of 4 strengths, or none, <split>/<n>_cbm_noise<SD>_freq<octave>_gray_g_<category>.JPEG; python
code/download.py critical-band-masking downloads them.
The decision is among the 16 categories; a threshold is the strongest noise of an octave under which
more than half of the images are right; the channel is a Gaussian through the thresholds.
Writes top1_acc/critical-band/f=<octave>/sd=<SD> (percent; f=0/sd=0 is without noise);
critical-band/bandwidth (octaves), …/centre (cycles/image), …/peak-sensitivity, and …/r2 and
…/degenerate of their fit; W&B project "critical_band_masking"; a figure of all models and humans.
The channels of the paper's networks: python code/score_predictions.py --trials DIR.
On ImageNet's validation images, with noise drawn here: eval_criticalband.py.
"""

import sys

import numpy as np

from bvg.data.critical_band_masking import (
    BANDS,
    CONDITIONS,
    DEVIATIONS,
    OTHER_DRAW,
    critical_band_masking,
)
from bvg.data.finding import find_data
from bvg.figures.criticalband import ChannelPicture, critical_band_figure
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import categories_of, sixteen_way
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.critical_band_masking import (
    BANDWIDTH,
    CENTRE,
    HUMANS,
    SENSITIVITY,
    channel_of,
    human_channel,
    masking_metrics,
    trials_of,
)
from bvg.scores.criticalband import accuracy_matrix
from bvg.stimuli.batch import unchanged


def flags(group):
    data_flag(group, "critical-band-masking")
    partial_flag(group)


def picture(predictions):
    """Return what the figure shows of a model: its accuracies, and the channel as published."""
    trials = trials_of(predictions)
    accuracy = {
        name: 100 * trials[name].mean() if name in trials else np.nan for name in CONDITIONS
    }
    channel = channel_of(trials) if len(trials) == len(CONDITIONS) else None
    return ChannelPicture(accuracy_matrix(accuracy), channel, BANDS, DEVIATIONS)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folder = find_data("critical-band-masking", args.critical_band_masking)
    models, classes = load_models(args)
    categories = categories_of(classes) if classes else None
    images = critical_band_masking(folder, categories, args.partial)
    if OTHER_DRAW in images.notes:
        print(f"these are not the stimuli of the paper: {images.notes[OTHER_DRAW]}")
    decide = sixteen_way(classes) if models else None
    runs = evaluate(
        "critical_band_masking", models, images, unchanged, decide, masking_metrics, args
    )
    if runs:
        pictures = {run.name: picture(run.predictions) for run in runs}
        path = args.results / "critical_band_masking" / "critical_band"
        print_files(*critical_band_figure(pictures, path, human_channel()))
    print_table(
        runs,
        f"top1_acc/{CONDITIONS[0].replace('criticalband', 'critical-band')}",
        BANDWIDTH,
        CENTRE,
        SENSITIVITY,
    )
    if runs:
        print(HUMANS)


if __name__ == "__main__":
    sys.exit(main())
