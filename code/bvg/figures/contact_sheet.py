"""A contact sheet of cue-conflict stimuli: one of each shape in each texture."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from bvg.figures.drawing import DPI, save

MOST = 24  # rows and columns that are drawn
_SIDE, _LEAST_SIDE, _WIDTH = 224, 64, 2000  # pixels of a picture, and of all pictures of a row
_GAP = 4  # pixels between pictures
_FONT = 7  # points


def contact_sheet(
    shapes: Sequence[str],
    textures: Sequence[str],
    picture: Callable[[str, str], Path | None],
    path: Path,
) -> list[Path]:
    """Return the files of the figure, `path` with .png and with .pdf: a row for each shape.

    picture: returns the file to show for a shape and a texture, or None. More than MOST categories
    are reduced to the first ones.
    """
    shapes, textures = shapes[:MOST], textures[:MOST]
    side = min(_SIDE, max(_LEAST_SIDE, _WIDTH // len(textures)))
    step = side + _GAP
    sheet = np.full((len(shapes) * step, len(textures) * step, 3), 255, dtype=np.uint8)
    for row, shape in enumerate(shapes):
        for column, texture in enumerate(textures):
            if file := picture(shape, texture):
                tile = _tile(file, side)
                y, x = row * step, column * step
                sheet[y : y + side, x : x + side] = tile
    height, width = (count / DPI for count in sheet.shape[:2])
    letters = max(map(len, [*shapes, *textures])) * 0.6 * _FONT / 72
    left, top = 0.3 + letters, 0.3 + (letters if _is_narrow(textures, side) else 2 * _FONT / 72)
    figure = plt.figure(figsize=(left + width, top + height))
    axes = figure.add_axes(
        (left / (left + width), 0, width / (left + width), height / (top + height))
    )
    axes.imshow(sheet, interpolation="none", aspect="auto")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=_FONT, labeltop=True, labelbottom=False, pad=2)
    centres = step * np.arange(max(len(shapes), len(textures))) + side / 2
    rotation = 90 if _is_narrow(textures, side) else 0
    axes.set_xticks(centres[: len(textures)], textures, rotation=rotation)
    axes.set_yticks(centres[: len(shapes)], shapes)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("texture", fontsize=_FONT)
    axes.set_ylabel("shape", fontsize=_FONT)
    return save(figure, path)


def _is_narrow(labels: Sequence[str], side: int) -> bool:
    """Return whether the labels do not fit above pictures of this side."""
    return max(map(len, labels)) * 0.6 * _FONT / 72 * DPI > side


def _tile(file: Path, side: int) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
