"""Downloads that resume, are verified, and never leave half a file under a final name."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bvg.errors import UserError, storage_error
from bvg.files import ANOTHER_FOLDER, beside, locked_beside, sha256_of, write_text
from bvg.progress import size

Refusal = Callable[[Path], str]


def cache_folder() -> Path:
    """Return the folder for downloads: $BVG_CACHE, else ~/.cache/bvg."""
    return Path(os.environ.get("BVG_CACHE") or Path.home() / ".cache" / "bvg")


def partial_folder(target: Path) -> Path:
    """Return the folder that holds what has arrived of a download (`*.part`)."""
    return beside(target, "partial")


def fetch(
    sources: tuple[str, ...],
    target: Path,
    sha256: str = "",
    *,
    tries: int = 1,
    room: float = 1.0,
    about: str = "",
    refuse: Refusal = lambda path: "",
) -> Path:
    """Return `target`, downloaded from the first of `sources` that delivers it.

    Sources are https URLs or `gdrive:<id>`. A partial download is resumed. A file whose SHA-256
    (full, or the leading digits that publishers put into file names) is known must match it; else
    the hash is pinned beside the file at the first download and checked from then on.
    Beside the file stay its pin (`.sha256`) and its lock (`.lock`), and nothing else.
    tries, room: see bvg.data.transfer.Downloader. about: the publisher's page, for the message when
    all sources fail. refuse: what a download is instead of the file that is wanted ("" for that
    file itself).
    Raises UserError when no source delivers, naming each one's reason.
    """
    if target.is_dir():
        raise UserError(f"{target} is a folder, but should be a file: remove it")
    pin = beside(target, "sha256")
    if not target.exists() or not (sha256 or pin.exists()):
        try:
            with locked_beside(target):
                if not target.exists():  # else another process has just finished it
                    _download(sources, target, sha256, tries, room, about, refuse)
                if not sha256 and not pin.exists():
                    write_text(pin, sha256_of(target) + "\n")
        except UserError:
            if not target.exists():
                raise
            # else: a read-only folder that its owner has filled, where nothing can be pinned
    if words := _wrong_hash(target, sha256):
        remove = "it" if sha256 else f"it (and {pin.name}, to accept another version)"
        raise UserError(f"{target}: {words}: delete {remove} to download it again")
    return target


def _known(target: Path, sha256: str) -> str:
    """Return the hash that the file must have: published or pinned; "" if neither."""
    pin = beside(target, "sha256")
    return sha256 or (pin.read_text(encoding="utf-8").strip() if pin.exists() else "")


def _wrong_hash(target: Path, sha256: str, part: Path | None = None) -> str:
    """Return in words how the file's hash, or that of its `part`, is wrong; "" if it is right."""
    expected, found = _known(target, sha256), sha256_of(part or target)
    by = "was published" if sha256 else "was pinned at the first download"
    if found.startswith(expected):
        return ""
    return f"its SHA-256 is {found[:16]}…, but {expected[:16]}… {by}"


def _download(
    sources: tuple[str, ...],
    target: Path,
    sha256: str,
    tries: int,
    room: float,
    about: str,
    refuse: Refusal,
) -> None:
    import pooch  # here, since most runs download nothing
    import requests

    from bvg.data.transfer import BadDownloadError, Downloader, reason

    known, name = _known(target, sha256), target.name
    whole = len(known) == 64  # pooch verifies whole hashes, objection() the beginnings of others

    def objection(part: Path) -> str:
        if words := _no_file(part) or refuse(part):
            return f"the server sent {words} ({size(part.stat().st_size)})"
        return "" if whole else _wrong_hash(target, sha256, part)

    pooch.get_logger().setLevel("WARNING")
    staging = partial_folder(target)
    reasons = []
    try:
        for source in sources:
            # A part of its own for each source: a mirror's bytes need not continue another's.
            part = staging / f"{name}.{hashlib.sha256(source.encode()).hexdigest()[:8]}.part"
            registry = {name: f"sha256:{known}" if whole else None}
            one = pooch.create(staging, "", registry=registry, urls={name: source})
            try:
                one.fetch(name, downloader=Downloader(part, tries, room, objection))
                os.replace(staging / name, target)
            except (requests.RequestException, BadDownloadError, ValueError) as error:
                reasons.append(f"{source}: {reason(error)}")
            else:
                shutil.rmtree(staging, ignore_errors=True)
                return
    except OSError as error:
        raise storage_error(error, target, ANOTHER_FOLDER) from error
    finally:
        with suppress(OSError):
            staging.rmdir()  # where nothing has arrived
    pinned = f"; to accept another version than the first, delete {beside(target, 'sha256').name}"
    raise UserError(
        f"could not download {name} ({'; '.join(reasons)}): re-run the same command to resume, "
        f"or, on a machine without internet, put the file{f' (see {about})' * bool(about)} "
        f"at {target}{pinned if known and not sha256 else ''}"
    )


def _no_file(part: Path) -> str:
    """Return what a server has sent instead of any file, or ""."""
    with open(part, "rb") as file:
        start = file.read(512)
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page instead of the file (rate limit or login?)"
    return "" if start else "an empty file"
