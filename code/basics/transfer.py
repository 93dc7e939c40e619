"""One URL into one file: resumed, patient with busy servers, never on a disk that is too full."""

import os
import shutil
import socket
import ssl
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import sleep
from typing import BinaryIO, cast

from basics.errors import UserError, reason_of, storage_error
from basics.files import ANOTHER_FOLDER
from basics.progress import Meter, size

BLOCK = 1 << 20  # bytes per read
TIMEOUT = 30  # seconds without a byte
LONGEST_WAIT = 120  # seconds; a server that asks for more is left for another day
GOOGLE_DRIVE = "gdrive:"
_BUSY = (408, 429, 500, 502, 503, 504)
_POINTLESS = (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError)


class BadDownloadError(Exception):
    """The server answered, but not with the file."""


def transfer(source: str, part: Path, tries: int = 1, room: float = 1.0) -> None:
    """Write what `source` (https URL or `gdrive:<id>`) serves to `part`, continuing what is there.

    tries: how often in a row it may fail without getting on (another MiB) when the server is busy
    or the connection breaks; each new try waits as long as the server asks, else 1, 2, 4 … s, and
    is announced in one line. room: free space needed, in multiples of the file's size.
    Raises OSError or HTTPException when the server or the connection fails (what has arrived is
    kept), BadDownloadError when it sends something else, UserError when the disk refuses.
    """
    if source.startswith(GOOGLE_DRIVE):
        return _from_google_drive(source, part)  # once: what it refuses today it refuses again
    failures, most = 0, _length(part)
    while True:
        try:
            return _from_url(source, part, room)
        except (OSError, HTTPException) as error:
            if _length(part) - most >= BLOCK:
                failures = 0
            most = max(most, _length(part))
            failures += 1
            seconds = _wait(error, failures)
            if seconds is None or failures >= tries:
                raise
            print(
                f"{_name(part)}: {reason(error)}; trying again in {seconds:.0f} s "
                f"(try {failures + 1} of {tries})",
                file=sys.stderr,
                flush=True,
            )
            sleep(seconds)


def reason(error: BaseException) -> str:
    """Return in words why a transfer failed, with what can be done about it where that is known."""
    words = reason_of(error)
    if not isinstance(error, urllib.error.HTTPError):
        return words
    if error.code in (401, 403):
        return (
            f"{words}, which means that it limits downloads or asks for a login: try again in some "
            "hours, or download the file with a browser"
        )
    asked = _retry_after(error.headers)
    return words if asked is None else f"{words} and asks to wait {asked:.0f} s"


def require_space(folder: Path, needed: float, what: str) -> None:
    """Raise UserError unless the disk that holds `folder` has `needed` bytes free."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{what} needs {size(needed)} of free disk space, but {folder} has {size(free)}: free "
            f"some space, or choose another folder with {ANOTHER_FOLDER}"
        )


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _name(part: Path) -> str:
    return part.name.removesuffix(".part").rpartition(".")[0] or part.name


def _wait(error: Exception, failures: int) -> float | None:
    """Return the seconds until another try is worth it; None where it never is."""
    asked = None
    if isinstance(error, urllib.error.HTTPError):
        if error.code not in _BUSY:
            return None
        asked = _retry_after(error.headers)
    elif isinstance(error, urllib.error.URLError) and isinstance(error.reason, _POINTLESS):
        return None
    seconds = 2.0 ** (failures - 1) if asked is None else asked
    return seconds if seconds <= LONGEST_WAIT else None


def _retry_after(headers: Message | None) -> float | None:
    """Return the seconds in a Retry-After header, which may also hold a date (RFC 9110, 10.2.3)."""
    text = (headers.get("Retry-After") if headers else None) or ""
    if text.strip().isdigit():
        return float(text)
    with suppress(ValueError, TypeError):
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    return None


def _from_google_drive(source: str, part: Path) -> None:
    try:
        import gdown  # here, because few downloads need it
    except ImportError as error:
        raise BadDownloadError("that takes a package: pip install gdown") from error
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
        raise BadDownloadError("Google Drive gave no file")


def _from_url(source: str, part: Path, room: float) -> None:
    have = _length(part)
    try:
        response = urllib.request.urlopen(_request(source, part, have), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if (error.headers.get("Content-Range") or "").endswith(f"/{have}"):
            return  # all of it had arrived before the interruption
        part.unlink()
        _from_url(source, part, room)
        return
    with response:
        resumed = response.status == 206
        have = have if resumed else 0
        announced = response.headers.get("Content-Length")
        total = have + int(announced) if announced else None
        if total is not None:
            require_space(part.parent, total * room - have, _name(part))
        if not resumed:
            _begin(part, response.headers)
        elif not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            raise BadDownloadError("the server resumed at another byte than asked")
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
            request.add_header("If-Range", _validator(part).read_text(encoding="utf-8"))
    return request


def _begin(part: Path, headers: Message) -> None:
    part.unlink(missing_ok=True)  # first, so that old bytes never stand beside a new version
    version = headers.get("ETag") or headers.get("Last-Modified")
    _validator(part).unlink(missing_ok=True)
    if version and not version.startswith("W/"):  # a weak ETag does not vouch for every byte
        _validator(part).write_text(version, encoding="utf-8")


def _copy(response: HTTPResponse, part: Path, have: int, total: int | None) -> None:
    with (
        Meter(_name(part), "B", total, have) as meter,
        _opened(part, "ab" if have else "wb") as file,
    ):
        while block := response.read1(BLOCK):  # what has arrived, so that a stall loses none of it
            try:
                file.write(block)
            except OSError as error:
                raise storage_error(error, part, ANOTHER_FOLDER) from error
            meter.add(len(block))


def _opened(path: Path, mode: str) -> BinaryIO:
    try:
        return cast(BinaryIO, open(path, mode))
    except OSError as error:
        raise storage_error(error, path, ANOTHER_FOLDER) from error


def sync(part: Path) -> None:
    """Have the operating system write the file to the disk now."""
    with open(part, "rb") as file:
        os.fsync(file.fileno())
