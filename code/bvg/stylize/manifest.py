"""The record of how stylized images were made, which is written beside them."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bvg.errors import UserError, first_few
from bvg.files import written_atomically
from bvg.predictions.identity import differences

RECORD, TABLE = "manifest.json", "manifest.csv"
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


def check_record(out: Path, now: dict[str, Any], own: set[str]) -> None:
    """Record how the files in `out` are made, unless that is recorded already.

    own: other files that may be there before the record. Raises UserError if the record or the
    files are others.
    """
    path = out / RECORD
    if path.exists():
        before = read_manifest(path, "choose another folder with --out")
        if changed := differences(before, now):
            raise UserError(
                f"{out} contains files made with other settings ({'; '.join(changed)}): choose "
                "another folder with --out, or delete this one"
            )
        return
    strangers = [entry.name for entry in out.iterdir() if not entry.name.startswith(".")]
    if set(strangers) - own:
        raise UserError(
            f"{out} contains files that this script did not write ({first_few(strangers)}): "
            "choose another folder with --out"
        )
    with written_atomically(path, "--out") as file:
        file.write((json.dumps(now, indent=2) + "\n").encode())


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file that says how each image was made."""
    with written_atomically(path, "--out") as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        text.flush()
        text.detach()


def stylizer_of(folder: Path) -> dict[str, Any]:
    """Return how the images in a folder were stylized; {} without a manifest in or above it."""
    for place in (folder, *folder.absolute().parents[:_LEVELS]):
        if (place / RECORD).is_file():
            remedy = "restore it, or remove it (the stylizer is then recorded as unknown)"
            return read_manifest(place / RECORD, remedy)["stylizer"]
    return {}
