"""Accuracy and shape bias of a miniature model on pictures in memory."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from miniature.network import MEAN, STD, MiniatureNet
from miniature.world import Picture, render

BATCH = 64


def load(path: Path) -> MiniatureNet:
    """Return the network with the weights of a safetensors file, in evaluation mode.

    Raises RuntimeError for missing or unexpected tensors, or other shapes.
    """
    model = MiniatureNet()
    model.load_state_dict(load_file(path), strict=True)
    return model.eval()


def sample(seed: int, split: str, pictures: Iterable[Picture]) -> torch.Tensor:
    """Return the pictures of those keys, in order: uint8 (N, 3, 224, 224)."""
    images = np.stack([render(seed, split, picture) for picture in pictures])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Return model inputs, float (B, 3, H, W), of images in [0, 1]."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


@torch.inference_mode()
def decisions(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the model's categories, int64 (N,), for images uint8 (N, 3, H, W)."""
    batches = images.split(BATCH)
    return torch.cat([model(normalised(batch / 255)).argmax(dim=1) for batch in batches])


def cue_fractions(answers: torch.Tensor, pictures: Iterable[Picture]) -> dict[str, float]:
    """Return the shape bias, and the fractions of answers: shape, texture and neither.

    Pictures whose shape and texture are of one category are excluded. Shape bias is shape / (shape
    + texture) as in Geirhos et al. (2019); nan if neither was ever chosen.
    """
    cues = torch.tensor([(picture.shape, picture.texture) for picture in pictures])
    conflict = cues[:, 0] != cues[:, 1]
    hits = (answers[:, None] == cues)[conflict].double().mean(dim=0)
    shape, texture = hits.tolist()
    bias = shape / (shape + texture) if shape + texture else float("nan")
    neither = 1 - shape - texture
    return {"shape_bias": bias, "shape": shape, "texture": texture, "neither": neither}
