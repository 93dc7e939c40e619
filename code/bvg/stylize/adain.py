"""AdaIN: the content's features get the mean and the standard deviation of the style's.

Source: Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
Normalization", ICCV 2017. The networks' layout is that of naoto0804/pytorch-AdaIN (which publishes
the weights for PyTorch), rgeirhos/Stylized-ImageNet and bethgelab/stylize-datasets.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bvg.data.fetch import fetch
from bvg.errors import UserError
from bvg.files import sha256_of
from bvg.zoo.checkpoints import read_checkpoint
from bvg.zoo.weights import load_strictly

WIDTHS = (64, 128, 256, 512)  # channels of the four scales
STRIDE = 8  # pixels per feature, a side
LEAST = 2 * STRIDE  # pixels a side, for statistics of at least 2 × 2 features
EPSILON = 1e-5  # added to variances
ENCODER_USED = 31  # the modules up to relu4_1

ABOUT = "https://github.com/naoto0804/pytorch-AdaIN/releases/tag/v0.0.0"
_RELEASE = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0"
ENCODER, DECODER = "vgg_normalised.pth", "decoder.pth"
# From a third party's downloader.
SHA256 = {
    ENCODER: "804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
    DECODER: "379ca41d59f3a37eed3599bbbc2560c19da5c458870a5ffd3a9dd41aa88f9472",
}
_AGAIN = f"delete it to download it again, or get the published file ({ABOUT})"
LEAST_CORRELATION = 0.5  # of a picture and its reconstruction; about 0 with other weights


def encoder_network(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """Return VGG-19 up to relu5_4 without weights: RGB (B, 3, H, W) in [0, 1] → features.

    The first layer scales colours and orders them as VGG's.
    """
    first, second, third, fourth = widths
    modules: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    channels = 3
    for number, (width, depth) in enumerate(
        ((first, 2), (second, 2), (third, 4), (fourth, 4), (fourth, 4))
    ):
        if number:
            modules.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        for _ in range(depth):
            modules += [*_convolution(channels, width), nn.ReLU()]
            channels = width
    return nn.Sequential(*modules)


def decoder_network(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """Return the decoder without weights: features of relu4_1 → RGB, not limited to [0, 1]."""
    first, second, third, fourth = widths
    steps = [fourth, *[third] * 4, second, second, first, first, 3]
    modules: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(steps)):
        modules += [*_convolution(before, after), nn.ReLU()]
        if number in (0, 4, 6):
            modules.append(nn.Upsample(scale_factor=2, mode="nearest"))
    return nn.Sequential(*modules[:-1])  # no ReLU at the end


def _convolution(before: int, after: int) -> Iterator[nn.Module]:
    yield nn.ReflectionPad2d(1)
    yield nn.Conv2d(before, after, 3)


def statistics(features: torch.Tensor) -> torch.Tensor:
    """Return the mean and standard deviation of each channel of (B, C, H, W), (B, 2C).

    The variance is unbiased, and EPSILON is added to it.
    """
    variance, mean = torch.var_mean(features, dim=(2, 3))
    return torch.cat([mean, (variance + EPSILON).sqrt()], dim=1)


def adain(features: torch.Tensor, style: torch.Tensor, alpha: float = 1.0) -> torch.Tensor:
    """Return (B, C, H, W) features with the statistics `style`, (B, 2C).

    alpha: part of the result; the rest is the content's own features.
    """
    own_mean, own_deviation = statistics(features)[..., None, None].chunk(2, dim=1)
    mean, deviation = style[..., None, None].chunk(2, dim=1)
    styled = (features - own_mean) / own_deviation * deviation + mean
    return alpha * styled + (1 - alpha) * features


class AdaIN:
    """The engine of an encoder and a decoder.

    encoder, decoder: networks with weights, on the device. record: what the result depends on.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, record: dict[str, Any]) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.record = record

    @property
    def device(self) -> torch.device:
        """Return where the networks are."""
        return next(self.encoder.parameters()).device

    @torch.inference_mode()
    def encode(self, pictures: np.ndarray) -> np.ndarray:
        """Return (B, H, W, 3) uint8 styles as their statistics, (B, 2C) float32."""
        return statistics(self.encoder(padded(self._as_tensor(pictures)))).cpu().numpy()

    @torch.inference_mode()
    def stylize(self, pictures: np.ndarray, styles: np.ndarray, alpha: float) -> np.ndarray:
        """Return (B, H, W, 3) uint8 pictures in the given styles, of the same shape."""
        height, width = pictures.shape[1:3]
        features = self.encoder(padded(self._as_tensor(pictures)))
        styled = adain(features, torch.from_numpy(styles).to(self.device), alpha)
        rgb = self.decoder(styled)[:, :, :height, :width].clamp(0, 1)
        return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

    def _as_tensor(self, pictures: np.ndarray) -> torch.Tensor:
        on_device = torch.tensor(pictures, device=self.device)
        return on_device.permute(0, 3, 1, 2).float() / 255


def padded(x: torch.Tensor) -> torch.Tensor:
    """Return pictures reflected at the right and lower edges to multiples of STRIDE.

    The decoder's output would otherwise be larger than the picture.
    """
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="reflect")


def load_adain(folder: Path, device: torch.device) -> AdaIN:
    """Return the engine with the published weights, downloaded to `folder` if necessary.

    Raises UserError for a failing download, a wrong hash, other weights than the networks', or
    networks that do not reconstruct a picture.
    """
    networks = {ENCODER: encoder_network(WIDTHS), DECODER: decoder_network(WIDTHS)}
    hashes = {}
    for name, network in networks.items():
        file = fetch((f"{_RELEASE}/{name}",), folder / name, SHA256[name], about=ABOUT)
        load_strictly(network, read_checkpoint(file), str(file), _AGAIN)
        network.requires_grad_(False).eval().to(device)
        hashes[name] = sha256_of(file)
    engine = AdaIN(
        networks[ENCODER][:ENCODER_USED],
        networks[DECODER],
        {"engine": "adain", "weights": hashes},
    )
    check_reconstruction(engine)
    return engine


def check_reconstruction(engine: AdaIN, remedy: str = _AGAIN) -> None:
    """Raise UserError unless a picture in its own style correlates with itself.

    Other networks' weights of the same shapes, other colour orders or other scales fail.
    """
    picture = test_picture()
    found = engine.stylize(picture, engine.encode(picture), 1.0)
    correlation = np.corrcoef(picture.ravel(), found.ravel())[0, 1]
    if not correlation >= LEAST_CORRELATION:
        raise UserError(
            "the AdaIN networks do not reconstruct a picture (its correlation with the "
            f"reconstruction is {correlation:.2f}, less than {LEAST_CORRELATION}), so that these "
            f"weights do not belong together: {remedy}"
        )


def test_picture(side: int = 64) -> np.ndarray:
    """Return a fixed smooth picture, whose colours vary independently, (1, side, side, 3) uint8."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(2 * np.pi * x), np.cos(2 * np.pi * y), np.sin(2 * np.pi * (x + y))]
    return np.round(127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)[None]
