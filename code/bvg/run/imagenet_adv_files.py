"""Saved adversarial images: as pictures to look at, and as exact numbers."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from bvg.data.image_set import ImageSet, class_balanced
from bvg.files import make_folder, written_atomically
from bvg.stimuli.batch import Batch, Columns
from bvg.stimuli.imagenet_adv import Witness, amplified

FOLDER = "adversarial"
_FLAG = "--save_adversarial"


def pictures_folder(benchmark: Path, model: str | None) -> Path:
    """Return where a model's adversarial images go; None: those that all models of a call saw."""
    return (benchmark / model / FOLDER) if model else (benchmark / FOLDER)


def saving(folder: Path, images: ImageSet, arguments: argparse.Namespace) -> Witness:
    """Return a function that saves N = arguments.save_adversarial images as they are attacked.

    `folder`/<condition>/<image>, with the endings _original.png, _perturbation.png,
    _adversarial.png and .safetensors. PNG holds 8 bits per channel, too few for an ε of 0.5/255;
    the safetensors hold `original` and `adversarial`, (3, H, W) float32, exactly as the model saw
    them, and in their metadata the label, first_success and the norm of the perturbation.
    """
    if not arguments.save_adversarial:
        return lambda *_: None
    if arguments.overwrite:
        shutil.rmtree(folder, ignore_errors=True)
    chosen = set(class_balanced(images, arguments.save_adversarial, arguments.seed).names)

    def write(condition: str, batch: Batch, shown: torch.Tensor, columns: Columns) -> None:
        for number, name in enumerate(batch.names):
            if name in chosen:
                about = {
                    "label": images.classes[int(batch.labels[number])],
                    "condition": condition,
                    **{column: values[number].item() for column, values in columns.items()},
                }
                stem = folder / condition / Path(name).with_suffix("")
                _save(stem, batch.pixels[number].cpu(), shown[number].cpu(), about)

    return write


def _save(stem: Path, original: torch.Tensor, made: torch.Tensor, about: dict) -> None:
    make_folder(stem.parent, _FLAG)
    tensors = {"original": original.contiguous(), "adversarial": made.contiguous()}
    # One key: safetensors writes several in any order.
    content = save(tensors, metadata={"about": json.dumps(about, sort_keys=True)})
    pictures = {
        "original": original,
        "perturbation": amplified(made - original),
        "adversarial": made,
    }
    for kind, picture in pictures.items():
        with written_atomically(stem.with_name(f"{stem.name}_{kind}.png"), _FLAG) as file:
            Image.fromarray(_bytes(picture)).save(file, "PNG")
    with written_atomically(stem.with_name(f"{stem.name}.safetensors"), _FLAG) as file:
        file.write(content)


def _bytes(picture: torch.Tensor) -> np.ndarray:
    return (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
