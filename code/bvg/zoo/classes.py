"""The classes of a model's logits, and their order if they are ImageNet's."""

from collections import Counter
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import torch
from torch import nn

from bvg.data.imagenet import VAL_CLASSES, imagenet_classes
from bvg.errors import UserError

_HOW = "a model of other classes names its logits, in order, in an attribute `classes`"


class Reordered(nn.Module):
    """`network` with the logits at `positions` as its logits, in that order."""

    positions: torch.Tensor

    def __init__(self, network: nn.Module, positions: Iterable[int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("positions", torch.tensor([*positions]), persistent=False)
        self.native = getattr(network, "native", None)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, positions)."""
        return self.network(pixels).index_select(1, self.positions)


def names_of_logits(declared: Any, count: int) -> tuple[str, ...]:
    """Return a name for each of `count` logits; ImageNet-1k's sorted wnids if none is declared.

    declared: a model's attribute `classes`: names in the order of the logits, a dict of names and
    their positions in either direction (torchvision's class_to_idx, Hugging Face's id2label), or
    the number of classes, which says nothing more.
    Raises UserError, for a sentence that begins with the model's name, if they are no names, not as
    many as the logits, or not distinct, or if ImageNet's are assumed and there are not 1000 logits.
    """
    if declared is None or callable(declared) or (_is_number(declared) and declared == count):
        return _undeclared(count)  # callable: a layer or a method that happens to be called so
    names = _names(declared)
    if names is None:
        raise UserError(
            f"has an attribute `classes` that is {_shown(declared)}, not a list of names: {_HOW}; "
            "remove it if they are ImageNet's 1000 in the order of the sorted wnids"
        )
    if not names:
        return _undeclared(count)
    if len(names) != count:
        raise UserError(
            f"has {count:,} logits, but its attribute `classes` names {len(names):,}: name each"
        )
    if twice := [name for name, uses in Counter(names).items() if uses > 1]:
        raise UserError(
            f"has an attribute `classes` that gives several logits the name {twice[0]!r}: "
            "give each its own (for ImageNet, its wnid)"
        )
    return names


def positions_in_imagenet(names: tuple[str, ...]) -> list[int] | None:
    """Return the position among `names` of each of ImageNet-1k's classes, or None.

    The names may be the wnids or torchvision's English names (`weights.meta["categories"]`), in any
    order, with TensorFlow's background class besides. Any others are not ImageNet-1k's for certain.
    """
    if len(names) not in (VAL_CLASSES, VAL_CLASSES + 1):
        return None
    position = {name: k for k, name in enumerate(names)}
    extra = [name for name in names if "background" in name.lower() or name == "n00000000"]
    own = position.keys() - {*extra}
    for known in (imagenet_classes(), _torchvision_names()):
        if len(extra) <= 1 and own == {*known}:
            return [position[name] for name in known]
    return None


def _torchvision_names() -> list[str]:
    from torchvision.models import ResNet50_Weights

    return ResNet50_Weights.IMAGENET1K_V1.meta["categories"]


def _undeclared(count: int) -> tuple[str, ...]:
    if count == VAL_CLASSES:
        return imagenet_classes()
    if count == VAL_CLASSES + 1:
        raise UserError(
            "has 1,001 logits, not ImageNet's 1000. In TensorFlow's models the first is a "
            "background class: if it is here, return logits[:, 1:], or name all of them in an "
            "attribute `classes`, a list of 'background' and the 1000 sorted wnids"
        )
    raise UserError(f"has {count:,} logits, not ImageNet's {VAL_CLASSES}: {_HOW}")


def _names(declared: Any) -> tuple[str, ...] | None:
    """Return the names in the order of the logits, or None where `declared` has no such."""
    if isinstance(declared, Mapping):
        pairs = [*declared.items()]
        if all(_is_number(value) for value in declared.values()):
            pairs = [(value, name) for name, value in pairs]
        if {key for key, _ in pairs} != {*range(len(pairs))}:
            return None
        declared = [name for _, name in sorted(pairs, key=lambda pair: pair[0])]
    if isinstance(declared, str | bytes | set | frozenset) or not isinstance(declared, Iterable):
        return None
    try:
        names = [*declared]
    except TypeError:  # such as an array without dimensions
        return None
    return tuple(map(str, names)) if all(isinstance(name, str) for name in names) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _shown(declared: Any) -> str:
    if _is_number(declared) or isinstance(declared, str):
        return repr(declared)[:60]
    return f"a {type(declared).__name__}"
