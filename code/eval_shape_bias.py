"""Shape bias on cue-conflict stimuli: whether a model decides by shape or by texture.

    python code/eval_shape_bias.py --model resnet50.tv_in1k

Reference: shape bias 0.2146, 18.28 % of the shapes right, for tv_resnet50 (the study's table).
Paper: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019.
Data: 1,280 stimuli, <shape>/<shape><n>-<texture><m>.png; downloaded into the cache from
https://github.com/bethgelab/model-vs-human if neither --stimuli nor $BVG_STIMULI names a folder.
make_cue_conflict.py makes new ones; its settings are then part of the record.
Writes shape-bias, fraction-correct-shape, fraction-correct-texture, fraction-neither (in [0, 1],
also by /category/<name>), top1_acc/cue-conflict and …/congruent (percent), all by the mean
probability of a category's classes and, with /max, by the best class that belongs to one; W&B
project "imagenet_shape_bias"; decision tables in the published format, of <model> and, by the best
class, <model>-max-rule; a figure of all models.
Zero-shot models (open_clip:…) also choose directly among the names of the 16 categories, the rule
of Gavrikov et al., ICLR 2025 (arXiv 2403.09193; CLIP RN50: 0.1970, by classes 0.1952): the same
keys with /names (shape-bias/names, …) in a run of its own, W&B project "imagenet_shape_bias_names".

Low-pass control (Wolff et al., ICLR 2026, arXiv 2602.13859; OpenCLIP ViT-H-14: shape bias 0.60
unfiltered, 0.96 at sigma 2.5): how much of the bias is the high frequencies' alone?

    python code/eval_shape_bias.py --model resnet50.tv_in1k --blur 1 2.5 4 --downsample 64

Writes the same keys by filter (shape-bias/unfiltered, shape-bias/blur=2.5, …; not by category) in a
run of its own, W&B project "imagenet_shape_bias_lowpass". Error consistency by filter:
eval_model_vs_human.py.
"""

import sys
from functools import partial

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.finding import look_for
from bvg.data.imagenet import classes_in
from bvg.data.shape_bias import IMAGES, cue_conflict, download_cue_conflict
from bvg.figures.drawing import HUMANS
from bvg.figures.lowpass import filters_panel, shape_bias_by_filter
from bvg.figures.shape_bias import shape_bias_figure
from bvg.run.command_line import data_flag, lowpass_flags, parse_args, script
from bvg.run.decisions import categories_of, sixteen_way
from bvg.run.evaluate import evaluate, example, load_models
from bvg.run.models import by_category_names
from bvg.run.runs import print_files, print_table
from bvg.scores.decision_table import decision_table, write_decisions
from bvg.scores.humans import humans_of_one_set
from bvg.scores.lowpass import by_filter, filters_of
from bvg.scores.max_rule import ENDING, by_rule
from bvg.scores.shape_bias import metrics_by_names, shape_bias_metrics
from bvg.stimuli.batch import unchanged
from bvg.stimuli.lowpass import lowpass
from bvg.stylize.manifest import stylizer_of

# ImageNet's classes of each category (Geirhos et al. 2018), whose mean probability decides.
MEMBERS = CATEGORY_INDICES
KEYS = (
    "shape-bias",
    "shape-bias/max",
    "fraction-correct-shape",
    "fraction-correct-texture",
    "fraction-neither",
    "top1_acc/cue-conflict",
    "top1_acc/cue-conflict/congruent",
)


def flags(group):
    add = group.add_argument
    data_flag(group, "model-vs-human/cue-conflict")
    add("--partial", action="store_true", help="allow missing categories (recorded in the result)")
    add(
        "--humans",
        metavar="DIR",
        help="folder of human decision tables to show in the figure, model-vs-human's "
        "raw-data/cue-conflict (default: none)",
    )
    lowpass_flags(group)


def low_pass_control(models, images, decide, humans, args):
    """Evaluate the images through each filter, and unfiltered, as a result of its own."""
    sigmas, sides = sorted({*args.blur}), sorted({*args.downsample}, reverse=True)
    stimuli = partial(lowpass, sigmas=sigmas, sides=sides)
    runs = evaluate(
        "imagenet_shape_bias_lowpass",
        models,
        images,
        stimuli,
        decide,
        partial(by_filter, score=shape_bias_metrics),
        args,
        protocol={"blur": sigmas, "downsample": sides},
    )
    if runs:
        folder = args.results / "imagenet_shape_bias_lowpass"
        metrics = {run.name: run.metrics for run in runs}
        filters = filters_of(runs[0].metrics)
        print_files(*shape_bias_by_filter(metrics, humans, folder / "shape_bias"))
        print_files(*filters_panel(example(images, stimuli, args), folder / "example_stimuli"))
        print_table(runs, *(f"{key}/{name}" for key in KEYS for name in filters))


def choose_among_names(models, images, args):
    """Evaluate zero-shot models that choose among the 16 names, as a result of its own."""
    runs = evaluate(
        "imagenet_shape_bias_names",
        models,
        images,
        unchanged,
        sixteen_way(CATEGORIES),
        metrics_by_names,
        args,
    )
    for run in runs:
        table = decision_table(run.predictions, run.name, "cue")
        print_files(*write_decisions([("cue-conflict", table)], run.folder))
    print_table(runs, *(f"{key}/names" for key in KEYS if not key.endswith(ENDING)))


@script
def main(argv=None):
    args = parse_args(__doc__, argv, flags)
    humans = humans_of_one_set(args.humans) if args.humans else None
    folder = look_for("model-vs-human/cue-conflict", args.stimuli) or download_cue_conflict()
    models, classes = load_models(args)
    categories = categories_of(classes) if classes else classes_in(folder)
    images = cue_conflict(folder, categories, args.partial)
    if len(images) != IMAGES and images.classes == CATEGORIES:
        print(f"the number of stimuli is not the published one: {len(images):,} of {IMAGES:,}")
    if stylizer := stylizer_of(folder):
        images.notes["stylizer"] = stylizer
        print(
            f"these are stimuli of make_cue_conflict.py ({stylizer['engine']}), not the published"
        )
    decide = sixteen_way(classes, MEMBERS) if models else None
    if args.blur or args.downsample:
        low_pass_control(models, images, decide, humans, args)
        return
    runs = evaluate(
        "imagenet_shape_bias", models, images, unchanged, decide, shape_bias_metrics, args
    )
    if runs:
        tables = {run.name: decision_table(run.predictions, run.name, "cue") for run in runs}
        for run in runs:
            both = by_rule(run.predictions, run.name)
            made = [
                ("cue-conflict", decision_table(own, name, "cue")) for name, own in both.items()
            ]
            print_files(*write_decisions(made, run.folder))
        observers = tables if humans is None else {**tables, HUMANS: humans}
        folder = args.results / "imagenet_shape_bias"
        print_files(*shape_bias_figure(observers, folder / "shape_bias"))
    print_table(runs, *KEYS)
    if by_name := by_category_names(models):
        choose_among_names(by_name, images, args)


if __name__ == "__main__":
    sys.exit(main())
