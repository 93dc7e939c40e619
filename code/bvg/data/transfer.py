"""One URL into one file: resumes, waits for busy servers, and checks free disk space."""

import os
import shutil
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path
from time import sleep

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from bvg.errors import UserError, reason_of
from bvg.files import ANOTHER_FOLDER
from bvg.progress import Meter, size

BLOCK = 1 << 14  # bytes per read; a broken connection loses fewer than these
TIMEOUT = 30  # seconds without a byte
LONGEST_WAIT = 120  # seconds; a server that asks for more is left for another day
GOOGLE_DRIVE = "gdrive:"
_BUSY = (408, 429, 500, 502, 503, 504)
_FINAL = (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError)


class BadDownloadError(Exception):
    """The server answered, but not with the file."""


@dataclass(frozen=True)
class Downloader:
    """A pooch downloader of https URLs and `gdrive:<id>` that resumes, also after a kill.

    part: the file in which the bytes are collected; it stays when the connection fails.
    tries: how often in a row it may fail without getting on when the server is busy or the
    connection breaks; each new try waits as long as the server asks, else 1, 2, 4 … s.
    room: free space needed, in multiples of the file's size.
    objection: what the file is instead of the one that is wanted ("" for that one itself).
    Calling it raises RequestException when the server or the connection fails, BadDownloadError
    when it sends something else, UserError or OSError when the disk refuses.
    """

    part: Path
    tries: int
    room: float
    objection: Callable[[Path], str]

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download `url` and move it to `output_file`."""
        if url.startswith(GOOGLE_DRIVE):
            _from_google_drive(url, self.part)
        else:
            self._patiently(url)
        if objection := self.objection(self.part):
            self._discard()
            raise BadDownloadError(objection)
        os.replace(self.part, output_file)
        self._discard()

    @property
    def _version(self) -> Path:
        """The file that holds the ETag or date of what the part is the beginning of."""
        return self.part.with_name(self.part.name + ".version")

    @property
    def _name(self) -> str:
        return self.part.stem.rpartition(".")[0]

    def _length(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)  # first, so that no old bytes stand beside a new version
        self._version.unlink(missing_ok=True)

    def _patiently(self, url: str) -> None:
        failures, most = 0, self._length()
        while True:
            try:
                return self._resume(url)
            except requests.RequestException as error:
                failures = 1 if self._length() > most else failures + 1
                most = max(most, self._length())
                seconds = _wait(error, failures)
                if seconds is None or failures >= self.tries:
                    raise
                print(
                    f"{self._name}: {reason(error)}; retrying in {seconds:.0f} s "
                    f"(attempt {failures + 1} of {self.tries})",
                    file=sys.stderr,
                    flush=True,
                )
                sleep(seconds)

    def _resume(self, url: str) -> None:
        have = self._length()
        headers = {"User-Agent": "bvg", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._version.exists():  # a file that has changed is then sent from its beginning
                headers["If-Range"] = self._version.read_text(encoding="utf-8")
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            content = response.headers.get("Content-Range", "")
            if response.status_code == 416 and have:
                if content.endswith(f"/{have}"):
                    return  # all of it had arrived before the interruption
                self._discard()
                self._resume(url)
                return
            response.raise_for_status()
            if response.status_code != 206:
                have = 0
                self._discard()
            elif not content.startswith(f"bytes {have}-"):
                self._discard()
                raise BadDownloadError("the server resumed at the wrong byte")
            self._copy(response, have)

    def _copy(self, response: requests.Response, have: int) -> None:
        announced = response.headers.get("Content-Length")
        total = have + int(announced) if announced else None
        if total is not None:
            require_space(self.part.parent, total * self.room - have, self._name)
        version = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if not have and version and not version.startswith("W/"):  # which may differ in bytes
            self._version.write_text(version, encoding="utf-8")
        with open(self.part, "ab") as file, Meter(self._name, "B", total, have) as meter:
            for block in response.iter_content(BLOCK):
                file.write(block)
                meter.add(len(block))
            file.flush()
            os.fsync(file.fileno())  # no half file under the final name after a power cut
        if total is not None and self._length() < total:
            raise requests.ConnectionError("the connection broke")


def reason(error: BaseException) -> str:
    """Return in words why a transfer failed, with what can be done about it where that is known."""
    if not isinstance(error, requests.RequestException):
        return reason_of(error)
    response = error.response
    if response is None:
        root = root_cause(error)
        return "the connection broke" if isinstance(root, IncompleteRead) else reason_of(root)
    words = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in (401, 403):
        words += (
            ", so it limits downloads or requires a login: try again in a few hours, or download "
            "the file with a browser"
        )
    elif (asked := _asked(response)) is not None:
        words += f" and asks to wait {asked:.0f} s"
    return words


def _asked(response: requests.Response) -> float | None:
    """Return the seconds in a Retry-After header, which may also hold a date."""
    with suppress(InvalidHeader):
        return Retry().get_retry_after(response.raw)
    return None


def root_cause(error: BaseException) -> BaseException:
    """Return the operating system's error below the layers of an HTTP library."""
    while below := error.__cause__ or error.__context__:
        error = below
    return error


def _wait(error: requests.RequestException, failures: int) -> float | None:
    """Return the seconds until another try is worth it; None where it never is."""
    seconds = 2.0 ** (failures - 1)
    if error.response is not None:
        if error.response.status_code not in _BUSY:
            return None
        asked = _asked(error.response)
        seconds = seconds if asked is None else asked
    elif isinstance(root_cause(error), _FINAL):
        return None
    return seconds if seconds <= LONGEST_WAIT else None


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


def _from_google_drive(source: str, part: Path) -> None:
    try:
        import gdown  # here, because few downloads need it
    except ImportError as error:
        raise BadDownloadError("this needs a package: pip install gdown") from error
    try:
        gdown.download(
            id=source.removeprefix(GOOGLE_DRIVE),
            output=str(part),
            resume=True,
            timeout=TIMEOUT,
            quiet=not sys.stderr.isatty(),
        )
    except Exception as error:  # gdown's own errors share no base class; the part stays
        raise BadDownloadError(reason_of(error)) from error
    if not part.exists():
        raise BadDownloadError("Google Drive sent no file")
