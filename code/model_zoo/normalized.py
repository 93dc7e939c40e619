"""The one interface that every model has here: RGB in [0, 1] in, logits out."""

from collections.abc import Sequence

import torch
from torch import nn

from images.preprocessing import Preprocessing


class NormalizedModel(nn.Module):
    """A classifier of (B, 3, H, W) float RGB images in [0, 1] → (B, classes) logits.

    mean, std: the channel statistics that the wrapped `network` was trained with.
    classes: the names of the logits; None means ImageNet-1k's 1000 wnids in sorted order.
    native: the model's own preprocessing, where it is known.
    origin: where the weights came from, for the record.
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
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))
        self.classes = classes
        self.native = native
        self.origin = origin or {}

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, classes)."""
        return self.network((pixels - self.mean) / self.std)
