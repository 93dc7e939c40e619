"""Archives, unpacked completely or not at all, and never outside their folder."""

import os
import shutil
import tarfile
import zlib
from pathlib import Path

from basics.errors import UserError, reason_of, storage_error
from basics.files import ANOTHER_FOLDER, beside, locked_beside

BLOCK = 1 << 20  # bytes per read


def unpack(archive: Path, folder: Path) -> Path:
    """Return `folder`, holding the one top folder of the .tar.gz `archive`.

    It appears only when complete; of two processes, the second waits and unpacks nothing. Members
    and links that lead outside, absolute paths and devices are refused.
    Raises UserError when the archive is broken or hostile, or the disk refuses.
    """
    if folder.exists():
        return folder
    with locked_beside(folder):
        if not folder.exists():  # else another process has just finished it
            working = beside(folder, "unpacking")
            shutil.rmtree(working, ignore_errors=True)  # what a killed process left
            try:
                _unpack(archive, working, folder)
            finally:
                shutil.rmtree(working, ignore_errors=True)
    return folder


def _unpack(archive: Path, working: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(working, filter=_inside)
            while tar.fileobj and tar.fileobj.read(BLOCK):
                pass  # gzip's checksum, at the end, is checked only by reading up to it
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno and archive.is_file():
            raise storage_error(error, folder, ANOTHER_FOLDER) from error
        raise UserError(
            f"{archive} cannot be unpacked ({reason_of(error)}): delete it and download it again"
        ) from error
    inner = working / folder.name
    only = inner.is_dir() and not inner.is_symlink()
    os.replace(inner if only else working, folder)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Return the member if it stays inside `folder`; raises tarfile.FilterError if not."""
    if member.name.startswith(("/", "\\")):  # which the standard filter would quietly move inside
        raise tarfile.AbsolutePathError(member)
    return tarfile.data_filter(member, folder)
