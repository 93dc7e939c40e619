"""The network to train: where it starts, and how its weights are saved for the zoo."""

import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from bvg.data.imagenet import are_imagenet, imagenet_classes
from bvg.errors import UserError, model_errors
from bvg.files import written_atomically
from bvg.zoo.checkpoints import MODEL
from bvg.zoo.loading import CheckpointOptions, load_model, network_of
from bvg.zoo.names import FACTORY
from bvg.zoo.normalized import NormalizedModel, positions_in_imagenet
from bvg.zoo.stated import classes_of
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD, find


@dataclass(frozen=True)
class Start:
    """What training begins with.

    model: images in [0, 1] → logits, on the CPU. classes: of its logits.
    arch: what --arch has to be to load the weights again; "" if no name describes it.
    """

    model: NormalizedModel
    classes: tuple[str, ...]
    arch: str


def new_model(arch: str, classes: tuple[str, ...], seed: int, size: int) -> Start:
    """Return a network of random weights, drawn from the seed, for these classes.

    size: side of the training images. Raises UserError for one that the network does not take.
    """
    own = None if are_imagenet(classes) else classes
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = network_of(arch, own)
    origin: dict[str, object] = {"untrained": True}
    model = NormalizedModel(network, IMAGENET_MEAN, IMAGENET_STD, classes=own, origin=origin)
    return _start(model, arch, size, f"--arch {arch}")


def pretrained_model(name: str, options: CheckpointOptions, size: int) -> Start:
    """Return the model `name`, which is what --model takes, to train it further.

    size: side of the training images. Raises UserError where it cannot be loaded or does not take
    such images, or its logits are ImageNet's in another order.
    """
    model = load_model(name, options)
    if not isinstance(model, NormalizedModel):  # a user's, which takes images in [0, 1]
        declared = getattr(model, "classes", None)
        model = NormalizedModel(model, (0.0,) * 3, (1.0,) * 3, classes=declared)
    return _start(model, _architecture(name, model), size, f"--model {name}")


def _start(model: NormalizedModel, arch: str, size: int, flag: str) -> Start:
    remedy = f"give another one with {flag.split()[0]}, or another --size"
    x = torch.full((2, 3, size, size), 0.5)
    with torch.no_grad(), model_errors(f"{flag} fails on images of {size} x {size} pixels", remedy):
        count = model.eval()(x).shape[1]
        logits = deepcopy(model).train()(x)  # a copy, whose batch norms are changed
    if not isinstance(logits, torch.Tensor):  # such as GoogLeNet's, with auxiliary classifiers
        raise UserError(
            f"{flag} returns {type(logits).__name__} in training, not logits: {remedy}, or wrap it "
            "in a factory, path/to/file.py:factory, that returns logits alone"
        )
    classes = classes_of(model, count, flag)
    positions = positions_in_imagenet(classes)
    if positions is not None:
        if positions != [*range(count)]:
            raise UserError(
                f"{flag} has ImageNet's classes in another order, or a background class: start "
                "with a model whose logits are in the order of the sorted wnids"
            )
        classes = imagenet_classes()  # which may have had English names
    model.classes = None if are_imagenet(classes) else classes
    model.requires_grad_(True).train()
    return Start(model, classes, arch)


def _architecture(name: str, model: NormalizedModel) -> str:
    """Return the name of the architecture for --arch, "" if there is none."""
    origin: dict[str, Any] = model.origin
    if "arch" in origin:  # of a file://
        return origin["arch"]
    if "torchvision" in origin:
        return f"torchvision:{origin['torchvision'].partition('/')[0]}"
    if "timm" in origin:
        return f"timm:{origin['timm'].partition('.')[0]}"
    row = find(name)
    if row is not None:
        return "" if row.arch_options else row.arch
    if match := FACTORY.fullmatch(name):
        return f"{Path(match['path']).expanduser().resolve()}:{match['factory']}"
    return ""


def save_weights(path: Path, model: NormalizedModel, arch: str, training: dict[str, Any]) -> None:
    """Write the network's weights for --model file://…, with what it takes to load them.

    training: how they came about, for the record.
    """
    recorded = {
        "arch": arch,
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "classes": model.classes,
        "training": training,
    }
    # Clones, since safetensors refuses tensors that share memory.
    state = {
        key: value.detach().cpu().contiguous().clone()
        for key, value in model.network.state_dict().items()
    }
    # One key, because safetensors writes several in any order.
    with written_atomically(path, "--out") as file:
        file.write(save(state, metadata={MODEL: json.dumps(recorded)}))
