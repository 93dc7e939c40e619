"""ImageNet-X's annotations in small, in the published layout."""

import json
from collections.abc import Iterable
from pathlib import Path

from bvg.data.imagenet_x import FACTORS, LABELS, PROTOTYPES, TOP_FACTOR


def val_file(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}.JPEG"


def entry(number: int, label: int, factor: str | None) -> dict:
    marks = {name: int(name == factor) for name in sorted(FACTORS)}
    return {"file_name": val_file(number), "class": label, **marks, "one_word": "seen from above"}


def write_annotations(
    folder: Path, entries: Iterable[dict], prototypes: Iterable[int] = (), labels=None
) -> Path:
    """Return `folder`, with the three files of ImageNet-X."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(values) for values in entries]
    (folder / TOP_FACTOR).write_text("".join(f"{line}\n" for line in lines))
    names = ["file_name", *map(val_file, prototypes)]
    (folder / PROTOTYPES).write_text("".join(f"{name}\n" for name in names))
    rows = [f"{val_file(number)},{label}" for number, label in (labels or {}).items()]
    (folder / LABELS).write_text("".join(f"{row}\n" for row in ["file_name,label", *rows]))
    return folder
