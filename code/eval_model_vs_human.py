r"""Out-of-distribution accuracy, shape bias and likeness to humans on model-vs-human's data sets.

    python code/eval_model_vs_human.py --model resnet50.tv_in1k --stimuli DIR --humans DIR

Paper: Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021; 16 entry-level categories, decision by mean probability.
Data: --stimuli, $BVG_MODEL_VS_HUMAN, or downloaded by `python code/download.py model-vs-human`;
human decisions: raw-data of https://github.com/bethgelab/model-vs-human in --humans, or downloaded.
Writes top1_acc/<data set>[/<condition>] and top1_acc/ood_mean (percent; the mean over all 17 data
sets without the undistorted and hardest conditions; /<k>_datasets if there are fewer), shape-bias,
shape-bias/max, fraction-correct-shape, …; with humans error-consistency/<data set>[/<condition>]
and /mean; W&B project "imagenet_model_vs_human". Decision tables in the published format; per call
human_comparison.csv, error_consistency.csv (models with each other) and figures.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from analysis.model_vs_human_files import model_vs_human_files
from evaluation.benchmark import Benchmark, Finished
from evaluation.decisions import among_categories
from evaluation.session import main
from images.model_vs_human import DATA_SETS, locate_stimuli, model_vs_human
from images.preprocessing import READY_224
from scoring.humans import locate_humans, read_human_cues, read_humans
from scoring.model_vs_human import model_vs_human_metrics
from stimuli.batch import unchanged


def arguments(group):
    """Add the flags that say where the data are, and which of them are used."""
    group.add_argument("--stimuli", metavar="DIR", help="else $BVG_MODEL_VS_HUMAN, else downloaded")
    group.add_argument("--datasets", nargs="+", choices=[*DATA_SETS], default=[*DATA_SETS],
                       metavar="NAME", help=f"default: {', '.join(DATA_SETS)}")  # fmt: skip
    group.add_argument("--partial", action="store_true", help="measure those that are there")
    group.add_argument("--humans", metavar="DIR", help="<data set>/*.csv; else downloaded, or none")


def configure(benchmark: Benchmark, args) -> list[Benchmark]:
    """Return the benchmark, with metrics that compare with humans where their data are there."""
    folder = locate_humans(args.humans)
    humans = read_humans(folder) if folder else None
    return [replace(benchmark, score=partial(model_vs_human_metrics, humans=humans))]


def files(finished: list[Finished], args, example) -> list[Path]:
    """Write decision tables, comparisons with humans and between models, and figures."""
    humans = locate_humans(args.humans)
    return model_vs_human_files(
        {model.name: (model.predictions, model.metrics) for model in finished},
        args.results / MODEL_VS_HUMAN.name,
        *((read_humans(humans), read_human_cues(humans)) if humans else (None, None)),
    )


MODEL_VS_HUMAN = Benchmark(
    name="imagenet_model_vs_human",
    arguments=arguments,
    locate=lambda args: locate_stimuli(args.stimuli, args.datasets, args.partial),
    images=lambda root, classes, args: model_vs_human(root, classes, args.datasets),
    stimuli=unchanged,
    decision=among_categories,
    decision_columns=("answer_max",),
    score=model_vs_human_metrics,
    headline=(
        *(f"top1_acc/{name}" for name in DATA_SETS), "top1_acc/ood_mean",
        *(f"top1_acc/ood_mean/{count}_datasets" for count in range(1, len(DATA_SETS))),
        "shape-bias", "shape-bias/max", "error-consistency/mean",
        *(f"error-consistency/mean/{count}_datasets" for count in range(1, len(DATA_SETS))),
    ),
    preprocessing=READY_224,
    files=files,
    configure=configure,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(MODEL_VS_HUMAN, __doc__))
