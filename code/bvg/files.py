"""Files that appear under their final name only when they are complete."""

import errno
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from bvg.errors import UserError, storage_error

# Flags and variables that choose another folder for downloads, for error messages.
ANOTHER_FOLDER = "BVG_CACHE (or --weights_dir for weights, --to for data sets)"


@contextmanager
def written_atomically(
    path: Path, option: str = "--results", durable: bool = True
) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends without an error.

    Several processes may write the same file: the last one wins. A killed process leaves at most a
    file `.<name>.<digits>.tmp`. durable: flush the file to the disk; otherwise a power failure may
    leave an empty one, but thousands of small files are written faster.
    Raises UserError if the file cannot be written (full disk, read-only, no permission).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path, option) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with written_atomically(path) as file:
        file.write(text.encode(errors="backslashreplace"))  # file names may not be UTF-8


def make_folder(path: Path, option: str = "--results") -> Path:
    """Return `path`, created with its parents if necessary; raises UserError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, path, option) from error
    return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` inside the block, excluding other processes.

    The operating system releases the lock however the process ends. The holder's process id is
    written into `<path>.holder`, since Windows does not let others read a locked file.
    Raises BlockingIOError, whose strerror names the holder, when another process holds the lock
    and `wait` is False; OSError when the file cannot be opened or its file system has no locks.
    """
    holder = beside(path, "holder")
    open(path, "ab").close()  # raises errors at once that filelock would retry
    # thread_local=False: a lock may be released by another thread than the one that took it.
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        try:
            who = holder.read_text(encoding="utf-8")
        except OSError:  # not written yet, or already removed
            who = "unknown"
        raise BlockingIOError(errno.EAGAIN, who) from error
    try:
        with suppress(OSError):  # such as a full disk: the lock is held nevertheless
            words = f"{os.getpid()} on {socket.gethostname()}, since {time.ctime()}"
            holder.write_text(words, encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def lock_folder(folder: Path, held: ExitStack, option: str = "--results") -> None:
    """Keep other processes from writing to `folder` until `held` is closed.

    option: the flag that chooses another folder. Raises UserError when another process writes there
    (from a BlockingIOError), or when the file system has no locks.
    """
    lock = folder / ".lock"
    try:
        held.enter_context(locked(lock))
    except BlockingIOError as error:
        raise UserError(
            f"{folder} is being written by another process ({error.strerror}): wait for it, or "
            f"choose another folder with {option}"
        ) from error
    except OSError as error:
        raise storage_error(error, lock, option) from error


def beside(target: Path, ending: str) -> Path:
    """Return the path of a companion of `target`: its name with `.ending` added."""
    return target.with_name(f"{target.name}.{ending}")


@contextmanager
def locked_beside(target: Path) -> Iterator[None]:
    """Hold the lock file beside a download's `target`, waiting until no other process has it.

    Raises UserError when the folder cannot be made or written.
    """
    with ExitStack() as held:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(beside(target, "lock"), wait=True))
        except OSError as error:
            raise storage_error(error, target.parent, ANOTHER_FOLDER) from error
        yield
