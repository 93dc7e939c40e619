"""Style transfer by optimisation: one picture's content with another's Gram matrices.

Source: Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR
2016; layers, weights, scales and the optimizer's settings are those of Gatys' own code,
leongatys/PytorchNeuralStyleTransfer.
"""

import difflib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bvg.errors import UserError, first_few, model_errors
from bvg.zoo.checkpoints import read_checkpoint
from bvg.zoo.loading import CheckpointOptions, load_model
from bvg.zoo.normalized import NormalizedModel
from bvg.zoo.weights import load_strictly, weights_sha256

VGG19 = "vgg19"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
STYLE_WEIGHT = 1000.0  # of a layer of C channels it is this / C²; the content's weight is 1
STEPS = 500  # evaluations of the loss, after which no further step of L-BFGS begins
_PER_STEP = 20  # evaluations of a step of torch's L-BFGS by default

WIDTHS = (64, 128, 256, 512, 512)  # channels of the five scales of VGG-19
_DEPTHS = (2, 2, 4, 4, 4)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of B, G and R, for pixels in 0-255
_TORCHVISION = "torchvision:vgg19/IMAGENET1K_V1"


class DivergedError(ValueError):
    """The optimisation has failed: the loss is no number, or has not fallen."""


class _EnoughError(Exception):
    """All layers that are needed have been computed."""


@dataclass(frozen=True)
class Encoder:
    """The network whose features are matched.

    network: in eval mode, without gradients of its own. mean, std: of its input, (3, 1, 1), for RGB
    in [0, 1]. bgr: its first channel is blue.
    """

    network: nn.Module
    mean: torch.Tensor
    std: torch.Tensor
    bgr: bool = False

    def input_of(self, picture: np.ndarray) -> torch.Tensor:
        """Return the network's input, (1, 3, H, W), for an (H, W, 3) uint8 RGB picture."""
        rgb = torch.tensor(picture, device=self.mean.device).permute(2, 0, 1).to(self.mean) / 255
        x = ((rgb - self.mean) / self.std)[None].contiguous()
        return x.flip(1) if self.bgr else x

    def picture_of(self, x: torch.Tensor) -> np.ndarray:
        """Return the (H, W, 3) uint8 RGB picture, limited to [0, 1], of a network's input."""
        rgb = (x.flip(1) if self.bgr else x)[0] * self.std + self.mean
        pixels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8)
        return pixels.permute(1, 2, 0).cpu().numpy()

    def features(self, x: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the outputs of named layers; the network is run up to the last of them.

        Raises KeyError for a layer that the network does not have or does not use.
        """
        found: dict[str, torch.Tensor] = {}

        def keeping(name: str) -> Callable:
            def keep(module: nn.Module, inputs: Any, output: Any) -> None:
                # A copy, since the next layer may change its input in place.
                found[name] = output.clone() if isinstance(output, torch.Tensor) else output
                if len(found) == len(set(layers)):
                    raise _EnoughError

            return keep

        modules = dict(self.network.named_modules())
        handles = [modules[name].register_forward_hook(keeping(name)) for name in layers]
        try:
            self.network(x)
        except _EnoughError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return {name: found[name] for name in layers}


def vgg19_network(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """Return the convolutions of VGG-19 without weights, from conv1_1 to relu5_4."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for scale, (width, depth) in enumerate(zip(widths, _DEPTHS, strict=True), 1):
        if scale > 1:
            layers[f"pool{scale - 1}"] = nn.MaxPool2d(2, 2)
        for number in range(1, depth + 1):
            layers[f"conv{scale}_{number}"] = nn.Conv2d(channels, width, 3, padding=1)
            layers[f"relu{scale}_{number}"] = nn.ReLU()
            channels = width
    return nn.Sequential(layers)


def load_encoder(name: str, weights_dir: Path | None, device: torch.device) -> Encoder:
    """Return the encoder called `name`, on the device.

    VGG19: torchvision's weights. A file *.pth: a state dict of VGG-19's convolutions under the
    names conv1_1 … conv5_4, whose input is BGR in 0-255 minus the mean, as vgg_conv.pth of Gatys'
    code. Anything else: a model as load_model takes it.
    Raises UserError as load_model does, and for other files.
    """
    mean, std, bgr = torch.zeros(3), torch.ones(3), False
    if Path(name).suffix == ".pth":
        network: nn.Module = vgg19_network(WIDTHS)
        remedy = "give a file laid out as vgg_conv.pth of leongatys/PytorchNeuralStyleTransfer"
        load_strictly(network, read_checkpoint(Path(name).expanduser()), name, remedy)
        mean, std, bgr = torch.tensor(_CAFFE_MEAN).flip(0) / 255, torch.ones(3) / 255, True
    else:
        given = _TORCHVISION if name == VGG19 else name
        network = load_model(given, CheckpointOptions(weights_dir=weights_dir))
        if isinstance(network, NormalizedModel):
            mean, std, network = network.mean.flatten(), network.std.flatten(), network.network
        if name == VGG19:
            network = _renamed(network)
    network.requires_grad_(False).eval().to(device)
    mean, std = (values.to(device).expand(3).view(3, 1, 1) for values in (mean, std))
    return Encoder(network, mean, std, bgr)


def _renamed(torchvision: nn.Module) -> nn.Module:
    """Return the convolutions of torchvision's VGG-19 under the names of the paper's layers."""
    network = vgg19_network(WIDTHS)
    theirs = torchvision.get_submodule("features").state_dict().values()
    network.load_state_dict(dict(zip(network.state_dict(), theirs, strict=True)))
    return network


def check_layers(encoder: Encoder, name: str, layers: Sequence[str], side: int) -> None:
    """Raise UserError unless each of the layers gives (1, C, H, W) for pictures of this side."""
    modules = [module for module, _ in encoder.network.named_modules() if module]
    for layer in layers:
        if layer not in modules:
            near = difflib.get_close_matches(layer, modules, cutoff=0.3) or modules
            raise UserError(
                f"{name} has no layer {layer!r}, but {first_few(near)}: choose others with "
                "--style_layers and --content_layer"
            )
    grey = encoder.input_of(np.full((side, side, 3), 128, dtype=np.uint8))
    choose = "choose others with --style_layers and --content_layer, or another --encoder"
    with model_errors(f"{name} fails on a picture", choose), torch.inference_mode():
        found = encoder.features(grey, layers)
    for layer, output in found.items():
        if not isinstance(output, torch.Tensor) or output.ndim != 4:
            what = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output)
            raise UserError(
                f"the layer {layer} of {name} gives {what}, not a map of features: {choose}"
            )


def gram(features: torch.Tensor) -> torch.Tensor:
    """Return the Gram matrices, (B, C, C), of features, (B, C, H, W): sums of products / (H·W)."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


@dataclass(frozen=True)
class Target:
    """What a picture should have: the content's features, and the texture's Gram matrices."""

    content: torch.Tensor
    grams: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Gatys:
    """The optimisation and its settings.

    style_weight: divided by the square of a layer's number of channels; the content's weight is 1.
    steps: evaluations of the loss after which no further step of L-BFGS begins; each has up to 20.
    """

    encoder: Encoder
    style_layers: Sequence[str] = STYLE_LAYERS
    content_layer: str = CONTENT_LAYER
    style_weight: float = STYLE_WEIGHT
    steps: int = STEPS

    @property
    def evaluations(self) -> int:
        """Return how often the loss is evaluated, unless the optimizer stops earlier."""
        return (self.steps // _PER_STEP + 1) * _PER_STEP

    @torch.no_grad()
    def target(self, content: torch.Tensor, texture: torch.Tensor) -> Target:
        """Return the target of two inputs of the network, (1, 3, H, W) of any sizes."""
        features = self.encoder.features(texture, self.style_layers)
        grams = {name: gram(value) for name, value in features.items()}
        layer = self.content_layer
        return Target(self.encoder.features(content, [layer])[layer], grams)

    def loss(self, x: torch.Tensor, target: Target) -> torch.Tensor:
        """Return how far a network's input is from the target."""
        features = self.encoder.features(x, [*{*self.style_layers, self.content_layer}])
        loss = F.mse_loss(features[self.content_layer], target.content)
        for name, wanted in target.grams.items():
            weight = self.style_weight / features[name].shape[1] ** 2
            loss = loss + weight * F.mse_loss(gram(features[name]), wanted)
        return loss

    def optimised(
        self, content: torch.Tensor, texture: torch.Tensor, tick: Callable[[], None] = lambda: None
    ) -> tuple[torch.Tensor, list[float]]:
        """Return the optimised input of the network, from the content on, and each loss.

        tick: called after each evaluation of the loss. Raises DivergedError.
        """
        target = self.target(content, texture)
        x = content.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([x])
        losses: list[float] = []

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = self.loss(x, target)
            loss.backward()
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                raise DivergedError(f"its loss is {losses[-1]} after {len(losses)} steps")
            tick()
            return loss

        while len(losses) <= self.steps:
            optimizer.step(closure)
        if losses[-1] >= losses[0] > 0 or not x.isfinite().all():
            raise DivergedError(f"its loss went from {losses[0]:.3g} to {losses[-1]:.3g}")
        return x.detach(), losses

    def make(
        self, content: np.ndarray, texture: np.ndarray, tick: Callable[[], None] = lambda: None
    ) -> np.ndarray:
        """Return the content, (H, W, 3) uint8, in the texture of another picture of any size."""
        inputs = self.encoder.input_of(content), self.encoder.input_of(texture)
        return self.encoder.picture_of(self.optimised(*inputs, tick)[0])

    def seconds(self, content: np.ndarray, texture: np.ndarray) -> float:
        """Return about how long `make` takes, from one evaluation of the loss and its gradient."""
        start = self.encoder.input_of(content)
        target = self.target(start, self.encoder.input_of(texture))
        took = 0.0
        for _ in range(2):  # the first one includes the choice of algorithms
            x = start.clone().requires_grad_()
            before = time.perf_counter()
            loss = self.loss(x, target)
            loss.backward()
            loss.item()  # waits for the device
            took = time.perf_counter() - before
        return took * self.evaluations

    def record(self, name: str) -> dict[str, Any]:
        """Return what the result depends on; name: the encoder's, without folders."""
        return {
            "engine": "gatys",
            "encoder": name,
            "weights_sha256": weights_sha256(self.encoder.network),
            "style_layers": [*self.style_layers],
            "content_layer": self.content_layer,
            "style_weight": self.style_weight,
            "steps": self.steps,
        }
