"""The one interface that every model has here: RGB in [0, 1] in, logits out."""

from collections.abc import Sequence

import torch
from torch import nn

from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError


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
    fit = [0 <= value <= 1 and (value > 0 or name == "mean") for value in values]  # not for NaN
    if len(values) in (1, 3) and all(fit):
        return
    given = " ".join(f"{value:g}" for value in values)
    scaled = ""
    if all(0 <= value <= 255 for value in values) and max(values, default=0) > 1:
        divided = " ".join(f"{value / 255:.4g}" for value in values)
        scaled = f"; divided by 255, as for pixels in 0-255, it would be {divided}"
    raise UserError(
        f"the {name} {given} does not fit pixels in [0, 1], which models get here: give three "
        f"numbers {'from 0' if name == 'mean' else 'above 0 and up'} to 1{scaled}"
    )
