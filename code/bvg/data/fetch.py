"""Downloads that resume, are verified, and never leave half a file under a final name."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from http.client import IncompleteRead
from pathlib import Path

from bvg.errors import UserError, reason_of, root_cause, storage_error
from bvg.files import ANOTHER_FOLDER, beside, locked_beside, sha256_of, write_text
from bvg.progress import Meter

TIMEOUT = 30  # seconds without a byte
RETRIES = 3  # when a connection breaks; gdown waits longer each time
GOOGLE_DRIVE = "gdrive:"
_PAGE = "a web page instead of the file (rate limit or login?)"
# The beginnings of what servers send instead of a file.
_NO_FILE = {
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
    b"version https://git-lfs": "a pointer of Git LFS instead of the file",
}


def cache_folder() -> Path:
    """Return the folder for downloads: $BVG_CACHE, else ~/.cache/bvg.

    Users without a home, as in some containers, have it in the folder for temporary files.
    """
    if named := os.environ.get("BVG_CACHE"):
        return Path(named).expanduser()
    try:
        return Path.home() / ".cache" / "bvg"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"bvg-{os.getuid()}"


def weights_folder(given: Path | None) -> Path:
    """Return the folder for weights: the given one, else $BVG_WEIGHTS, else one in the cache."""
    named = os.environ.get("BVG_WEIGHTS")
    return given or (Path(named).expanduser() if named else cache_folder() / "weights")


def partial_folder(target: Path) -> Path:
    """Return the folder that holds what has arrived of a download."""
    return beside(target, "partial")


def fetch(
    sources: tuple[str, ...],
    target: Path,
    sha256: str = "",
    *,
    about: str = "",
    refuse: Callable[[Path], str] = lambda path: "",
) -> Path:
    """Return `target`, downloaded from the first of `sources` that delivers it.

    Sources are URLs or `gdrive:<id>`. A partial download is resumed. A file whose SHA-256 (full,
    or the leading digits that publishers put into file names) is known must match it; else the
    hash is pinned beside the file (`.sha256`) at its first use and checked from then on.
    about: the publisher's page, for the message when all sources fail. refuse: what a download is
    instead of the file that is wanted ("" for that file itself).
    Raises UserError when no source delivers, naming each one's reason, and for a wrong hash.
    """
    pin = beside(target, "sha256")
    known = sha256 or (pin.read_text(encoding="utf-8").strip() if pin.exists() else "")
    accept = f"pinned at the first download (delete {pin.name} to accept another version)"

    def wrong_hash(found: str) -> str:
        if found.startswith(known):
            return ""
        expected = known + "…" * (len(known) < 64)
        by = "published" if sha256 else accept
        return f"a file whose SHA-256 is {found}, but {expected} was {by}"

    def objection(path: Path) -> str:
        return _no_file(path) or refuse(path) or wrong_hash(sha256_of(path))

    if not target.exists():
        with locked_beside(target):
            if not target.exists():  # else another process has just finished it
                _download(sources, target, objection, about)
    found = sha256_of(target)
    if words := wrong_hash(found):
        raise UserError(f"{target} is {words}: delete it to download it again")
    if not known:
        with suppress(UserError):  # a folder that its owner has filled may be read-only
            write_text(pin, found + "\n")
    return target


def _no_file(path: Path) -> str:
    """Return what a server has sent instead of any file, or ""."""
    with open(path, "rb") as file:
        start = file.read(512).lstrip().lower()
    if not start:
        return "an empty file"
    return next((words for beginning, words in _NO_FILE.items() if start.startswith(beginning)), "")


def _download(
    sources: tuple[str, ...], target: Path, objection: Callable[[Path], str], about: str
) -> None:
    from gdown.exceptions import DownloadError  # here, since most runs download nothing
    from requests import RequestException

    staging, reasons = partial_folder(target), []
    try:
        staging.mkdir(exist_ok=True)
        for source in sources:
            try:
                file = _transfer(source, staging / target.name)
            except (DownloadError, RequestException, KeyError) as error:  # a missing header
                reasons.append(f"{source}: {_reason(error)}")
                continue
            if not (words := objection(file)):
                os.replace(file, target)
                shutil.rmtree(staging)
                return
            file.unlink()
            reasons.append(f"{source}: the server sent {words}")
    except OSError as error:
        raise storage_error(error, target, ANOTHER_FOLDER) from error
    finally:
        with suppress(OSError):
            staging.rmdir()  # where nothing has arrived
    raise UserError(
        f"could not download {target.name} ({'; '.join(reasons)}): re-run the same command to "
        "resume, or, on a machine without internet, put the file"
        f"{f' (see {about})' if about else ''} at {target}"
    )


def _transfer(source: str, place: Path) -> Path:
    """Return the file of `source`, downloaded beside `place`.

    What has arrived is named by the source and its version, so that neither a mirror's file nor
    one that was changed during an interruption is appended to it.
    """
    import gdown
    import requests

    url = source.replace(GOOGLE_DRIVE, "https://drive.google.com/uc?id=")
    plain = {"Accept-Encoding": "identity"}
    head = requests.head(url, headers=plain, allow_redirects=True, timeout=TIMEOUT)
    known = head.headers if head.ok else {}  # some servers answer GET only
    version = known.get("ETag") or known.get("Last-Modified") or ""
    digest = hashlib.sha256((source + version).encode()).hexdigest()
    output = place.with_name(f"{place.name}.{digest[:8]}")
    parts = [*output.parent.glob(f"{output.name}*.part")]
    have = sum(part.stat().st_size for part in parts)
    with Meter(place.name, "B", int(known.get("Content-Length", 0)) or None, have) as meter:
        try:
            gdown.download(
                url,
                str(output),
                quiet=True,
                resume=True,
                progress=lambda done, _: meter.add(done - int(meter.n)),
                timeout=TIMEOUT,
                retries=RETRIES,
            )
        except gdown.exceptions.DownloadError as error:
            if meter.n > have or not parts or error.__cause__:
                raise
            for part in parts:  # which this server cannot continue
                part.unlink()
            return _transfer(source, place)
    return output


def _reason(error: Exception) -> str:
    """Return in words why a transfer failed, with what can be done about it where that is known."""
    response = getattr(error, "response", None)
    if response is None:
        root = root_cause(error)
        return "the connection broke" if isinstance(root, IncompleteRead) else reason_of(root)
    words = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in (401, 403):
        words += (
            ", so it limits downloads or requires a login: try again in a few hours, or download "
            "the file with a browser"
        )
    return words
