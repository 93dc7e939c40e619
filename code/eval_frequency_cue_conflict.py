"""Frequency cue conflict: whether a model decides by the low or by the high spatial frequencies.

    python code/eval_frequency_cue_conflict.py --model resnet50.tv_in1k

Reference: none; the paper's values are not in the sources that we have.
Paper: Gavrikov et al., "Can We Talk Models Into Seeing the World Differently?", ICLR 2025, arXiv
2403.09193.
Data: <low><n>-<high><m>.JPEG, images with the low frequencies of one of 16 categories and the high
frequencies of another; python code/download.py frequency-cue-conflict downloads them
(https://huggingface.co/datasets/paulgavrikov/frequency-cue-conflict).
The decision and the score are those of shape bias (eval_shape_bias.py), with low frequencies in
place of shape, and high ones in place of texture; the values are never mixed with shape bias, nor
with the accuracy on filtered images (eval_spectral.py).
Writes frequency-cue-conflict/low-frequency-bias (low / (low + high) decisions; also by
/category/<low>; /max by the category of the top-1 class), frequency-cue-conflict/fraction-low,
…/fraction-high, …/fraction-neither (in [0, 1]; with /max as well), W&B project
"frequency_cue_conflict"; decision tables in the published format, of <model> and, by the top-1
class, <model>-max-rule; a figure of all models.
"""

import sys

from bvg.data.categories import CATEGORIES
from bvg.data.finding import find_data
from bvg.data.frequency_cue_conflict import CUES, frequency_cue_conflict
from bvg.figures.shape_bias import shape_bias_figure
from bvg.run.command_line import data_flag, parse_args, partial_flag, script
from bvg.run.decisions import categories_of, sixteen_way
from bvg.run.evaluate import evaluate, load_models
from bvg.run.runs import print_files, print_table
from bvg.scores.decision_table import decision_table, write_decisions
from bvg.scores.frequency_cue_conflict import BIAS, PREFIX, frequency_cue_conflict_metrics
from bvg.scores.max_rule import by_rule
from bvg.stimuli.batch import unchanged

NAME = "frequency_cue_conflict"


def flags(group):
    data_flag(group, "frequency-cue-conflict")
    partial_flag(group)


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    folder = find_data("frequency-cue-conflict", args.frequency_cue_conflict)
    models, classes = load_models(args)
    categories = categories_of(classes) if classes else CATEGORIES
    images = frequency_cue_conflict(folder, categories, args.partial)
    decide = sixteen_way(classes) if models else None
    runs = evaluate(NAME, models, images, unchanged, decide, frequency_cue_conflict_metrics, args)
    if runs:
        tables = {run.name: decision_table(run.predictions, run.name, "fcc") for run in runs}
        for run in runs:
            both = by_rule(run.predictions, run.name)
            made = [(PREFIX, decision_table(own, name, "fcc")) for name, own in both.items()]
            print_files(*write_decisions(made, run.folder))
        path = args.results / NAME / "low_frequency_bias"
        print_files(*shape_bias_figure(tables, path, names=CUES))
    print_table(runs, BIAS, *(f"{PREFIX}/fraction-{name}" for name in ("low", "high", "neither")))


if __name__ == "__main__":
    sys.exit(main())
