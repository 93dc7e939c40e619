"""The one kind of error that a user is meant to read."""

import errno


class UserError(Exception):
    """A mistake or mishap that the user can mend: one sentence, with the remedy in it."""


# What the operating system reports when a result cannot be written, in the user's words.
_STORAGE_PROBLEMS = {
    errno.ENOSPC: "no space is left on the disk; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the file system is read-only; choose another folder with --results",
    errno.EACCES: "permission is denied; choose another folder with --results",
    errno.EPERM: "permission is denied; choose another folder with --results",
    errno.ENOTDIR: "a part of that path is a file, not a folder; choose another with --results",
    errno.EFBIG: "the file would exceed the size limit; raise the limit and run it again",
}


def storage_error(error: OSError, path: object) -> UserError:
    """Return the sentence for an operating system's refusal to write `path`.

    What had been finished before stays on disk, so every remedy may end in "again".
    """
    reason = _STORAGE_PROBLEMS.get(error.errno or 0, error.strerror or str(error))
    return UserError(f"cannot write {path}: {reason}")
