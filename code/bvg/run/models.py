"""The models of a call: loaded, checked on one input, and identified, before any long work."""

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bvg.data.imagenet import imagenet_classes
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError
from bvg.run.probe import probe
from bvg.run.provenance import weights_sha256
from bvg.run.settings import Settings
from bvg.zoo.classes import Reordered, names_of_logits, positions_in_imagenet
from bvg.zoo.loading import CheckpointOptions, load_model
from bvg.zoo.names import split_alias

_OF_CHECKPOINTS = ("arch", "weights_key", "mean", "std")  # flags


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to be evaluated.

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


def load_all(
    arguments: argparse.Namespace, settings: Settings, view: Preprocessing | None
) -> list[LoadedModel]:
    """Return the models of --model on the device; `view` None takes each one's own preprocessing.

    Notebooks may give a dict of names and modules (or of what --model takes) instead of a list.
    Raises UserError for two models of one name, a model that fails on an image, and models whose
    classes differ from each other's.
    """
    given = [arguments.model] if isinstance(arguments.model, str) else arguments.model
    named: list[tuple[str, str | nn.Module]] = (
        [*given.items()] if isinstance(given, Mapping) else [split_alias(text) for text in given]
    )
    names = [name for name, _ in named]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two models are named {name!r}: rename one with RUNNAME=MODEL")
    specs = [spec for _, spec in named if isinstance(spec, str)]
    options = checkpoint_options(arguments, specs)
    models = [load_one(name, spec, options, settings, view) for name, spec in named]
    for model in models[1:]:
        if model.classes != models[0].classes:
            raise UserError(
                f"{models[0].name} and {model.name} answer with different classes: evaluate "
                "them in separate calls"
            )
    return models


def checkpoint_options(
    arguments: argparse.Namespace, models: Sequence[str] = ()
) -> CheckpointOptions:
    """Return the options for checkpoints; print which of these flags no model of the call uses.

    models: as --model takes them.

    That is no error: a study gives the same flags to the commands of all of its models.
    """
    given = {name: getattr(arguments, name) for name in _OF_CHECKPOINTS}
    given = {name: value for name, value in given.items() if value is not None}
    models = [*models, *filter(None, [getattr(arguments, "source", None)])]
    if given and models and not any(split_alias(m)[1].startswith("file://") for m in models):
        flags = ", ".join(f"--{name}" for name in given)
        print(
            f"warning: {flags} ignored: only file:// checkpoints use them; {models[0]} has its "
            "own weights, architecture and normalization",
            file=sys.stderr,
            flush=True,
        )
    return CheckpointOptions(weights_dir=arguments.weights_dir, **given)


def load_one(
    name: str,
    given: str | nn.Module,
    options: CheckpointOptions,
    settings: Settings,
    view: Preprocessing | None,
) -> LoadedModel:
    """Return a model on the device, under `name`; see load_all.

    A module is copied, so that a notebook's own stays on its device and can be trained on.
    """
    if isinstance(given, str):
        spec, model = given, load_model(given, options)
    else:
        spec, model = type(given).__name__, deepcopy(given).eval().requires_grad_(False)
    origin = {"spec": spec, **getattr(model, "origin", {})}
    identity: dict[str, Any] = {"spec": _portable(spec), "weights_sha256": weights_sha256(model)}
    if "file_sha256" in origin:
        identity["file_sha256"] = origin["file_sha256"]
    own = view or getattr(model, "native", None)
    if own is None:
        raise UserError(
            f"model {name} does not state its preprocessing: use --preprocess study, or give "
            "the model an attribute `native` (bvg.data.preprocessing.Preprocessing)"
        )
    model = model.to(settings.device).to(memory_format=torch.channels_last)
    probed = probe(model, own, settings, name)
    identity["probe"] = probed.record()
    if probed.unstable:
        identity["unstable"] = probed.unstable
    count = probed.logits.shape[1]
    named = _named(name, getattr(model, "classes", None), count)
    positions = positions_in_imagenet(named)
    classes = named if positions is None else imagenet_classes()
    if classes != named:
        origin["logits"] = f"{count} logits, reordered to ImageNet's order by their names"
    if positions is not None and positions != [*range(count)]:
        model = Reordered(model, positions).to(settings.device).eval()
        identity["classes_sha256"] = hashlib.sha256("\0".join(named).encode()).hexdigest()
    return LoadedModel(name, model, own, classes, identity, origin)


def _portable(spec: str) -> str:
    """Return the model's name without the folders of its file, which differ between machines."""
    path, colon, factory = spec.rpartition(":")
    if path.endswith(".py"):
        return f"{Path(path).name}{colon}{factory}"
    if spec.startswith("file://"):
        return f"file://{Path(spec).name}"
    return spec


def _named(name: str, declared: Any, count: int) -> tuple[str, ...]:
    try:
        return names_of_logits(declared, count)
    except UserError as error:
        raise UserError(f"model {name} {error}") from error
