"""The models of a call: loaded, checked on one input, and identified, before any long work."""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bvg.data.categories import CATEGORIES
from bvg.data.imagenet import are_imagenet, imagenet_classes
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError, reason_of
from bvg.run.probe import Probe, pictures, probe
from bvg.run.settings import Settings, autocast, best_device
from bvg.zoo.factories import check_weights, same_settings
from bvg.zoo.loading import CheckpointOptions, Text, frozen, load_model
from bvg.zoo.names import HUB, HUGGING_FACE, LOCAL_DIR, OPEN_CLIP, is_run_name, split_alias
from bvg.zoo.normalized import Reordered, positions_in_imagenet
from bvg.zoo.stated import classes_of
from bvg.zoo.table import find
from bvg.zoo.weights import untouched_statistics, weights_sha256

_CHECKPOINT_FLAGS = ("arch", "weights_key", "mean", "std")
_TEXT_FLAGS = ("templates", "class_names")
# What identifies a model besides its weights, if its origin states it.
_IDENTIFYING = ("file_sha256", "templates", "class_names", "text_sha256")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to be evaluated.

    name: what results, tables and W&B call it.
    view: the preprocessing of its input.
    classes: what its logits mean.
    identity: what a result on disk must agree with to count as this model's.
    origin: where the weights came from, and warnings, for the record.
    probed: the model as it was probed, before its logits were brought into another order.
    input_check: what --check_top1 found about its input, for the record.
    """

    name: str
    model: nn.Module
    view: Preprocessing
    classes: tuple[str, ...]
    identity: dict[str, Any]
    origin: dict[str, Any]
    probed: nn.Module
    input_check: dict[str, Any] | None = None


def load_all(
    args: argparse.Namespace, settings: Settings, view: Preprocessing | None
) -> list[LoadedModel]:
    """Return the models of --model on the device; `view` None takes each one's own preprocessing.

    Notebooks may give a dict of names and modules (or of what --model takes) instead of a list.
    Raises UserError for two models of one name, a model that fails on an image, and models whose
    classes differ from each other's.
    """
    models = [args.model] if isinstance(args.model, str) else args.model or []
    if isinstance(models, nn.Module) or any(isinstance(model, nn.Module) for model in models):
        raise UserError("a module needs a name for its results: give options(model={NAME: module})")
    named: list[tuple[str, str | nn.Module]] = (
        [*models.items()] if isinstance(models, Mapping) else [split_alias(text) for text in models]
    )
    for name, _ in named:
        if not is_run_name(name):
            raise UserError(
                f"{name!r} cannot be the name of a model's results: use letters, digits, ., _ and -"
            )
    for name, count in Counter(name for name, _ in named).items():
        if count > 1:
            raise UserError(f"two models are named {name!r}: rename one with RUNNAME=MODEL")
    options = checkpoint_options(args, [spec for _, spec in named if isinstance(spec, str)])
    loaded = [load_one(name, spec, options, settings, view) for name, spec in named]
    for model in loaded[1:]:
        if model.classes != loaded[0].classes:
            raise UserError(
                f"{loaded[0].name} and {model.name} answer with different classes: evaluate "
                "them in separate calls"
            )
    return loaded


def checkpoint_options(args: argparse.Namespace, models: Sequence[str]) -> CheckpointOptions:
    """Return the options for checkpoints; warn about flags that no model of the call uses.

    models: as --model takes them. Unused flags are no error, because a study gives the same flags
    to the commands of all of its models.
    """
    given = {name: getattr(args, name) for name in _CHECKPOINT_FLAGS}
    given = {name: value for name, value in given.items() if value is not None}
    models = [*models, *filter(None, [getattr(args, "source", None)])]
    if given and models and not any(split_alias(m)[1].startswith("file://") for m in models):
        flags = ", ".join(f"--{name}" for name in given)
        print(
            f"warning: {flags} ignored: only file:// checkpoints use them; {models[0]} has its "
            "own weights, architecture and normalization",
            file=sys.stderr,
            flush=True,
        )
    text = {name: getattr(args, name) for name in _TEXT_FLAGS if getattr(args, name) is not None}
    if text and models and not any(map(_is_zero_shot, models)):
        print(
            f"warning: {', '.join(f'--{name}' for name in text)} ignored: only zero-shot models "
            f"(open_clip:, hf-hub:) use them, and {models[0]} is none",
            file=sys.stderr,
            flush=True,
        )
    device = str(best_device(args.device))
    return CheckpointOptions(
        weights_dir=args.weights_dir, text=Text(**text), device=device, **given
    )


def _is_zero_shot(model: str) -> bool:
    spec = split_alias(model)[1]
    row = find(spec)
    names = row.library if row else (spec,)
    return any(name.startswith((OPEN_CLIP, HUB)) for name in names)


def load_one(
    name: str,
    source: str | nn.Module,
    options: CheckpointOptions,
    settings: Settings,
    view: Preprocessing | None,
) -> LoadedModel:
    """Return a model on the device, under `name`; see load_all.

    source: what --model takes, or a module. A module is copied, so that a notebook's own stays on
    its device and can be trained on.
    """
    if isinstance(source, str):
        spec, model = source, load_model(source, options)
    else:
        spec, model = type(source).__name__, frozen(_copied(name, source))
    origin = {"spec": spec, **getattr(model, "origin", {})}
    identity: dict[str, Any] = {"spec": portable(spec), "weights_sha256": weights_sha256(model)}
    identity |= {key: origin[key] for key in _IDENTIFYING if key in origin}
    view = view or getattr(model, "native", None)
    if not isinstance(view, Preprocessing):
        raise UserError(
            f"model {name} does not state its preprocessing: use --preprocess study, or give "
            "the model an attribute `native` (bvg.data.preprocessing.Preprocessing)"
        )
    model = model.to(settings.device).to(memory_format=torch.channels_last)
    probed, unstable = _probed(name, model, view, settings, identity["weights_sha256"])
    identity["probe"] = probed.record()
    if unstable:
        identity["unstable"] = unstable
    warnings = [*probed.warnings, *filter(None, [untouched_statistics(model)])]
    for warning in warnings:
        print(f"{name}: warning: {warning}", file=sys.stderr, flush=True)
    if warnings := [*origin.get("warnings", ()), *warnings]:
        origin["warnings"] = warnings
    count = probed.logits.shape[1]
    names = classes_of(model, count, f"model {name}")
    as_probed = model
    positions = positions_in_imagenet(names)
    classes = names if positions is None else imagenet_classes()
    if classes != names:
        origin["logits"] = f"{count} logits, reordered to ImageNet's order by their names"
    if positions is not None and positions != [*range(count)]:
        print(
            f"{name}: the names that it states for its logits ({names[0]}, {names[1]}, …) are in "
            "another order than ImageNet's, into which the logits are brought",
            file=sys.stderr,
            flush=True,
        )
        model = Reordered(model, positions).to(settings.device).eval()
        identity["classes_sha256"] = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return LoadedModel(name, model, view, classes, identity, origin, as_probed)


def _probed(
    name: str, model: nn.Module, view: Preprocessing, settings: Settings, sha256: str
) -> tuple[Probe, str]:
    """Return the model's probe, and what its answers depend on besides the image, if allowed.

    sha256: of its weights before. Raises UserError for a model that the probe refuses, or that
    changes itself or the whole process while it answers.
    """
    names_before = _tensor_names(model)
    with same_settings() as changed:
        probed = probe(model, view, settings, name)
    if changed:
        raise UserError(
            f"model {name} changes settings of the whole process while it answers "
            f"({', '.join(changed)}), and so the answers of other models: set them in its factory, "
            "where they are undone, or in a `with` block"
        )
    unstable = probed.unstable or _changed(model, names_before, sha256, view, settings)
    if unstable and not settings.allow_unstable:
        raise UserError(
            f"model {name} changes its weights or buffers while it answers, so its answers depend "
            "on the images before: fix the model, or evaluate it as it is with --allow_unstable "
            "(recorded)"
        )
    return probed, unstable


def _copied(name: str, module: nn.Module) -> nn.Module:
    """Return a copy of a notebook's module."""
    if not isinstance(module, nn.Module):
        raise UserError(
            f"model {name} is a {type(module).__name__}: give a torch.nn.Module, or what --model "
            "takes, as text"
        )
    check_weights(module, f"{name} is a model")
    try:
        return deepcopy(module)
    except Exception as error:  # the model may be anyone's code
        raise UserError(
            f"model {name} cannot be copied ({reason_of(error)}): give the path of a file with a "
            "function that builds it, 'path/to/file.py:factory'; or, for torch.nn.utils.weight_norm"
            " and spectral_norm, use those of torch.nn.utils.parametrizations"
        ) from error


def _tensor_names(model: nn.Module) -> set[str]:
    return {*dict(model.named_parameters()), *dict(model.named_buffers())}


def _changed(
    model: nn.Module, names: set[str], sha256: str, view: Preprocessing, settings: Settings
) -> str:
    """Return what a model's answers depend on if its weights changed; else an empty string.

    Models that add to the tensors of these `names`, such as masks for an image size, are fine, and
    so are those that fill tables at their first answer, which pixels beyond [0, 1] do not change.
    """
    first = weights_sha256(model)
    if _tensor_names(model) != names or first == sha256:
        return ""
    try:
        with torch.no_grad(), autocast(settings):
            model(4 * pictures(view.crop)[:1].to(settings.device) - 2)
    except Exception:  # it does not take such pixels, so this cannot be shown
        return "the images before"
    return "" if weights_sha256(model) == first else "the images before"


def by_category_names(models: Sequence[LoadedModel]) -> list[LoadedModel]:
    """Return the zero-shot models of ImageNet's classes, choosing among 16 names of categories.

    They share the image towers and, since the names are given, the identities of the originals.
    """
    from bvg.zoo.zero_shot import by_category  # here, because it is rarely needed

    named = [(model, by_category(model.model)) for model in models if are_imagenet(model.classes)]
    return [
        replace(model, model=answering, classes=CATEGORIES)
        for model, answering in named
        if answering is not None
    ]


def portable(spec: str) -> str:
    """Return the model's name without the folders of its file, which differ between machines."""
    path, colon, factory = spec.rpartition(":")
    if path.endswith(".py"):
        return f"{Path(path).name}{colon}{factory}"
    if spec.startswith("file://"):
        return f"file://{Path(spec).name}"
    for prefix in (f"{OPEN_CLIP}{LOCAL_DIR}", HUGGING_FACE):
        if spec.startswith(prefix) and Path(spec.removeprefix(prefix)).expanduser().is_dir():
            return f"{prefix}{Path(spec).name}"
    return spec
