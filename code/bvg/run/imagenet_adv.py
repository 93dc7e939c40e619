"""Models as targets of attacks, and saving of adversarial images."""

import argparse
import json
import shutil
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save

from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.preprocessing import STUDY
from bvg.files import make_folder, written_atomically
from bvg.run.models import LoadedModel, checkpoint_options, load_one
from bvg.run.settings import AUTOCAST, VERIFIED, autocast, settings_from
from bvg.stimuli.attacks import AttackedModel
from bvg.stimuli.batch import Batch, Columns
from bvg.stimuli.imagenet_adv import AttackCallback, amplified
from bvg.zoo.names import split_alias

_FLAG = "--save_adversarial"


def attackable(model: LoadedModel, args: argparse.Namespace) -> AttackedModel:
    """Return the model as a target of attacks; raises UserError if it has no gradient.

    Answers are computed in --precision (in fp32 if they are verified), gradients in
    `gradient_precision`.
    """
    settings = settings_from(args)
    cheap, precision = None, gradient_precision(args)
    if precision != settings.precision:
        cheap = partial(
            torch.autocast,
            settings.device.type,
            dtype=AUTOCAST.get(precision, torch.float32),
            enabled=precision in AUTOCAST,
        )
    target = AttackedModel(
        model.name, model.model, len(model.classes), partial(autocast, settings), cheap
    )
    side = model.view.crop
    grey = torch.full((1, 3, side, side), 0.5, device=settings.device)
    label = torch.zeros(1, dtype=torch.int64, device=settings.device)
    target.gradient(grey.to(memory_format=torch.channels_last), label)  # raises if there is none
    return target


def gradient_precision(args: argparse.Namespace) -> str:
    """Return --attack_precision, else --precision; bf16 where the answers are verified.

    In bf16, unlike in fp16, gradients do not underflow.
    """
    default = "bf16" if args.precision == VERIFIED else args.precision
    return args.attack_precision or default


def load_source(args: argparse.Namespace) -> LoadedModel:
    """Return the model of --source, ready on the device."""
    name, spec = split_alias(args.source)
    view = None if args.preprocess == "native" else STUDY
    return load_one(name, spec, checkpoint_options(args, args.model), settings_from(args), view)


def saving(folder: Path, images: ImageSet, args: argparse.Namespace) -> AttackCallback:
    """Return a function that saves N = args.save_adversarial images as they are attacked.

    `folder`/<condition>/<image>, with the endings _original.png, _perturbation.png,
    _adversarial.png and .safetensors. PNG holds 8 bits per channel, too few for an ε of 0.5/255;
    the safetensors hold `original` and `adversarial`, (3, H, W) float32, exactly as the model saw
    them, and in their metadata the label, first_success and the norm of the perturbation.
    """
    if not args.save_adversarial:
        return lambda *_: None
    if args.overwrite:
        shutil.rmtree(folder, ignore_errors=True)
    chosen = set(class_balanced(images, args.save_adversarial, args.seed).names)

    def write(condition: str, batch: Batch, adversarial: torch.Tensor, columns: Columns) -> None:
        for number, name in enumerate(batch.names):
            if name in chosen:
                about = {
                    "label": images.classes[int(batch.labels[number])],
                    "condition": condition,
                    **{column: values[number].item() for column, values in columns.items()},
                }
                stem = folder / condition / Path(name).with_suffix("")
                _save(stem, batch.pixels[number].cpu(), adversarial[number].cpu(), about)

    return write


def _save(stem: Path, original: torch.Tensor, adversarial: torch.Tensor, about: dict) -> None:
    make_folder(stem.parent, _FLAG)
    pictures = {
        "original": original,
        "perturbation": amplified(adversarial - original),
        "adversarial": adversarial,
    }
    for kind, picture in pictures.items():
        pixels = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        with written_atomically(stem.with_name(f"{stem.name}_{kind}.png"), _FLAG) as file:
            Image.fromarray(pixels).save(file, "PNG")
    tensors = {"original": original.contiguous(), "adversarial": adversarial.contiguous()}
    # A single metadata key, because safetensors writes several in any order.
    content = save(tensors, metadata={"about": json.dumps(about, sort_keys=True)})
    with written_atomically(stem.with_name(f"{stem.name}.safetensors"), _FLAG) as file:
        file.write(content)
