"""Shape bias on cue-conflict stimuli: whether a model goes by an object's shape or texture.

    python code/eval_shape_bias.py --model resnet50.tv_in1k

Paper: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019.
Data: 1,280 stimuli, <shape>/<shape><n>-<texture><m>.png; downloaded into the cache from
https://github.com/bethgelab/model-vs-human when neither --stimuli nor $BVG_STIMULI names a folder.
Writes shape-bias, shape-bias/max (the category of the best class), fraction-correct-shape,
fraction-correct-texture, fraction-neither (in [0, 1], also by /category/<name>),
top1_acc/cue-conflict and …/congruent (percent), W&B project "imagenet_shape_bias"; decision
tables in the published format; a figure of all models of the call.
"""

import os
import sys
from pathlib import Path

from analysis.drawing import png_and_pdf
from analysis.shape_bias_figure import HUMANS, shape_bias_figure
from evaluation.benchmark import Benchmark, Finished
from evaluation.decisions import among_categories, categories_of
from evaluation.session import main
from images.categories import CATEGORIES
from images.cue_conflict import IMAGES, cue_conflict, download_cue_conflict
from images.image_set import ImageSet, existing_folder
from images.preprocessing import READY_224
from scoring.decision_table import decision_table, write_decisions
from scoring.humans import humans_of_one_set
from scoring.shape_bias import shape_bias_metrics
from stimuli.batch import unchanged


def arguments(group):
    """Add the flags that say where the stimuli and human decisions are."""
    group.add_argument("--stimuli", metavar="DIR", help="folder of the stimuli (default: "
                       "$BVG_STIMULI, else downloaded)")  # fmt: skip
    group.add_argument("--partial", action="store_true", help="allow missing categories "
                       "(recorded in the result)")  # fmt: skip
    group.add_argument("--humans", metavar="DIR", help="human decision tables for the figure "
                       "(model-vs-human's raw-data/cue-conflict)")  # fmt: skip


def locate(args) -> Path:
    """Return the folder of the stimuli, downloaded if none is given."""
    if args.humans:
        humans_of_one_set(args.humans)
    given = args.stimuli or os.environ.get("BVG_STIMULI")
    if not given:
        return download_cue_conflict()
    return existing_folder(given, "the folder of cue-conflict stimuli", "--stimuli")


def images(folder: Path, classes, args) -> ImageSet:
    """Return the stimuli; says where they are not as many as published."""
    found = cue_conflict(folder, categories_of(classes), args.partial)
    if len(found) != IMAGES and found.classes == CATEGORIES:
        print(f"other number of stimuli than published: {len(found):,} of {IMAGES:,}")
    return found


def files(finished: list[Finished], args, example) -> list[Path]:
    """Write each model's decision table, and the figure of all models of the call."""
    observers = {m.name: decision_table(m.predictions, m.name, "cue") for m in finished}
    tables = [write_decisions(observers[m.name], m.folder, "cue-conflict") for m in finished]
    if args.humans:
        observers[HUMANS] = humans_of_one_set(args.humans)
    figures = png_and_pdf(args.results / SHAPE_BIAS.name, "shape_bias")
    shape_bias_figure(observers, figures)
    return tables + figures


SHAPE_BIAS = Benchmark(
    name="imagenet_shape_bias",
    arguments=arguments,
    locate=locate,
    images=images,
    stimuli=unchanged,
    decision=among_categories,
    decision_columns=("answer_max",),
    score=shape_bias_metrics,
    headline=(
        "shape-bias", "shape-bias/max", "fraction-correct-shape", "fraction-correct-texture",
        "fraction-neither", "top1_acc/cue-conflict", "top1_acc/cue-conflict/congruent",
    ),
    preprocessing=READY_224,
    files=files,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(SHAPE_BIAS, __doc__))
