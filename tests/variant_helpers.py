"""Image folders by the hundred, of the same few bytes, and a model of 1000 classes."""

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

# Answers by the image's mean colour, so that different images get different answers.
THOUSAND = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 1000)
        generator = torch.Generator().manual_seed(0)
        self.head.weight.data = torch.randn(1000, 3, generator=generator)
        self.head.bias.data = torch.randn(1000, generator=generator) / 10

    def forward(self, x):
        return self.head(x.mean((2, 3)))
"""


def jpeg(colour: tuple[int, int, int] = (200, 30, 90)) -> bytes:
    """Return a small JPEG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def lay_out(root: Path, folders: Iterable[str], per_folder: int = 1, content: bytes = b"") -> Path:
    """Return `root`, with `per_folder` files <k>.JPEG in each of the folders."""
    for name in folders:
        (root / name).mkdir(parents=True, exist_ok=True)
        for k in range(per_folder):
            (root / name / f"{k}.JPEG").write_bytes(content)
    return root
