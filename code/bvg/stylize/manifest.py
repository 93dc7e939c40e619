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
    refuse_strangers(out, own)
    write_record(out, now)


def refuse_strangers(out: Path, own: set[str]) -> None:
    """Raise UserError for a folder with files of others: without a record, but not empty.

    own: other files that may be there before the record.
    """
    strangers = [entry.name for entry in out.iterdir() if not entry.name.startswith(".")]
    if RECORD not in strangers and set(strangers) - own:
        raise UserError(
            f"{out} contains files that this script did not write ({first_few(strangers)}): "
            "choose another folder with --out"
        )


def write_record(out: Path, record: dict[str, Any]) -> None:
    """Write the record of how the files in `out` are made."""
    with written_atomically(out / RECORD, "--out") as file:
        file.write((json.dumps(record, indent=2) + "\n").encode())


def unreadable_in(out: Path) -> list[str]:
    """Return the images that could not be decoded when the files in `out` were made."""
    path = out / RECORD
    if not path.exists():
        return []
    manifest = read_manifest(path, "choose another folder with --out")
    return manifest.get("images", {}).get("unreadable", [])


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
