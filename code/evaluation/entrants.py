"""The models of a call: loaded, checked on one input, and identified, before any long work."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from basics.errors import UserError
from evaluation.probe import probe
from evaluation.provenance import weights_sha256
from evaluation.settings import Settings
from images.imagenet import VAL_CLASSES, imagenet_classes
from images.preprocessing import Preprocessing
from model_zoo.loading import CheckpointOptions, load_model, split_alias


@dataclass(frozen=True)
class Entrant:
    """A model that is ready to be evaluated.

    name: what results, tables and W&B call it.
    view: the preprocessing of its input.
    classes: what its logits mean.
    identity: what must be the same for a result to be this model's.
    origin: where the weights came from, for the record.
    """

    name: str
    model: nn.Module
    view: Preprocessing
    classes: tuple[str, ...]
    identity: dict[str, Any]
    origin: dict[str, Any]


def load_entrants(
    arguments: argparse.Namespace, settings: Settings, view: Preprocessing | None
) -> list[Entrant]:
    """Return the models of --model on the device; `view` None takes each one's own preprocessing.

    Raises UserError for two models of one name, a model that fails on an image, and models whose
    classes differ from each other's.
    """
    named = [split_alias(text) for text in arguments.model]
    names = [name for name, _ in named]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"two models are called {name!r}: name the results apart with RUNNAME=MODEL"
            )
    options = checkpoint_options(arguments)
    entrants = [load_entrant(name, spec, options, settings, view) for name, spec in named]
    for entrant in entrants[1:]:
        if entrant.classes != entrants[0].classes:
            raise UserError(
                f"{entrants[0].name} and {entrant.name} answer with different classes: evaluate "
                "them in separate calls"
            )
    return entrants


def checkpoint_options(arguments: argparse.Namespace) -> CheckpointOptions:
    """Return what the flags say of checkpoints."""
    return CheckpointOptions(arguments.arch, arguments.mean, arguments.std, arguments.weights_dir)


def load_entrant(
    name: str,
    spec: str,
    options: CheckpointOptions,
    settings: Settings,
    view: Preprocessing | None,
) -> Entrant:
    """Return the model `spec` on the device, under `name`; see load_entrants."""
    model = load_model(spec, options)
    origin = {"spec": spec, **getattr(model, "origin", {})}
    identity: dict[str, Any] = {"spec": _portable(spec), "weights_sha256": weights_sha256(model)}
    if "file_sha256" in origin:
        identity["file_sha256"] = origin["file_sha256"]
    own = view or getattr(model, "native", None)
    if own is None:
        raise UserError(
            f"model {name} does not say how its input is made: use --preprocess study, or give "
            "the model an attribute `native` (images.preprocessing.Preprocessing)"
        )
    model = model.to(settings.device).to(memory_format=torch.channels_last)
    probed = probe(model, own, settings, name)
    identity["probe"] = probed.record()
    if probed.unstable:
        identity["unstable"] = probed.unstable
    return Entrant(name, model, own, _classes(name, model, probed.logits), identity, origin)


def _portable(spec: str) -> str:
    """Return the model's name without the folders of its file, which differ between machines."""
    path, colon, factory = spec.rpartition(":")
    if path.endswith(".py"):
        return f"{Path(path).name}{colon}{factory}"
    if spec.startswith("file://"):
        return f"file://{Path(spec).name}"
    return spec


def _classes(name: str, model: nn.Module, logits: torch.Tensor) -> tuple[str, ...]:
    """Return what the columns of the model's logits mean."""
    declared = getattr(model, "classes", None)
    classes = tuple(declared) if declared else imagenet_classes()
    if logits.shape[1] != len(classes):
        expected = f"the {len(classes)} it declares" if declared else f"ImageNet's {VAL_CLASSES}"
        raise UserError(
            f"model {name} has {logits.shape[1]} logits, not {expected}: a model of other classes "
            "names them in its attribute `classes`"
        )
    return classes
