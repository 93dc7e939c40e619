"""One image at a time: PIL, torchvision's transforms, numpy. No batches, no stores, no workers."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

STUDY = transforms.Compose(
    [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
)


def logits_of(model, path: Path, resize: bool) -> np.ndarray:
    """Return the model's logits for one file, float64."""
    image = Image.open(path).convert("RGB")
    x = STUDY(image) if resize else transforms.ToTensor()(image)
    with torch.no_grad():
        return model(x[None])[0].numpy().astype(np.float64)


def top_five(logits: np.ndarray) -> list[int]:
    """Return the five best classes, the best first; ties to the lower index."""
    return sorted(range(len(logits)), key=lambda k: (-logits[k], k))[:5]


def category(logits: np.ndarray, members: dict[str, list[int]]) -> str:
    """Return the category with the highest mean probability; ties to the first by name."""
    exponentials = np.exp(logits - logits.max())
    probabilities = exponentials / exponentials.sum()
    means = {name: probabilities[indices].mean() for name, indices in members.items()}
    return min(means, key=lambda name: (-means[name], name))


def category_of_best(logits: np.ndarray, members: dict[str, list[int]]) -> str:
    """Return the category of the best class among those that belong to one."""
    owner = {index: name for name, indices in members.items() for index in indices}
    return owner[max(sorted(owner), key=lambda index: logits[index])]


def read_members(fixtures: Path) -> dict[str, list[int]]:
    """Return the ImageNet classes of each of the 16 categories, from the published table."""
    return json.loads((fixtures / "published" / "sixteen_classes.json").read_text())
