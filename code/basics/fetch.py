"""Downloads that resume, are checked, and never leave half a file under a final name."""

import hashlib
import os
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

from tqdm import tqdm

from basics.errors import UserError, storage_error
from basics.files import locked, make_folder, sha256_of, write_text

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
    Raises UserError when no source delivers, naming each one's reason.
    """
    if not target.exists():
        make_folder(target.parent)
        with locked(target.with_name(target.name + ".lock"), wait=True):
            if not target.exists():  # else another process has just finished it
                _download_from_first(sources, target, sha256)
    _check_pinned(target, sha256)
    return target


def _download_from_first(sources: tuple[str, ...], target: Path, sha256: str) -> None:
    reasons = []
    for source in sources:
        try:
            return _download(source, target, sha256)
        except (OSError, HTTPException, _BadDownloadError) as error:
            reasons.append(f"{source}: {_reason(error)}")
    raise UserError(
        f"could not download {target.name} ({'; '.join(reasons)}); "
        f"on a machine without internet, put the file at {target}"
    )


class _BadDownloadError(Exception):
    """The server answered, but not with the file."""


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error)


def _download(source: str, target: Path, sha256: str) -> None:
    part = target.with_name(target.name + ".part")
    download: Callable[[str, Path], None] = (
        _from_google_drive if source.startswith(GOOGLE_DRIVE) else _from_url
    )
    try:
        download(source, part)
        _refuse_web_page(part)
        _refuse_wrong_hash(part, sha256)
    except _BadDownloadError:
        part.unlink(missing_ok=True)
        raise
    os.replace(part, target)


def _from_google_drive(source: str, part: Path) -> None:
    import gdown  # here, because few models need it

    try:
        gdown.download(id=source.removeprefix(GOOGLE_DRIVE), output=str(part), resume=True)
    except Exception as error:  # gdown's own errors share no base class
        raise _BadDownloadError(str(error).strip().splitlines()[0]) from error
    if not part.exists():
        raise _BadDownloadError("Google Drive gave no file")


def _from_url(source: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(source, headers={"User-Agent": "bvg"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer: begin again
            part.unlink()
            _from_url(source, part)
            return
        raise
    with response:
        resumed = response.status == 206
        have = have if resumed else 0
        announced = response.headers.get("Content-Length")
        total = have + int(announced) if announced else None
        _copy(response, part, have, total)
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection broke after {part.stat().st_size} of {total} bytes")


def _copy(response, part: Path, have: int, total: int | None) -> None:
    bar = tqdm(
        total=total,
        initial=have,
        unit="B",
        unit_scale=True,
        desc=part.stem,
        disable=not sys.stderr.isatty(),
    )
    with bar, _opened(part, "ab" if have else "wb") as file:
        while block := response.read(BLOCK):
            try:
                file.write(block)
            except OSError as error:
                raise storage_error(error, part) from error
            bar.update(len(block))


def _opened(path: Path, mode: str) -> BinaryIO:
    try:
        return cast(BinaryIO, open(path, mode))
    except OSError as error:
        raise storage_error(error, path) from error


def _refuse_web_page(part: Path) -> None:
    with open(part, "rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise _BadDownloadError(
            "the server sent a web page instead of the file (rate limit or login?)"
        )
    if not start:
        raise _BadDownloadError("the server sent an empty file")


def _refuse_wrong_hash(path: Path, sha256: str) -> None:
    found = sha256_of(path)
    if not found.startswith(sha256):
        raise _BadDownloadError(f"its SHA-256 is {found[:16]}…, but {sha256[:16]}… was published")


def _check_pinned(target: Path, sha256: str) -> None:
    pin = target.with_name(target.name + ".sha256")
    expected = sha256 or (pin.read_text().strip() if pin.exists() else "")
    found = sha256_of(target)
    if not found.startswith(expected):
        raise UserError(
            f"{target} is not the file that is expected (SHA-256 {found[:16]}…, expected "
            f"{expected[:16]}…): delete it to download it again"
        )
    if not pin.exists() and not sha256:
        write_text(pin, found + "\n")


def unpack(archive: Path, folder: Path) -> Path:
    """Return `folder`, holding the one top folder of the .tar.gz `archive`.

    It appears only when complete. Members that point outside, links and devices are refused by
    tarfile's "data" filter. Raises UserError when the archive is broken or hostile.
    """
    if folder.exists():
        return folder
    working = folder.with_name(f".{folder.name}.{hashlib.sha256(os.urandom(8)).hexdigest()[:8]}")
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(working, filter="data")
        inner = working / folder.name
        os.replace(inner if inner.is_dir() else working, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(
            f"{archive} cannot be unpacked ({error}): delete it and download it again"
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return folder
