"""Downloads that resume, are checked, and never leave half a file under a final name."""

import glob
import hashlib
import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from basics.errors import UserError
from basics.files import beside, locked_beside, sha256_of, write_text
from basics.progress import size
from basics.transfer import BadDownloadError, reason, sync, transfer

Refusal = Callable[[Path], str]
Manner = tuple[int, float, Refusal]  # tries, room, refuse


def cache_folder() -> Path:
    """Return the folder for downloads: $BVG_CACHE, else ~/.cache/bvg."""
    return Path(os.environ.get("BVG_CACHE") or Path.home() / ".cache" / "bvg")


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
    tries, room: see transfer. about: the publisher's page, for the message when all sources fail.
    refuse: what a download is instead of the file that is wanted ("" for that file itself).
    Raises UserError when no source delivers, naming each one's reason.
    """
    if target.is_dir():
        raise UserError(f"{target} is a folder where a file should be: remove it")
    pin = beside(target, "sha256")
    if not target.exists() or not (sha256 or pin.exists()):
        try:
            with locked_beside(target):
                if not target.exists():  # else another process has just finished it
                    _download_from_first(sources, target, sha256, (tries, room, refuse), about)
                if not sha256 and not pin.exists():
                    write_text(pin, sha256_of(target) + "\n")
        except UserError:
            if not target.exists():
                raise
            # else: a read-only folder that its owner has filled, where nothing can be pinned
    _check(target, sha256)
    return target


def _expected(target: Path, sha256: str) -> tuple[str, str]:
    """Return the hash that the file must have, and who said so; empty where nobody did."""
    pin = beside(target, "sha256")
    if sha256:
        return sha256, "was published"
    return (
        pin.read_text(encoding="utf-8").strip() if pin.exists() else ""
    ), "was pinned at the first download"


def _check(target: Path, sha256: str) -> None:
    expected, by = _expected(target, sha256)
    found = sha256_of(target)
    if not found.startswith(expected):
        pin = "" if sha256 else f" (with {beside(target, 'sha256').name}, to accept another)"
        raise UserError(
            f"{target} is not the file that is expected (its SHA-256 is {found[:16]}…, but "
            f"{expected[:16]}… {by}): delete it{pin} to download it again"
        )


def _download_from_first(
    sources: tuple[str, ...], target: Path, sha256: str, manner: Manner, about: str
) -> None:
    reasons = []
    for source in sources:
        try:
            return _download(source, target, sha256, *manner)
        except (OSError, HTTPException, BadDownloadError) as error:
            reasons.append(f"{source}: {reason(error)}")
    raise UserError(
        f"could not download {target.name} ({'; '.join(reasons)}): run the same command again to "
        f"resume, or, on a machine without internet, put the file{f' (see {about})' * bool(about)} "
        f"at {target}"
    )


def _download(
    source: str, target: Path, sha256: str, tries: int, room: float, refuse: Refusal
) -> None:
    # A part of its own for each source: a mirror's bytes need not continue another's.
    part = beside(target, f"{hashlib.sha256(source.encode()).hexdigest()[:8]}.part")
    try:
        transfer(source, part, tries, room)
        _refuse_web_page(part)
        if what := refuse(part):
            raise BadDownloadError(f"what the server sent ({size(part.stat().st_size)}) is {what}")
        _refuse_wrong_hash(part, *_expected(target, sha256))
    except BadDownloadError:
        _remove(part.parent, glob.escape(part.name) + "*")
        raise
    sync(part)  # no half file under the final name after a power cut, either
    os.replace(part, target)
    _remove(target.parent, glob.escape(target.name) + "." + "[0-9a-f]" * 8 + ".part*")


def _remove(folder: Path, pattern: str) -> None:
    for leftover in folder.glob(pattern):
        leftover.unlink(missing_ok=True)


def _refuse_web_page(part: Path) -> None:
    with open(part, "rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise BadDownloadError(
            "the server sent a web page instead of the file (rate limit or login?)"
        )
    if not part.stat().st_size:
        raise BadDownloadError("the server sent an empty file")


def _refuse_wrong_hash(part: Path, expected: str, by: str) -> None:
    if not expected:
        return
    found = sha256_of(part)
    if not found.startswith(expected):
        raise BadDownloadError(f"its SHA-256 is {found[:16]}…, but {expected[:16]}… {by}")
