"""The record of how stylized images were made, which stylize.py writes beside them."""

import json
from pathlib import Path
from typing import Any

from bvg.errors import UserError

RECORD = "manifest.json"
_LEVELS = 2  # folders above the images that may hold the record: <out>/val/


def read_manifest(path: Path, remedy: str) -> dict[str, Any]:
    """Return the content of a manifest; raises UserError, with the remedy, if it is damaged."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest["stylizer"], dict):
            raise ValueError("no stylizer")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read, so the origin of the files next to it is unknown: {remedy}"
        ) from error
    return manifest


def stylizer_of(folder: Path) -> dict[str, Any]:
    """Return how the images in a folder were stylized; {} without a manifest in or above it."""
    for place in (folder, *folder.absolute().parents[:_LEVELS]):
        if (place / RECORD).is_file():
            remedy = "restore it, or remove it (the stylizer is then recorded as unknown)"
            return read_manifest(place / RECORD, remedy)["stylizer"]
    return {}
