"""Errors that users are meant to read."""

import errno
from urllib.error import HTTPError, URLError


class UserError(Exception):
    """An error that the user can fix: one sentence that includes the remedy."""


_FREE_SPACE = "free some space and re-run the same command"
# What the operating system reports when a file cannot be written, in the user's words; where the
# remedy is another folder, storage_error adds it.
_FULL = {
    errno.ENOSPC: f"no space is left on the disk; {_FREE_SPACE}",
    errno.EDQUOT: f"the disk quota is used up; {_FREE_SPACE}",
    errno.EFBIG: "the file would exceed the size limit; raise the limit and re-run it",
}
_WRONG_PLACE = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOTDIR: "part of the path is a file, not a folder",
    errno.EEXIST: "a file exists where the folder should be",
    errno.EISDIR: "a folder exists where the file should be",
    errno.ENOLCK: "the file system does not support locks",
    errno.EOPNOTSUPP: "the file system does not support locks",
}


def storage_error(error: OSError, path: object, option: str = "--results") -> UserError:
    """Return the error for an operating system's refusal to write `path`.

    option: what chooses another folder. What had been finished before stays on disk, so every
    remedy may end in "again".
    """
    code = error.errno or 0
    if code in _FULL:
        return UserError(f"cannot write {path}: {_FULL[code]}")
    reason = _WRONG_PLACE.get(code, reason_of(error))
    return UserError(f"cannot write {path}: {reason}; choose another folder with {option}")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the device or the machine ran out of memory."""
    marks = ("out of memory", "can't allocate memory", "not enough memory")
    kinds = (
        "MemoryError",
        "OutOfMemoryError",
    )  # the latter is torch's, which takes seconds to import
    return type(error).__name__ in kinds or any(mark in str(error) for mark in marks)


def reason_of(error: BaseException) -> str:
    """Return an error's message in one line, without error numbers; its type if it is empty.

    Other libraries' messages run over many lines, of which the first says what happened.
    """
    if isinstance(error, URLError) and not isinstance(error, HTTPError):
        words = error.reason  # an OSError or a string, which urllib wraps
    elif isinstance(error, HTTPError):
        words = f"the server answered {error.code} {error.reason}"
    else:
        words = error
    if isinstance(words, OSError) and words.strerror and words.filename is None:
        words = words.strerror
    lines = str(words).strip().splitlines()
    return lines[0].strip().rstrip(".:") if lines else type(error).__name__


def root_cause(error: BaseException) -> BaseException:
    """Return the operating system's error below the layers of an HTTP library."""
    while below := error.__cause__ or error.__context__:
        error = below
    return error
