"""Models as targets of gradient attacks."""

import argparse
from functools import partial

import torch

from bvg.data.preprocessing import STUDY
from bvg.run.models import LoadedModel, checkpoint_options, load_one
from bvg.run.settings import AUTOCAST, autocast, settings_from
from bvg.stimuli.attacks import AttackedModel
from bvg.zoo.names import split_alias


def attackable(model: LoadedModel, args: argparse.Namespace) -> AttackedModel:
    """Return the model as a target of attacks; raises UserError if it has no gradient.

    Answers count in --precision; gradients are computed in --attack_precision.
    """
    settings = settings_from(args)
    cheap = None
    if args.attack_precision not in (None, settings.precision):
        cheap = partial(
            torch.autocast,
            settings.device.type,
            dtype=AUTOCAST.get(args.attack_precision, torch.float32),
            enabled=args.attack_precision in AUTOCAST,
        )
    answering = partial(autocast, settings)
    victim = AttackedModel(model.name, model.model, len(model.classes), answering, cheap)
    side = model.view.crop
    grey = torch.full((1, 3, side, side), 0.5, device=settings.device)
    label = torch.zeros(1, dtype=torch.int64, device=settings.device)
    victim.gradient(grey.to(memory_format=torch.channels_last), label)
    return victim


def load_source(args: argparse.Namespace) -> LoadedModel:
    """Return the model of --source, ready on the device."""
    name, spec = split_alias(args.source)
    view = None if args.preprocess == "native" else STUDY
    return load_one(name, spec, checkpoint_options(args, args.model), settings_from(args), view)
