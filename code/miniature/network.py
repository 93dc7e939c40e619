"""The network of the miniature world, small enough to keep its weights in the repository."""

import torch
from torch import nn

CLASSES = 16
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
"""Normalization of pixels in [0, 1] that the weights expect."""

STEM = 24
BLOCKS = ((32, 2), (48, 2), (64, 1), (96, 2), (96, 1), (96, 1))
"""Output channels and stride of each 3x3 convolution after the stem."""
WIDTH = BLOCKS[-1][0]
"""Number of features of the classifier."""


def _block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class MiniatureNet(nn.Module):
    """Logits over the categories of the miniature world, in their order.

    Normalized RGB (B, 3, 224, 224), float, to logits (B, 16). Units of the last convolution have a
    receptive field of 223 x 223 pixels, enough for any silhouette.
    """

    def __init__(self) -> None:
        """Build the network with random weights."""
        super().__init__()
        widths = (STEM, *(width for width, _ in BLOCKS))
        self.stem = _block(3, STEM, 7, 4)
        self.blocks = nn.Sequential(
            *(_block(i, o, 3, s) for i, (o, s) in zip(widths, BLOCKS, strict=False))
        )
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, 16) of normalised images (B, 3, 224, 224)."""
        return self.head(self.features(images))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of normalized images: (B, 96)."""
        return self.blocks(self.stem(images)).mean(dim=(2, 3))
