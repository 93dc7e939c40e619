"""Errors that users are meant to read."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.error import HTTPError, URLError


class UserError(Exception):
    """An error that the user can fix: one sentence that includes the remedy."""


_FREE_SPACE = "free some space and re-run the same command"
# Why the operating system refused to write a file; storage_error adds the remedy if it is another
# folder.
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

    option: the flag that chooses another folder.
    """
    code = error.errno or 0
    if code in _FULL:
        return UserError(f"cannot write {path}: {_FULL[code]}")
    reason = _WRONG_PLACE.get(code, reason_of(error))
    return UserError(f"cannot write {path}: {reason}; choose another folder with {option}")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the device or the machine ran out of memory."""
    # By name, because importing torch for its OutOfMemoryError takes seconds.
    if type(error).__name__ in ("MemoryError", "OutOfMemoryError"):
        return True
    messages = ("out of memory", "can't allocate memory", "not enough memory")
    return any(message in str(error) for message in messages)


@contextmanager
def model_errors(problem: str, remedy: str) -> Iterator[None]:
    """Turn any error of a model, which may be anyone's code, into a UserError.

    Errors for lack of memory pass unchanged, since a smaller batch may fit.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        kind = type(error).__name__
        raise UserError(f"{problem} ({kind}: {reason_of(error)}): {remedy}") from error


def reason_of(error: BaseException) -> str:
    """Return an error's message in one line, without error numbers; its type if it is empty.

    Other libraries' messages have many lines, of which the first says what happened.
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


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Return the first names as text, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
