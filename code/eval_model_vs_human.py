r"""Out-of-distribution accuracy, shape bias and likeness to humans on model-vs-human's data sets.

    python code/eval_model_vs_human.py --model resnet50.tv_in1k --stimuli DIR --humans DIR

Paper: Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021; 16 entry-level categories, decision by mean probability.
Data: --stimuli, $BVG_MODEL_VS_HUMAN, or downloaded by `python code/download.py model-vs-human`;
human decisions: raw-data of https://github.com/bethgelab/model-vs-human in --humans, or downloaded.
Writes top1_acc/<data set>[/<condition>] and top1_acc/ood_mean (percent; the mean over all 17 data
sets without the undistorted and hardest conditions; /<k>_datasets if there are fewer, or some lack
conditions: these have top1_acc/<data set>/measured, the mean over what there is), shape-bias,
shape-bias/max, fraction-correct-shape, …; with humans error-consistency/<data set>[/<condition>]
and /mean; W&B project "imagenet_model_vs_human". A finished result is scored again, not measured,
when the humans' decisions change. Decision tables in the published format; per call
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
from images.categories import CATEGORIES
from images.image_set import ImageSet
from images.model_vs_human import DATA_SETS, locate_stimuli, model_vs_human
from images.preprocessing import READY_224
from scoring.humans import fingerprint, humans_for, locate_humans, read_human_cues
from scoring.model_vs_human import model_vs_human_metrics
from stimuli.batch import unchanged


def arguments(group):
    """Add the flags that say where the data are, and which of them are used."""
    group.add_argument("--stimuli", metavar="DIR", help="folder of the data sets (default: "
                       "$BVG_MODEL_VS_HUMAN, else the downloaded one)")  # fmt: skip
    group.add_argument("--datasets", nargs="+", choices=[*DATA_SETS], default=[*DATA_SETS],
                       metavar="NAME", help="data sets to evaluate (default: all of "
                       f"{', '.join(DATA_SETS)})")  # fmt: skip
    group.add_argument("--partial", action="store_true", help="allow missing data sets, "
                       "conditions, categories and images (recorded in the result); means that "
                       "need a missing data set or condition are undefined")  # fmt: skip
    group.add_argument("--humans", metavar="DIR", help="folder with <data set>/*.csv (default: the "
                       "downloaded one, else no comparison with humans)")  # fmt: skip


def configure(benchmark: Benchmark, args) -> list[Benchmark]:
    """Return the benchmark, with metrics that compare with humans where their data are there."""
    humans = humans_for(args.humans, args.datasets)
    score = partial(model_vs_human_metrics, humans=humans)
    return [replace(benchmark, score=score, scored_with={"humans": fingerprint(humans)})]


def images(folder: Path, classes, args) -> ImageSet:
    """Return the images of the chosen data sets; says which are not as many as published."""
    found = model_vs_human(folder, classes, args.datasets, args.partial)
    other: dict = found.notes.get("partial", {})  # type: ignore[assignment]
    if other and found.classes == CATEGORIES:  # of other categories, nothing is published
        counts = (
            f"{name} {n['images']:,} of {n['expected_images']:,}" for name, n in other.items()
        )
        print(f"other numbers of images than published: {', '.join(counts)}")
    return found


def files(finished: list[Finished], args, example) -> list[Path]:
    """Write decision tables, comparisons with humans and between models, and figures."""
    humans = humans_for(args.humans, args.datasets)
    return model_vs_human_files(
        {model.name: (model.predictions, model.metrics) for model in finished},
        args.results / MODEL_VS_HUMAN.name,
        humans,
        read_human_cues(locate_humans(args.humans)),
    )


MODEL_VS_HUMAN = Benchmark(
    name="imagenet_model_vs_human",
    arguments=arguments,
    locate=lambda args: locate_stimuli(args.stimuli, args.datasets, args.partial),
    images=images,
    stimuli=unchanged,
    decision=among_categories,
    decision_columns=("answer_max",),
    score=model_vs_human_metrics,
    headline=(
        *(f"top1_acc/{name}{end}" for name in DATA_SETS for end in ("", "/measured")),
        "top1_acc/ood_mean",
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
