"""A world of sixteen classes in which train.py takes a second, and its command line."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = tuple(f"class_{letter}" for letter in "abcdefghijklmnop")
PER_CLASS, BATCH, SIDE = 4, 16, 32
STEPS = len(CLASSES) * PER_CLASS // BATCH

# A small network with what training has to get right: batch normalization and dropout.
NETWORK = f"""
import torch

class Net(torch.nn.Module):
    classes = {CLASSES}

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 5, stride=4)
        self.bn = torch.nn.BatchNorm2d(8)
        self.dropout = torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(8, 16)

    def forward(self, x):
        return self.head(self.dropout(self.bn(self.conv(x)).relu().mean((2, 3))))

def net(): return Net()
"""


def _picture(path: Path, label: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1000 * label + seed)
    colour = np.array([label % 4, label // 4, (label * 7) % 5]) * 50
    noise = rng.integers(0, 50, (40, 40, 3))
    Image.fromarray((colour + noise).astype(np.uint8)).save(path)


def draw_world(root: Path) -> Path:
    """Return `root` with imagenet/, sin/ (train and val each), stimuli/ and the network net.py."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "net.py").write_text(NETWORK)
    for label, name in enumerate(CLASSES):
        for number in range(PER_CLASS):
            for offset, folder in enumerate(("imagenet", "sin")):
                file = f"{name}/{number}.png"
                _picture(root / folder / "train" / file, label, 100 * offset + number)
                _picture(root / folder / "val" / file, label, 100 * offset + 50 + number)
        for texture in {label, (label + 5) % 16}:
            file = f"{name}/{name}1-{CLASSES[texture]}2.png"
            _picture(root / "stimuli" / file, texture, 300 + label)
    return root


def words(world: Path, out: Path, *more: str, recipe: str = "scratch") -> list[str]:
    """Return the command line of a run of two epochs in this world."""
    network = ["--model", f"{world}/net.py:net"] if recipe in "ABC" else []
    network = network or ["--arch", f"{world}/net.py:net"]
    data = ["--imagenet", f"{world}/imagenet", "--stylized", f"{world}/sin"]
    numbers = ["--epochs", "2", "--milestones", "1", "--batch_size", str(BATCH)]
    size = ["--size", str(SIDE), "--least_area", "0.5", "--limit_val", "32"]
    where = ["--stimuli", f"{world}/stimuli", "--device", "cpu", "--out", str(out)]
    return ["--recipe", recipe, *network, *data, *numbers, *size, *where, *more]
