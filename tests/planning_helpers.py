"""A world of the same few pictures for every benchmark of a study, and a model of its classes."""

import json
import os
from pathlib import Path

from conftest import draw
from images.categories import CATEGORIES
from eval_imagenet_cbar import IMAGENET_CBAR
from images.model_vs_human import DATA_SETS
from images.sequences import PERTURBATIONS
from model_vs_human_helpers import image_names
from stimuli.imagenet_c import CORRUPTIONS

MODEL = f"""
import torch

class Tiny(torch.nn.Module):
    classes = {CATEGORIES!r}

    def __init__(self, seed):
        super().__init__()
        self.head = torch.nn.Linear(3, 16)
        generator = torch.Generator().manual_seed(seed)
        self.head.weight.data = torch.randn(16, 3, generator=generator)

    def forward(self, x):
        return self.head(x.mean((2, 3)))

def one(): return Tiny(1)
def two(): return Tiny(2)
"""
FRAMES = 3


def write_world(root: Path) -> Path:
    """Return the file of the models; beside it `data`, as download.py would write it."""
    picture = draw(root / "picture.png", 0, (224, 224))
    data = root / "data"
    real = []
    for label, name in enumerate(CATEGORIES):
        for _ in range(2):
            real.append([] if label % 4 == 0 else [label])
            _link(picture, data / f"imagenet/val/{name}/ILSVRC2012_val_{len(real):08d}.png")
        for k, variant in enumerate(("v2", "a", "r", "sketch")):
            for number in range(k + 1):
                _link(picture, data / f"imagenet-{variant}/{name}/{number}.png")
        for severity in range(1, 6):
            for corruption in CORRUPTIONS:
                _link(picture, data / f"imagenet-c/{corruption}/{severity}/{name}/0.png")
            for corruption in IMAGENET_CBAR.corruptions:
                _link(picture, data / f"imagenet-c-bar/{corruption}/{severity}/{name}/0.png")
        for perturbation in PERTURBATIONS:
            for frame in range(FRAMES):
                _link(picture, data / f"imagenet-p/{perturbation}/{name}/s/{frame}.png")
    for name in DATA_SETS:
        for _, _, path in image_names(name, len(CATEGORIES)):
            _link(picture, data / "model-vs-human" / name / path)
    (data / "imagenet-real").mkdir()
    (data / "imagenet-real" / "real.json").write_text(json.dumps(real))
    (root / "tiny.py").write_text(MODEL)
    return root / "tiny.py"


def _link(picture: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(picture, path)
