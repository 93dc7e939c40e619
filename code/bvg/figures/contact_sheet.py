"""A contact sheet of cue-conflict stimuli: one of each shape in each texture."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

MOST = 24  # rows and columns that are drawn
_SIDE, _LEAST_SIDE, _WIDTH = 224, 64, 2000  # pixels of a picture, and of all pictures of a row
_GAP = 4  # pixels between pictures
_FONT = 20  # pixels


def contact_sheet(first: Mapping[tuple[str, str], Path]) -> Image.Image:
    """Return a picture with a row for each shape and a column for each texture.

    first: the file to show for a (shape, texture). More than MOST categories are reduced to the
    first ones in alphabetical order.
    """
    shapes, textures = (sorted({*names})[:MOST] for names in zip(*first, strict=True))
    side = min(_SIDE, max(_LEAST_SIDE, _WIDTH // len(textures)))
    step = side + _GAP
    rows, columns = ([_label(name) for name in names] for names in (shapes, textures))
    if max(label.width for label in columns) > side:
        columns = [label.transpose(Image.Transpose.ROTATE_90) for label in columns]
    axes = _label("texture"), _label("shape").transpose(Image.Transpose.ROTATE_90)
    left = axes[1].width + max(label.width for label in rows) + 3 * _GAP
    top = axes[0].height + max(label.height for label in columns) + 3 * _GAP
    width, height = left + len(textures) * step, top + len(shapes) * step
    sheet = Image.new("RGB", (width, height), "white")
    sheet.paste(axes[0], ((left + width - axes[0].width) // 2, _GAP))
    sheet.paste(axes[1], (_GAP, (top + height - axes[1].height) // 2))
    for column, label in enumerate(columns):
        x = left + column * step + (side - label.width) // 2
        sheet.paste(label, (x, top - label.height - _GAP))
    for row, label in enumerate(rows):
        y = top + row * step + (side - label.height) // 2
        sheet.paste(label, (left - label.width - _GAP, y))
    for row, shape in enumerate(shapes):
        for column, texture in enumerate(textures):
            if file := first.get((shape, texture)):
                sheet.paste(_tile(file, side), (left + column * step, top + row * step))
    return sheet


def _label(text: str) -> Image.Image:
    font = ImageFont.load_default(_FONT)
    right, bottom = font.getbbox(text)[2:]
    label = Image.new("RGB", (int(right) + 1, int(bottom) + 1), "white")
    ImageDraw.Draw(label).text((0, 0), text, "black", font)
    return label


def _tile(file: Path, side: int) -> Image.Image:
    with Image.open(file) as image:
        return image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
