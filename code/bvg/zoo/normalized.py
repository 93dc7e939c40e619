"""The interface of every model: RGB images in [0, 1] → logits, and what the logits stand for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import nn

from bvg.data.imagenet import VAL_CLASSES, imagenet_classes
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError

_HOW = "a model of other classes names its logits, in order, in an attribute `classes`"


class NormalizedModel(nn.Module):
    """A classifier of (B, 3, H, W) float RGB images in [0, 1] → (B, classes) logits.

    mean, std: of R, G and B in the training images of the wrapped `network`, for pixels in [0, 1].
    classes: the names of the logits; None means ImageNet-1k's 1000 wnids in sorted order.
    native: the model's own preprocessing, where it is known.
    origin: where the weights came from, for the record.
    Raises UserError for a mean outside [0, 1] or a std outside (0, 1].
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        classes: tuple[str, ...] | None = None,
        native: Preprocessing | None = None,
        origin: dict[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", mean), ("std", std)):
            statistic = torch.as_tensor(values, dtype=torch.float32)
            check_statistic(name, statistic.flatten().tolist())
            self.register_buffer(name, statistic.clone().view(-1, 1, 1))
        self.classes = classes
        self.native = native
        self.origin = origin or {}

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, classes)."""
        return self.network((pixels - self.mean) / self.std)


def check_statistic(name: str, values: Sequence[float]) -> None:
    """Raise UserError for a mean or std (`name`) that is not of pixels in [0, 1]."""
    fit = [0 <= value <= 1 and (value > 0 or name == "mean") for value in values]  # False for NaN
    if len(values) in (1, 3) and all(fit):
        return
    given = " ".join(f"{value:g}" for value in values)
    scaled = ""
    if all(0 <= value <= 255 for value in values) and max(values, default=0) > 1:
        divided = " ".join(f"{value / 255:.4g}" for value in values)
        scaled = f"; divided by 255, as for pixels in 0-255, it would be {divided}"
    raise UserError(
        f"the {name} {given} does not fit pixels in [0, 1], the input of all models: give three "
        f"numbers {'from 0' if name == 'mean' else 'above 0 and up'} to 1{scaled}"
    )


class Reordered(nn.Module):
    """`network` with its logits reordered: those at `positions`, in that order."""

    positions: torch.Tensor

    def __init__(self, network: nn.Module, positions: Iterable[int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("positions", torch.tensor([*positions]), persistent=False)
        self.native = getattr(network, "native", None)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, positions)."""
        return self.network(pixels).index_select(1, self.positions)


def names_of_logits(declared: Any, count: int, model: str = "the model") -> tuple[str, ...]:
    """Return a name for each of `count` logits; ImageNet-1k's sorted wnids if none is declared.

    declared: a model's attribute `classes`: names in the order of the logits, a dict of names and
    their positions in either direction (torchvision's class_to_idx, Hugging Face's id2label), or
    the number of classes. model: for error messages.
    Raises UserError if they are not names, not as many as the logits, or not distinct, or if
    ImageNet's are assumed and there are not 1000 logits.
    """
    if declared is None or callable(declared) or (_is_number(declared) and declared == count):
        return _undeclared(count, model)  # callable: a layer or method of that name
    names = names_in(declared)
    if names is None:
        raise UserError(
            f"{model} has an attribute `classes` that is {declared!r:.60}, not a list of names: "
            f"{_HOW}; remove it if they are ImageNet's 1000 in the order of the sorted wnids"
        )
    if not names:
        return _undeclared(count, model)
    if len(names) != count:
        raise UserError(
            f"{model} has {count:,} logits, but its attribute `classes` names {len(names):,}: name "
            "each"
        )
    if twice := [name for name, uses in Counter(names).items() if uses > 1]:
        raise UserError(
            f"{model} has an attribute `classes` that gives several logits the name {twice[0]!r}: "
            "give each its own (for ImageNet, its wnid)"
        )
    return names


def positions_in_imagenet(names: tuple[str, ...]) -> list[int] | None:
    """Return the position among `names` of each of ImageNet-1k's classes, or None.

    The names may be the wnids or torchvision's English names (`weights.meta["categories"]`), in any
    order, with or without TensorFlow's background class. For any other names the result is None.
    """
    if len(names) not in (VAL_CLASSES, VAL_CLASSES + 1):
        return None
    position = {name: k for k, name in enumerate(names)}
    extra = [name for name in names if "background" in name.lower() or name == "n00000000"]
    own = position.keys() - {*extra}
    for ordered in (imagenet_classes, _english_names):
        if len(extra) <= 1 and own == {*(known := ordered())}:
            return [position[name] for name in known]
    return None


def _english_names() -> list[str]:
    from torchvision.models import ResNet50_Weights  # here, because importing it is slow

    return ResNet50_Weights.IMAGENET1K_V1.meta["categories"]


def _undeclared(count: int, model: str) -> tuple[str, ...]:
    if count == VAL_CLASSES:
        return imagenet_classes()
    if count == VAL_CLASSES + 1:
        raise UserError(
            f"{model} has 1,001 logits, not ImageNet's 1000. In TensorFlow's models the first is a "
            "background class: if it is here, return logits[:, 1:], or name all of them in an "
            "attribute `classes`, a list of 'background' and the 1000 sorted wnids"
        )
    raise UserError(f"{model} has {count:,} logits, not ImageNet's {VAL_CLASSES}: {_HOW}")


def names_in(declared: Any) -> tuple[str, ...] | None:
    """Return the names in the order of the logits, or None if `declared` has none."""
    if isinstance(declared, Mapping):
        pairs = [*declared.items()]
        if all(_is_number(value) for value in declared.values()):
            pairs = [(value, name) for name, value in pairs]
        elif all(isinstance(key, str) and key.isdecimal() for key in declared):  # from JSON
            pairs = [(int(key), name) for key, name in pairs]
        if {key for key, _ in pairs} != {*range(len(pairs))}:
            return None
        declared = [name for _, name in sorted(pairs, key=lambda pair: pair[0])]
    if isinstance(declared, str | bytes | set | frozenset) or not isinstance(declared, Iterable):
        return None
    try:
        names = [*declared]
    except TypeError:  # such as a zero-dimensional array
        return None
    return tuple(map(str, names)) if all(isinstance(name, str) for name in names) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
