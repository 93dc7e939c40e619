"""What a checkpoint, the file beside it, or a module states about its classes and its input.

Training scripts save the names of the classes under various keys, and ImageFolder sorts classes as
text (0, 1, 10, …). A network of 1000 such classes would otherwise be taken as one of ImageNet's in
the order of the wnids, and answer at chance level.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bvg.data.imagenet import VAL_CLASSES, imagenet_classes
from bvg.errors import UserError
from bvg.zoo.libraries import is_library_name
from bvg.zoo.normalized import names_in, names_of_logits, positions_in_imagenet

CLASS_NAMES, STATED_ARCH = "class_names", "stated_arch"
_CLASS_KEYS = ("classes", CLASS_NAMES, "class_to_idx", "idx_to_class", "id2label", "label_names")
_STATISTICS = (("mean", "std"), ("image_mean", "image_std"))
_ARCH_KEYS = ("arch", "architecture", "model_name")
_UNNAMED = re.compile(r"(label|class)[_ ]?\d+")  # as in Hugging Face's configurations
_WNID = re.compile(r"n\d{8}")
_DEPTH = 2  # nested dicts that are searched, such as Lightning's hyper_parameters


def classes_of(model: nn.Module, count: int, name: str) -> tuple[str, ...]:
    """Return the names of a model's `count` logits: its `classes`, else what it states elsewhere.

    ImageNet's sorted wnids if there are none. name: for error messages. Raises UserError as
    names_of_logits does.
    """
    declared = getattr(model, "classes", None)
    if declared is None or callable(declared) or isinstance(declared, int):
        declared = classes_stated_by(model, count) or declared
    return names_of_logits(declared, count, name)


def classes_stated_by(model: nn.Module, count: int) -> tuple[str, ...] | None:
    """Return the names of a model's `count` logits that it or a module in it has, or None.

    They may be in an attribute of one of the usual names, also of its `config`. Those of ImageNet's
    classes are returned as wnids.
    """
    for module in model.modules():
        for holder in (module, _attribute(module, "config")):
            for key in _CLASS_KEYS:
                names = names_in(_attribute(holder, key))
                if names and len(names) == count and not all(map(_UNNAMED.match, _lower(names))):
                    return _as_wnids(names)
    return None


def _attribute(holder: Any, name: str) -> Any:
    """Return an attribute; None if there is none, or it is a property that fails."""
    try:
        return getattr(holder, name, None)
    except Exception:  # the model may be anyone's code
        return None


def _lower(names: tuple[str, ...]) -> list[str]:
    return [name.casefold() for name in names]


def _as_wnids(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names with ImageNet's as wnids; others, and uncertain ones, unchanged."""
    wnids = [*chain.from_iterable(map(_WNID.findall, names))]
    if len(names) == VAL_CLASSES and sorted(wnids) == [*imagenet_classes()]:
        return tuple(wnids)  # n01440764_tench
    numbers = [int(name) for name in names if name.isdecimal()]
    if sorted(numbers) == [*range(VAL_CLASSES)] and len(names) == VAL_CLASSES:
        return tuple(imagenet_classes()[number] for number in numbers)
    if positions_in_imagenet(names) is not None:
        return names
    from bvg.zoo.hugging_face import imagenet_labels, mostly_in_order  # here: rarely needed

    try:
        return imagenet_labels(names, "the model")
    except UserError:
        return imagenet_classes() if mostly_in_order(names) else names


def stated_in(content: Any) -> dict[str, Any]:
    """Return what a checkpoint states: `class_names`, `stated_arch`, `mean` and `std` of R, G, B.

    The architecture is a name of timm's or torchvision's. The statistics are for pixels in [0, 1],
    also where they are stated for 0-255. A mean and std among weights are buffers of a network that
    normalizes its input itself, and left out.
    """
    found: dict[str, Any] = {}
    for inner in _dicts(content):
        for key, value in inner.items():
            if key.casefold() in _CLASS_KEYS and (names := names_in(value)):
                found.setdefault(CLASS_NAMES, names)
            if key in _ARCH_KEYS and isinstance(value, str) and is_library_name(value):
                found.setdefault(STATED_ARCH, value)
        if any(isinstance(value, torch.Tensor) and value.ndim > 1 for value in inner.values()):
            continue
        for keys in _STATISTICS:
            found = _scaled(*(_numbers(inner.get(key)) for key in keys)) | found
    return found


def statistics_beside(content: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return the `mean` and `std` of a layer that normalizes the input of the network, or {}.

    That is of one among the weights in a checkpoint, but not in `state`, which was loaded into the
    network: such a layer was left behind by choosing the network's part with --weights_key.
    """
    used = {id(value) for value in state.values()}
    found = {}
    for inner in _dicts(content, _DEPTH + 1):
        for key, value in inner.items():
            if not key.endswith("mean") or id(value) in used:
                continue
            std = inner.get(f"{key.removesuffix('mean')}std")
            if layer := _scaled(_numbers(value), _numbers(std)):
                found[str(layer)] = layer
    return next(iter(found.values())) if len(found) == 1 else {}


def _scaled(mean: list[float], std: list[float]) -> dict[str, list[float]]:
    """Return statistics for pixels in [0, 1]; {} if one is missing."""
    if not (mean and std):
        return {}
    if max(mean) > 1 and min(std) > 1:  # for pixels in 0-255
        mean, std = ([value / 255 for value in values] for values in (mean, std))
    return {"mean": mean, "std": std}


def _dicts(content: Any, depth: int = _DEPTH) -> Iterator[dict[str, Any]]:
    if isinstance(content, Mapping):
        yield {key: value for key, value in content.items() if isinstance(key, str)}
        for value in content.values() if depth else ():
            yield from _dicts(value, depth - 1)


def _numbers(value: Any) -> list[float]:
    """Return three numbers as a list; an empty one for anything else."""
    values = value.flatten().tolist() if isinstance(value, torch.Tensor) else value
    if not isinstance(values, list | tuple) or len(values) != 3:
        return []
    return [*map(float, values)] if all(isinstance(v, int | float) for v in values) else []


def timm_config(path: Path) -> dict[str, Any]:
    """Return what timm's config.json beside a file of weights states; {} if there is none.

    `arch` and, where it has them, `mean`, `std` and `class_names`.
    """
    try:
        config = json.loads(path.with_name("config.json").read_text(encoding="utf-8"))
        if path.suffix not in (".safetensors", ".bin") or "architecture" not in config:
            return {}
        of_weights = config.get("pretrained_cfg") or {}
        return {"arch": config["architecture"], **stated_in(config | of_weights)}
    except (OSError, ValueError, TypeError):  # no such file, or another program's
        return {}
