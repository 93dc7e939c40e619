"""Adversarial robustness: accuracy on images perturbed within ε so as to be misclassified.

    python code/eval_imagenet_adv.py --model resnet50.tv_in1k --imagenet /data/imagenet
    python code/eval_imagenet_adv.py --model resnet50.tv_in1k --attack pgd fgsm --eps 0.5/255 1/255
    python code/eval_imagenet_adv.py --model resnet50.tv_in1k --source resnext50_32x4d.tv_in1k
        --attack targeted --as_ood

Reference: 18.39 % under pgd for tv_resnet50 (the study's table).
Papers: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024 (pgd:
L∞, ε = 0.5/255, 40 steps of 2/255, random start, the last iterate counts); Madry et al., ICLR 2018
(PGD); Goodfellow et al., ICLR 2015 (fgsm); Croce & Hein, ICML 2020 (autoattack, with the package
pyautoattack); Orhan, "Robustness properties of Facebook's ResNeXt WSL models", 2019 (targeted).
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed).
Each attack has a separate result, imagenet_adv_<attack>[_first][_from_<source>]. Images whose clean
version is already misclassified are not attacked and count as misclassified. Random starts and
targets depend only on (seed, image). ε is in units of the pixel range [0, 1]; for pgd-l2 it is the
L2 norm over all pixels and channels.
Writes top1_acc/clean and top1_acc/<attack>/eps=<ε>[/from=<source>] (percent of all images), such as
top1_acc/PGD-40/eps=0.5_255; …/PGD-40-any/… (every iterate is right); metric/<attack>/eps=<ε>/
median-steps, …/median-perturbation, …/masked-gradients; figures of all models.
"""

import argparse
import re
import sys
from dataclasses import asdict, replace

from bvg.data.finding import find_data
from bvg.data.imagenet import imagenet_val
from bvg.data.preprocessing import SQUARE_224
from bvg.errors import UserError
from bvg.figures.imagenet_adv import adversarial_pictures, robustness_figure
from bvg.run.command_line import imagenet_flags, parse_args, positive, script, with_options
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, limited, load_models
from bvg.run.imagenet_adv import attackable, gradient_precision, load_source, saving
from bvg.run.runs import print_files, print_table
from bvg.run.settings import settings_from
from bvg.scores.imagenet_adv import adversarial_metrics, survival, warnings_of
from bvg.stimuli.attacks import L2, LINF, Attack
from bvg.stimuli.autoattack import autoattack_method, autoattack_version
from bvg.stimuli.imagenet_adv import adversarial, epsilon_of, gradient_method, sorted_epsilons

# What keys call each attack, its parameters (None: those of the package pyautoattack), default ε.
ATTACKS: dict[str, tuple[str, Attack | None, list[str]]] = {
    # Gavrikov & Keuper 2024. A step is 4 ε, so after each one all pixels are at ±ε.
    "pgd": ("PGD-{steps}", Attack(steps=40, step=2 / 255), ["0.5/255"]),
    "pgd-decay": (
        "PGD-{steps}-decay",
        Attack(steps=40, relative_step=2.0, decay=True),
        ["0.5/255"],
    ),
    # The threat model and step size (2.5 ε / steps) of Salman et al. 2020.
    "pgd-l2": ("PGD-{steps}-l2", Attack(steps=40, norm=L2, relative_step=2.5 / 40), ["0.5", "3"]),
    "fgsm": ("FGSM", Attack(steps=1, random_start=False), ["0.5/255"]),
    # ood-benchmarks (Orhan 2019).
    "targeted": (
        "PGD-{steps}-targeted",
        Attack(steps=10, step=2 / 255, targeted=True),
        ["0.06"],
    ),
    "autoattack": ("AutoAttack", None, ["4/255"]),
}
WITHOUT_STEPS = ("fgsm", "autoattack")  # they accept no --steps, --step_size or --stop
# With --stop first, this many batches are attacked together: images that are done make room.
POOL = 4
PICTURES = "adversarial"  # the folder of --save_adversarial in a result's folder


def flags(group):
    epsilons = (f"{' '.join(default)} for {name}" for name, (_, _, default) in ATTACKS.items())
    steps = (f"{own.steps} for {name}" for name, (_, own, _) in ATTACKS.items() if own)
    add = group.add_argument
    add(
        "--attack",
        nargs="+",
        choices=ATTACKS,
        default=["pgd"],
        metavar="NAME",
        help=f"attacks to run, of {', '.join(ATTACKS)} (default: pgd, as in the study); each has "
        "a separate result",
    )
    add(
        "--eps",
        nargs="+",
        type=_epsilon,
        metavar="E",
        help="bounds ε of the perturbation for pixels in [0, 1], as numbers or fractions such as "
        f"0.5/255 1/255 (default: {', '.join(epsilons)})",
    )
    add(
        "--steps",
        nargs="+",
        type=positive,
        metavar="N",
        help="number of gradient steps; several values run one attack each (default: "
        f"{', '.join(steps)})",
    )
    add(
        "--step_size",
        type=_epsilon,
        metavar="S",
        help="size of each step, as a number or fraction (default: 2/255 for pgd and targeted, "
        "decreasing from 2 ε for pgd-decay, 2.5 ε / steps for pgd-l2)",
    )
    add(
        "--stop",
        choices=("last", "first"),
        default="last",
        help="'last': the last iterate counts, as in the study; 'first': stop attacking an image "
        "once it is misclassified (default: last)",
    )
    add(
        "--source",
        metavar="MODEL",
        help="craft the adversarial images against this model and evaluate those of --model on "
        "them: a black-box transfer attack (default: attack each model itself)",
    )
    add(
        "--attack_precision",
        choices=("fp32", "bf16"),
        help="precision of the gradients (default: that of --precision; bf16 if that is verified); "
        "every success, and every failure near a tie, is verified in --precision",
    )
    add(
        "--as_ood",
        action="store_true",
        help="preprocess as ood-benchmarks does: crop the central square, then resize it to 224 "
        "(bicubic)",
    )
    add(
        "--save_adversarial",
        type=positive,
        metavar="N",
        help="save the original, perturbation and adversarial version of N images as PNG and "
        "safetensors in the result's folder (default: none)",
    )


def _epsilon(text):
    try:
        return epsilon_of(re.sub(r"\s", "", text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number above 0 nor a fraction such as 0.5/255"
        ) from error


def methods_of(name, args, batch_size):
    """Return the attacks that a name and the flags describe, each with its parameters."""
    title, default, _ = ATTACKS[name]
    if name in WITHOUT_STEPS and (args.steps or args.step_size or args.stop == "first"):
        raise UserError(
            f"--attack {name} does not accept --steps, --step_size or --stop: drop them, or run it "
            "separately"
        )
    if default is None:
        return {autoattack_method(batch_size, title): {"package": autoattack_version()}}
    methods = {}
    for steps in dict.fromkeys(args.steps or [default.steps]):
        attack = replace(default, steps=steps, first=args.stop == "first")
        if name == "pgd-l2":
            attack = replace(attack, relative_step=2.5 / steps)
        label = title.format(steps=steps)
        if args.step_size:
            attack = replace(attack, step=args.step_size.value)
            if attack.step != default.step:
                label += f"-step={args.step_size.name}"
        label += "-first" * attack.first
        methods[gradient_method(label, attack, batch_size)] = asdict(attack)
    return methods


@script
def main(argv=None):
    args = parse_args(__doc__, argv, imagenet_flags, flags)
    if args.as_ood and args.preprocess == "native":
        raise UserError("--as_ood and --preprocess native are mutually exclusive: drop one of them")
    batch_size = settings_from(args).batch_size
    attacks = {}
    for name in dict.fromkeys(args.attack):  # check all of them before any work
        _, attack, default = ATTACKS[name]
        epsilons = sorted_epsilons(
            args.eps or map(epsilon_of, default), attack.norm if attack else LINF
        )
        attacks[name] = methods_of(name, args, batch_size), epsilons
        norm = attack.norm if attack else LINF
        if norm == LINF and epsilons[-1].value >= 0.5:
            print(
                f"note: with an ε of {epsilons[-1].value:g}, every image can become uniformly grey "
                f"(1 is the pixels' whole range; 8-bit levels are --eps {epsilons[-1].value:g}/255)"
            )
    folder = find_data("imagenet", args.imagenet)
    source = load_source(args) if args.source else None
    models, classes = load_models(args)
    if args.save_stimuli and (not models or (len(models) > 1 and not source)):
        raise UserError(
            "adversarial images are crafted against one model, so --save_stimuli needs exactly "
            "one: give a single --model (with --source, several are allowed)"
        )
    for model in models:
        if source and model.classes != source.classes:
            raise UserError(
                f"{source.name} and {model.name} have different classes, so attacks cannot "
                "transfer from one to the other: choose another --source"
            )
    images = imagenet_val(folder, classes, args.partial)
    images = replace(images, view=SQUARE_224) if args.as_ood else images
    for name, (methods, epsilons) in attacks.items():
        benchmark = f"imagenet_adv_{name.replace('-', '_')}" + "_first" * (args.stop == "first")
        benchmark += f"_from_{source.name}" if source else ""
        saved = args.save_stimuli
        if saved and len(attacks) > 1:
            saved = saved / benchmark
        options = with_options(args, save_stimuli=saved)
        evaluate_attack(benchmark, methods, epsilons, models, source, images, options)


def evaluate_attack(benchmark, methods, epsilons, models, source, images, args):
    """Evaluate the models under one attack, at all its step counts and ε, and draw its figures."""
    results = args.results / benchmark
    protocol = {
        "attacks": {method.name: parameters for method, parameters in methods.items()},
        "eps": [epsilon.name for epsilon in epsilons],
        "gradients": gradient_precision(args),
    } | ({"source": source.identity} if source else {})
    source_name = source.name if source else ""

    def crafted_against(model, folder):
        return adversarial(
            attackable(model, args),
            tuple(methods),
            epsilons,
            source=source_name,
            callback=saving(folder / PICTURES, limited(images, args), args),
        )

    if source:
        shared = crafted_against(source, results)
        stimuli = {model.name: shared for model in models}
    else:
        stimuli = {model.name: crafted_against(model, results / model.name) for model in models}
    if args.stop == "first":
        args = with_options(args, batch_size=settings_from(args).batch_size * POOL)
    runs = evaluate(benchmark, models, images, stimuli, top5, adversarial_metrics, args, protocol)
    conditions = {
        method.name + f" from {source_name}" * bool(source): {
            epsilon.value: method.condition(epsilon, source_name) for epsilon in epsilons
        }
        for method in methods
    }
    if runs:
        figures(runs, conditions, args, results)
    keys = [f"top1_acc/{name}" for own in conditions.values() for name in own.values()]
    print_table(runs, "top1_acc/clean", *keys)
    for run in runs:
        for warning in warnings_of(run.metrics):
            print(f"{run.name}: {warning}")


def figures(runs, conditions, args, results):
    """Draw robust accuracy by ε and by steps, and the adversarial images that were saved."""
    steps = {run.name: survival(run.predictions) for run in runs}
    survived = {name: found for name, found in steps.items() if found}
    models = {run.name: run.metrics for run in runs}
    print_files(*robustness_figure(models, conditions, survived, results / "robustness"))
    for folder in (results, *(run.folder for run in runs)):
        pictures = folder / PICTURES
        if args.save_adversarial and pictures.is_dir():
            panel = adversarial_pictures(pictures, folder / "adversarial_images")
            print_files(pictures, *panel)


if __name__ == "__main__":
    sys.exit(main())
