"""DINOv2's linear classifiers: the frozen vision transformer and a published head.

Source: Oquab et al., TMLR 2024 (arXiv 2304.07193); with registers, Darcet et al., ICLR 2024 (arXiv
2309.16588); layouts and head from the publisher's torch hub (facebookresearch/dinov2,
dinov2_vits14_lc and the like), whose blocks are timm's.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

PATCH = 14
CLASSES = 1000
_PUBLISHED_OFFSET = 0.1


class DinoV2(nn.Module):
    """A DINOv2 classifier of normalized images, whose parameters have the publisher's names.

    arch: timm's name of the transformer without registers. registers: number of extra tokens.
    layers: of which the class tokens are read, 1 or 4; the head also reads the mean of the last
    layer's patches. options: of timm's constructor.
    """

    def __init__(self, arch: str, layers: int = 4, registers: int = 0, **options: Any) -> None:
        super().__init__()
        import timm

        vit: Any = timm.create_model(arch, pretrained=False, num_classes=0, **options)
        self.patch_embed, self.blocks, self.norm = vit.patch_embed, vit.blocks, vit.norm
        self.cls_token, self.pos_embed = vit.cls_token, vit.pos_embed
        self.registers, self.layers = registers, layers
        if registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, registers, vit.embed_dim))
        self.head = nn.Linear((1 + layers) * vit.embed_dim, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, 1000), of images whose sides are multiples of 14 pixels."""
        if x.shape[-1] % PATCH or x.shape[-2] % PATCH:
            raise ValueError(f"its patches are {PATCH} x {PATCH} pixels")
        patches = self.patch_embed.proj(x)
        positions = self._positions(*patches.shape[-2:])
        tokens = torch.cat(
            [self.cls_token.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1
        )
        tokens = tokens + positions
        if self.registers:  # without positions
            extra = self.register_tokens.expand(len(x), -1, -1)
            tokens = torch.cat([tokens[:, :1], extra, tokens[:, 1:]], dim=1)
        classes = []
        for number, block in enumerate(self.blocks, start=self.layers - len(self.blocks)):
            tokens = block(tokens)
            if number >= 0:
                classes.append(self.norm(tokens)[:, 0])
        mean = self.norm(tokens)[:, 1 + self.registers :].mean(dim=1)
        return self.head(torch.cat([*classes, mean], dim=1))

    def _positions(self, rows: int, columns: int) -> torch.Tensor:
        """Return the position embeddings of the class token and a grid of patches.

        Resized as the publisher does: for models without registers without antialiasing and with
        a scale that is slightly too large, on which the heads were trained.
        """
        side = round((self.pos_embed.shape[1] - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        if self.registers:
            resized = F.interpolate(grid, (rows, columns), mode="bicubic", antialias=True)
        else:
            scale = tuple((count + _PUBLISHED_OFFSET) / side for count in (rows, columns))
            resized = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)
