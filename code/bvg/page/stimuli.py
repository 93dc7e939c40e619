"""Example stimuli for the page: the panels that the benchmarks drew, and cue-conflict images."""

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

WIDEST = 1400  # pixels
_CUES = 6  # cue-conflict images
_CAPTIONS = {
    "imagenet_spectral": "Spectral bias: one image with only its low or only its high frequencies.",
    "imagenet_criticalband": "Critical band: a grey image of low contrast in noise of one octave.",
    "imagenet_shape_bias_lowpass": "Low-pass control: one image through each filter.",
    "imagenet_model_vs_human_lowpass": "Low-pass control: one image through each filter.",
    "imagenet_suppression": "Suppression: one image without global shape, local shape, texture or "
    "colour.",
    "imagenet_w": "ImageNet-W: one image without and with the watermark.",
    "imagenet_c_generated": "Corruptions of ImageNet-C, made from one image.",
}


def example_stimuli(results: Path | None) -> list[dict[str, Any]]:
    """Return pictures of what models saw, each with data (a URL), width, height, alt and caption.

    results: the folder of the results; the cue-conflict images come from where they were then, if
    they still are.
    """
    if results is None:
        return []
    found = []
    if cues := _cue_conflict(results):
        found.append(
            _picture(cues, "Cue conflict: the shape of one category, the texture of another.")
        )
    for path in sorted(results.glob("*/example_stimuli.png")):
        name = path.parent.name
        caption = _CAPTIONS.get(name, f"{name}: one image under its conditions.")
        with Image.open(path) as image:
            found.append(_picture(image.convert("RGB"), caption))
    return found


def _cue_conflict(results: Path) -> Image.Image | None:
    """Return some cue-conflict images in a row, or None where there are none."""
    for summary in sorted(results.glob("imagenet_shape_bias/*/summary.json")):
        try:
            folder = Path(json.loads(summary.read_text(encoding="utf-8"))["images"]["folder"])
        except (OSError, ValueError, KeyError):
            continue
        paths = sorted(folder.glob("*/*.png"))
        if len(paths) >= _CUES:
            chosen = [paths[(2 * k + 1) * len(paths) // (2 * _CUES)] for k in range(_CUES)]
            return _row([Image.open(path).convert("RGB") for path in chosen])
    return None


def _row(images: list[Image.Image]) -> Image.Image:
    side, gap = 224, 8
    row = Image.new("RGB", (len(images) * (side + gap) - gap, side), "white")
    for number, image in enumerate(images):
        row.paste(image.resize((side, side), Image.Resampling.BICUBIC), (number * (side + gap), 0))
    return row


def _picture(image: Image.Image, caption: str) -> dict[str, Any]:
    if image.width > WIDEST:
        size = WIDEST, round(image.height * WIDEST / image.width)
        image = image.resize(size, Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "WEBP", quality=85, method=4)
    url = "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()
    return {
        "data": url,
        "width": image.width,
        "height": image.height,
        "alt": caption,
        "caption": caption,
    }
