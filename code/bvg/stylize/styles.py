"""Styles: pictures checked and encoded once, kept as statistics, and drawn for images.

A style is a vector of numbers, whose meaning is the engine's.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import MIN_SIDE, as_rgb
from bvg.errors import UserError, first_few, reason_of
from bvg.files import written_atomically
from bvg.progress import Meter
from bvg.stimuli.randomness import keyed_generator
from bvg.stylize.batches import Halving, read_ahead

# Stylized-ImageNet: one generator for all images, and how many paintings were left.
PUBLISHED_SEED, PUBLISHED_STYLES = 49809, 79_395
PUBLISHED_SIDE, PUBLISHED_QUALITY = 224, 75  # of the paintings that were saved before their use
_BATCH = 16  # of styles; fixed, so that their last digits do not depend on --batch_size


class Engine(Protocol):
    """What turns pictures, (B, H, W, 3) uint8, into stylized ones; record: what it is."""

    record: dict[str, Any]

    def stylize(self, pictures: np.ndarray, styles: np.ndarray, alpha: float) -> np.ndarray:
        """Return the pictures in the given styles, (B, numbers), of the same shape."""
        ...


class Encoder(Protocol):
    """What turns pictures of styles, (B, H, W, 3) uint8, into (B, numbers) float32."""

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        """Return the vectors of the styles."""
        ...


@dataclass(frozen=True)
class Styles:
    """Styles that can be drawn.

    names: relative to the styles' folder. vectors: (N, numbers) float32. record: how they were
    encoded. refused: the pictures that cannot be used, by name, and why.
    """

    names: Sequence[str]
    vectors: np.ndarray
    record: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)


def style_picture(path: Path, side: int, as_published: bool = False) -> np.ndarray:
    """Return the central square of a picture at `side` pixels, (side, side, 3) uint8.

    JPEGs are decoded at a fraction of their size where that is larger than needed. as_published: as
    the paintings of Stylized-ImageNet, which were decoded in full, and saved as JPEG of 224 pixels
    at quality 75; smaller ones were left out.
    Raises one of UNDECODABLE for a picture that cannot be used.
    """
    with Image.open(path) as image:
        if min(image.size) < (PUBLISHED_SIDE if as_published else MIN_SIDE):
            raise ValueError(f"it is only {image.width} x {image.height} pixels")
        if not as_published:
            image.draft(None, (2 * side, 2 * side))
        rgb = as_rgb(image)
    shorter = min(rgb.size)
    left, top = (rgb.width - shorter) // 2, (rgb.height - shorter) // 2
    square = rgb.crop((left, top, left + shorter, top + shorter))
    if not as_published:
        return np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))
    square.thumbnail((PUBLISHED_SIDE, PUBLISHED_SIDE), Image.Resampling.LANCZOS)
    saved = io.BytesIO()
    square.save(saved, "JPEG", quality=PUBLISHED_QUALITY)
    with Image.open(saved) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))


def encoded(
    images: ImageSet, encoder: Encoder, side: int, as_published: bool, record: dict[str, Any]
) -> Styles:
    """Return the styles in a folder's pictures; those that cannot be decoded are refused.

    Raises UserError if none is left.
    """
    names: list[str] = []
    vectors: list[np.ndarray] = []
    refused: dict[str, str] = {}
    halving = Halving()

    def read(index: int) -> np.ndarray:
        return style_picture(images.path(index), side, as_published)

    with Meter("encoding styles", "styles", len(images)) as meter:
        for pictures, problems in read_ahead(read, range(len(images)), _BATCH):
            refused |= {images.names[index]: why for index, why in problems.items()}
            if pictures:
                names += [images.names[index] for index in pictures]
                vectors.append(halving(encoder.encode, np.stack([*pictures.values()])))
            meter.add(len(pictures) + len(problems))
    if not names:
        raise UserError(
            f"no picture in {images.root} can be used as a style (the first: "
            f"{next(iter(refused.values()))}): give another folder with --styles"
        )
    return Styles(names, np.concatenate(vectors), record, refused)


def save_styles(path: Path, styles: Styles) -> None:
    """Write styles, for `load_styles`."""
    about = json.dumps({"record": styles.record, "refused": styles.refused})
    with written_atomically(path, "--out") as file:
        np.savez(file, names=np.array(styles.names), vectors=styles.vectors, about=np.array(about))


def load_styles(path: Path) -> Styles:
    """Return styles that were saved; raises UserError for another file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            names = [str(name) for name in file["names"]]
            styles = Styles(names, file["vectors"], about["record"], about["refused"])
        if styles.vectors.ndim != 2 or len(styles.vectors) != len(styles.names):
            raise ValueError("names and vectors do not match")
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: correct --styles") from error
    except Exception as error:  # NumPy and zipfile raise many kinds of errors
        raise UserError(
            f"{path} is not a file of styles that stylize.py wrote ({reason_of(error)}): give "
            "that, or a folder of pictures, with --styles"
        ) from error
    return styles


def keyed_draws(names: Sequence[str], seed: int, count: int) -> np.ndarray:
    """Return the style of each image, (N,) positions below `count`, keyed by (seed, name)."""
    draws = [
        torch.randint(count, (), generator=keyed_generator(seed, "style", name)).item()
        for name in names
    ]
    return np.array(draws, dtype=np.int64)


def published_draws(images: int, count: int) -> np.ndarray:
    """Return the style of each image as drawn for Stylized-ImageNet, (N,) positions below `count`.

    Source: the code of rgeirhos/Stylized-ImageNet: one draw per image, in order.
    """
    return np.random.RandomState(PUBLISHED_SEED).randint(0, count, size=images)


def refused_sentence(styles: Styles) -> str:
    """Return a sentence about the styles that are never drawn; "" if there are none."""
    if not styles.refused:
        return ""
    examples = first_few([f"{name}: {why}" for name, why in styles.refused.items()])
    return f"{len(styles.refused):,} styles cannot be used and are never drawn ({examples})"
