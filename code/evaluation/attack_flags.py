"""Adversarial attacks from the command line: which ones, how strong, against which model."""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import torch

from basics.errors import UserError
from evaluation.adversarial_files import pictures_folder, saving
from evaluation.benchmark import Benchmark
from evaluation.command_line import positive
from evaluation.entrants import Entrant, checkpoint_options, load_entrant
from evaluation.imagenet_flags import imagenet_arguments
from evaluation.settings import AUTOCAST, Settings, autocast, settings_of
from images.image_set import ImageSet
from images.preprocessing import SQUARE_224
from model_zoo.loading import split_alias
from stimuli.adversarial import Epsilon, Method, adversarial, epsilon_of, gradient_method
from stimuli.attacks import L2, LINF, Attack, Victim
from stimuli.autoattack import autoattack_method, autoattack_version
from stimuli.batch import Stimuli

_POOL = 4  # batches from which images take the places of those that are done


@dataclass(frozen=True)
class Preset:
    """An attack of --attack: its walk (None: AutoAttack), its ε unless others are given.

    suffix: what tells its name from that of the study's PGD.
    fixed: it has no choice of steps.
    """

    attack: Attack | None
    epsilons: tuple[str, ...]
    suffix: str = ""
    fixed: bool = False


PRESETS = {
    # Gavrikov & Keuper 2024: the step is 4 ε, so every pixel is at ±ε after each.
    "pgd": Preset(Attack(step=2 / 255), ("0.5/255",)),
    "pgd-decay": Preset(Attack(relative_step=2.0, decay=True), ("0.5/255",), "-decay"),
    # The threat model of the L2-robust ResNet-50s (Salman et al. 2020); 2.5 ε / steps as there.
    "pgd-l2": Preset(Attack(norm=L2), ("0.5", "3"), "-l2"),
    "fgsm": Preset(Attack(steps=1, random_start=False), ("0.5/255",), fixed=True),
    # ood-benchmarks (Orhan).
    "targeted": Preset(Attack(steps=10, step=2 / 255, targeted=True), ("0.06",), "-targeted"),
    "autoattack": Preset(None, ("4/255",), fixed=True),
}


def attack_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags of the images and of the attacks."""
    imagenet_arguments(group)
    group.add_argument("--attack", nargs="+", choices=PRESETS, default=["pgd"], metavar="NAME",
                       help=f"one or more of {', '.join(PRESETS)} (default pgd, the study's); each "
                       "has a result of its own")  # fmt: skip
    group.add_argument("--eps", nargs="+", type=_epsilon, metavar="E",
                       help="bounds of the perturbation, numbers or fractions of the pixel range "
                       "[0, 1], such as 0.5/255 1/255 (default: the attack's own)")  # fmt: skip
    group.add_argument("--steps", nargs="+", type=positive, metavar="N",
                       help="of gradient; several are attacks of their own (default 40; targeted "
                       "10)")  # fmt: skip
    group.add_argument("--step_size", type=_epsilon, metavar="S",
                       help="of each step, a number or fraction (default: pgd and targeted 2/255, "
                       "pgd-decay from 2 ε down, pgd-l2 2.5 ε / steps)")  # fmt: skip
    group.add_argument("--stop", choices=("last", "first"), default="last",
                       help="last: the last iterate counts, as in the study; first: an image is "
                       "broken, and done, at its first wrong answer")  # fmt: skip
    group.add_argument("--source", metavar="MODEL",
                       help="make the images against this model and show them to those of --model "
                       "(transfer, black box)")  # fmt: skip
    group.add_argument("--attack_precision", choices=("fp32", "bf16"),
                       help="of the gradients (default: --precision); every success is checked in "
                       "--precision")  # fmt: skip
    group.add_argument(
        "--as_ood",
        action="store_true",
        help="the view of ood-benchmarks: central square, resized to 224 (bicubic)",
    )
    group.add_argument("--save_adversarial", type=positive, metavar="N",
                       help="write original, perturbation and adversarial image of N images as PNG "
                       "and safetensors, below the result")  # fmt: skip


def configure(benchmark: Benchmark, arguments: argparse.Namespace) -> list[Benchmark]:
    """Return a benchmark for each attack; raises UserError where the flags do not fit together."""
    if arguments.as_ood and arguments.preprocess == "native":
        raise UserError("--as_ood and --preprocess native are two views: leave one of them out")
    view = SQUARE_224 if arguments.as_ood else benchmark.preprocessing
    source = _source(arguments, view) if arguments.source else None
    return [
        _attacking(replace(benchmark, preprocessing=view), name, arguments, source)
        for name in dict.fromkeys(arguments.attack)
    ]


def methods_of(name: str, arguments: argparse.Namespace, settings: Settings) -> dict[Method, Any]:
    """Return the attacks that a preset and the flags describe, and the record of each."""
    preset, batch_size = PRESETS[name], settings.batch_size
    chosen = arguments.steps or arguments.step_size or arguments.stop == "first"
    if preset.fixed and chosen:
        raise UserError(f"--attack {name} has no choice of --steps, --step_size or --stop: leave "
                        "them out, or measure it in a call of its own")  # fmt: skip
    if preset.attack is None:
        return {autoattack_method(batch_size): {"package": autoattack_version()}}
    methods = {}
    for steps in dict.fromkeys(arguments.steps or [preset.attack.steps]):
        attack = replace(preset.attack, steps=steps, first=arguments.stop == "first")
        size = ""
        if name == "pgd-l2":
            attack = replace(attack, relative_step=2.5 / steps)
        if arguments.step_size:
            attack = replace(attack, step=arguments.step_size.value)
            if attack.step != preset.attack.step:
                size = f"-step={arguments.step_size.name}"
        label = f"PGD-{steps}{preset.suffix}{size}" + "-first" * attack.first
        label = "FGSM" if name == "fgsm" else label
        methods[gradient_method(label, attack, batch_size)] = asdict(attack)
    return methods


def _attacking(
    benchmark: Benchmark, name: str, arguments: argparse.Namespace, source: Entrant | None
) -> Benchmark:
    """Return the benchmark with one attack."""
    preset = PRESETS[name]
    methods = methods_of(name, arguments, settings_of(arguments))
    epsilons = _epsilons(arguments.eps or [epsilon_of(text) for text in preset.epsilons],
                         preset.attack.norm if preset.attack else LINF)  # fmt: skip
    first = arguments.stop == "first"
    own = f"{benchmark.name}_{name.replace('-', '_')}" + "_first" * first
    protocol: dict[str, Any] = {
        "attacks": {method.name: record for method, record in methods.items()},
        "eps": [epsilon.name for epsilon in epsilons],
        "gradients": arguments.attack_precision or arguments.precision,
    }
    if source:
        own += f"_from_{source.name}"
        protocol["source"] = source.identity
    conditions = [m.condition(e, source.name if source else "") for m in methods for e in epsilons]
    return replace(
        benchmark,
        name=own,
        protocol=protocol,
        headline=("top1_acc/clean", *(f"top1_acc/{condition}" for condition in conditions)),
        against=_against(own, tuple(methods), epsilons, source),
        pool=_POOL if first else 1,
    )


def _against(
    benchmark: str, methods: tuple[Method, ...], epsilons: tuple[Epsilon, ...], source: Any
) -> Callable[[Entrant, ImageSet, Settings, argparse.Namespace], Stimuli]:
    """Return what makes the stimuli for an entrant: against it, or once against the source."""
    shared: list[Stimuli] = []

    def stimuli_for(
        entrant: Entrant, images: ImageSet, settings: Settings, arguments: argparse.Namespace
    ) -> Stimuli:
        if shared:
            return shared[0]
        if source and source.classes != entrant.classes:
            raise UserError(
                f"{source.name} and {entrant.name} answer with different classes, so images made "
                "against the one mean nothing to the other: choose another --source"
            )
        victim = _victim(source or entrant, settings, arguments)
        folder = pictures_folder(arguments.results / benchmark, None if source else entrant.name)
        made = adversarial(
            victim, methods, epsilons, source=source.name if source else "",
            witness=saving(folder, images, arguments),
        )  # fmt: skip
        if source:
            shared.append(made)
        return made

    return stimuli_for


def _victim(entrant: Entrant, settings: Settings, arguments: argparse.Namespace) -> Victim:
    """Return the entrant as one that can be attacked; raises UserError when it has no gradient."""
    cheap = None
    if arguments.attack_precision not in (None, settings.precision):
        cheap = partial(
            torch.autocast, settings.device.type,
            dtype=AUTOCAST.get(arguments.attack_precision, torch.float32),
            enabled=arguments.attack_precision in AUTOCAST,
        )  # fmt: skip
    answering = partial(autocast, settings)
    victim = Victim(entrant.name, entrant.model, len(entrant.classes), answering, cheap)
    side = entrant.view.crop
    grey = torch.full((1, 3, side, side), 0.5, device=settings.device)
    nothing = torch.zeros(1, dtype=torch.int64, device=settings.device)
    victim.gradient(grey.to(memory_format=torch.channels_last), nothing)
    return victim


def _source(arguments: argparse.Namespace, view: Any) -> Entrant:
    name, spec = split_alias(arguments.source)
    native = arguments.preprocess == "native"
    settings = settings_of(arguments)
    return load_entrant(
        name, spec, checkpoint_options(arguments), settings, None if native else view
    )


def _epsilons(given: list[Epsilon], norm: str) -> tuple[Epsilon, ...]:
    """Return the ε in rising order; raises UserError for one that is there twice or too large."""
    ordered = sorted(given, key=lambda epsilon: epsilon.value)
    for one, other in pairwise(ordered):
        if math.isclose(one.value, other.value, rel_tol=1e-9):
            raise UserError(f"--eps has {one.name.replace('_', '/')} twice: leave one of them out")
    if norm == LINF and ordered[-1].value > 1:
        raise UserError(
            f"an ε of {ordered[-1].value:g} lets pixels in [0, 1] become anything: give it in "
            f"units of the pixel range, such as --eps {ordered[-1].value:g}/255"
        )
    return tuple(ordered)


def _epsilon(text: str) -> Epsilon:
    try:
        return epsilon_of(re.sub(r"\s", "", text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number above 0 nor a fraction such as 0.5/255"
        ) from error
