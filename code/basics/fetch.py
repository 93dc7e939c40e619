"""Downloads that resume, are checked, and never leave half a file under a final name."""

import glob
import hashlib
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, cast

from tqdm import tqdm

from basics.errors import UserError, reason_of, storage_error
from basics.files import ANOTHER_FOLDER, beside, locked_beside, sha256_of, write_text

BLOCK = 1 << 20  # bytes per read
TIMEOUT = 30  # seconds without a byte
GOOGLE_DRIVE = "gdrive:"


def cache_folder() -> Path:
    """Return the folder for downloads: $BVG_CACHE, else ~/.cache/bvg."""
    return Path(os.environ.get("BVG_CACHE") or Path.home() / ".cache" / "bvg")


def fetch(sources: tuple[str, ...], target: Path, sha256: str = "") -> Path:
    """Return `target`, downloaded from the first of `sources` that delivers it.

    Sources are https URLs or `gdrive:<id>`. A partial download is resumed. A file whose SHA-256
    (full, or the leading digits that publishers put into file names) is known must match it; else
    the hash is pinned beside the file at the first download and checked from then on.
    Beside the file stay its pin (`.sha256`) and its lock (`.lock`), and nothing else.
    Raises UserError when no source delivers, naming each one's reason.
    """
    if target.is_dir():
        raise UserError(f"{target} is a folder where a file should be: remove it")
    pin = beside(target, "sha256")
    if not target.exists() or not (sha256 or pin.exists()):
        try:
            with locked_beside(target):
                if not target.exists():  # else another process has just finished it
                    _download_from_first(sources, target, sha256)
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
    return (pin.read_text().strip() if pin.exists() else ""), "was pinned at the first download"


def _check(target: Path, sha256: str) -> None:
    expected, by = _expected(target, sha256)
    found = sha256_of(target)
    if not found.startswith(expected):
        pin = "" if sha256 else f" (with {beside(target, 'sha256').name}, to accept another)"
        raise UserError(
            f"{target} is not the file that is expected (its SHA-256 is {found[:16]}…, but "
            f"{expected[:16]}… {by}): delete it{pin} to download it again"
        )


def _download_from_first(sources: tuple[str, ...], target: Path, sha256: str) -> None:
    reasons = []
    for source in sources:
        try:
            return _download(source, target, sha256)
        except (OSError, HTTPException, _BadDownloadError) as error:
            reasons.append(f"{source}: {reason_of(error)}")
    raise UserError(
        f"could not download {target.name} ({'; '.join(reasons)}): run the same command again to "
        f"resume, or, on a machine without internet, put the file at {target}"
    )


class _BadDownloadError(Exception):
    """The server answered, but not with the file."""


def _download(source: str, target: Path, sha256: str) -> None:
    # A part of its own for each source: a mirror's bytes need not continue another's.
    part = beside(target, f"{hashlib.sha256(source.encode()).hexdigest()[:8]}.part")
    download: Callable[[str, Path], None] = (
        _from_google_drive if source.startswith(GOOGLE_DRIVE) else _from_url
    )
    try:
        download(source, part)
        _refuse_web_page(part)
        _refuse_wrong_hash(part, *_expected(target, sha256))
    except _BadDownloadError:
        _remove(part.parent, glob.escape(part.name) + "*")
        raise
    with open(part, "rb") as file:
        os.fsync(file.fileno())  # no half file under the final name after a power cut, either
    os.replace(part, target)
    _remove(target.parent, glob.escape(target.name) + "." + "[0-9a-f]" * 8 + ".part*")


def _remove(folder: Path, pattern: str) -> None:
    for leftover in folder.glob(pattern):
        leftover.unlink(missing_ok=True)


def _from_google_drive(source: str, part: Path) -> None:
    try:
        import gdown  # here, because few models need it
    except ImportError as error:
        raise _BadDownloadError("that takes a package: pip install gdown") from error
    try:
        gdown.download(
            id=source.removeprefix(GOOGLE_DRIVE),
            output=str(part),
            resume=True,
            timeout=TIMEOUT,
            quiet=not sys.stderr.isatty(),
        )
    except Exception as error:  # gdown's own errors share no base class
        raise OSError(reason_of(error)) from error  # what has arrived may be resumed
    if not part.exists():
        raise _BadDownloadError("Google Drive gave no file")


def _from_url(source: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    try:
        response = urllib.request.urlopen(_request(source, part, have), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if (error.headers.get("Content-Range") or "").endswith(f"/{have}"):
            return  # all of it had arrived before the interruption
        part.unlink()
        _from_url(source, part)
        return
    with response:
        if response.status != 206:
            have = 0
            _begin(part, response.headers)
        elif not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            raise _BadDownloadError("the server resumed at another byte than asked")
        announced = response.headers.get("Content-Length")
        total = have + int(announced) if announced else None
        _copy(response, part, have, total)
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection broke after {part.stat().st_size} of {total} bytes")


def _validator(part: Path) -> Path:
    """Return the file that holds the ETag or date of what `part` is the beginning of."""
    return part.with_name(part.name + ".version")


def _request(source: str, part: Path, have: int) -> urllib.request.Request:
    request = urllib.request.Request(source, headers={"User-Agent": "bvg"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if _validator(part).exists():  # a file that has changed since is sent from its beginning
            request.add_header("If-Range", _validator(part).read_text())
    return request


def _begin(part: Path, headers: Message) -> None:
    part.unlink(missing_ok=True)  # first, so that old bytes never stand beside a new version
    version = headers.get("ETag") or headers.get("Last-Modified")
    _validator(part).unlink(missing_ok=True)
    if version and not version.startswith("W/"):  # a weak ETag does not vouch for every byte
        _validator(part).write_text(version)


def _copy(response: HTTPResponse, part: Path, have: int, total: int | None) -> None:
    bar = tqdm(
        total=total,
        initial=have,
        unit="B",
        unit_scale=True,
        desc=part.name.partition(".part")[0],
        disable=not sys.stderr.isatty(),
    )
    with bar, _opened(part, "ab" if have else "wb") as file:
        while block := response.read1(BLOCK):  # what has arrived, so that a stall loses none of it
            try:
                file.write(block)
            except OSError as error:
                raise storage_error(error, part, ANOTHER_FOLDER) from error
            bar.update(len(block))


def _opened(path: Path, mode: str) -> BinaryIO:
    try:
        return cast(BinaryIO, open(path, mode))
    except OSError as error:
        raise storage_error(error, path, ANOTHER_FOLDER) from error


def _refuse_web_page(part: Path) -> None:
    with open(part, "rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise _BadDownloadError(
            "the server sent a web page instead of the file (rate limit or login?)"
        )
    if not part.stat().st_size:
        raise _BadDownloadError("the server sent an empty file")


def _refuse_wrong_hash(part: Path, expected: str, by: str) -> None:
    found = sha256_of(part)
    if not found.startswith(expected):
        raise _BadDownloadError(f"its SHA-256 is {found[:16]}…, but {expected[:16]}… {by}")
