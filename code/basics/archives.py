"""Archives, unpacked completely or not at all, and never outside their folder."""

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from basics.errors import UserError, reason_of, storage_error
from basics.files import ANOTHER_FOLDER, beside, locked_beside
from basics.progress import Meter

BLOCK = 1 << 20  # bytes per read
# Images hardly shrink and tables by a factor of ten or so: more than this is a bomb.
LARGEST_RATIO, ALWAYS_ALLOWED = 100, 1 << 28


class BrokenArchiveError(UserError):
    """The archive itself is at fault, so that downloading it again may help."""


def unpack(
    archive: Path, folder: Path, inside: str = "", files: str = "*", receipt: str = ""
) -> Path:
    """Return `folder`, holding the files of an archive (.zip, or .tar however compressed).

    It appears only when complete; of two processes, the second waits and unpacks nothing. Members
    that lead outside, absolute paths, links and devices are refused, whatever they point to.
    inside: the folder in the archive that becomes `folder` ("*/raw-data"; a "*" stands for one
    folder, whatever its name; "*" alone for the top folder if that is all there is, else for
    everything); by default the top folder if it is called like `folder`, else everything.
    files: a pattern of the file names to take. receipt: text for RECEIPT in `folder`.
    Raises BrokenArchiveError when the archive is broken or hostile, UserError when the disk
    refuses.
    """
    if folder.exists():
        return folder
    with locked_beside(folder):
        if not folder.exists():  # else another process has just finished it
            working = beside(folder, "unpacking")
            shutil.rmtree(working, ignore_errors=True)  # what a killed process left
            try:
                prefix = () if inside in ("", "*") else tuple(inside.split("/"))
                _unpack(archive, working, folder, _Chosen(prefix, files))
                _finish(working, folder, inside, receipt)
            finally:
                shutil.rmtree(working, ignore_errors=True)
    return folder


RECEIPT = ".complete"  # hidden, as readers of image folders skip hidden files


def _finish(working: Path, folder: Path, inside: str, receipt: str) -> None:
    top = working
    if not inside and (working / folder.name).is_dir():
        top = working / folder.name
    elif inside == "*":
        entries = list(working.iterdir())
        top = entries[0] if len(entries) == 1 and entries[0].is_dir() else working
    if receipt:
        (top / RECEIPT).write_text(receipt, encoding="utf-8")
    os.replace(top, folder)


@dataclass
class _Chosen:
    """Which members are taken, and where they go; counts what was taken."""

    inside: tuple[str, ...]
    files: str
    tops: set[tuple[str, ...]] = field(default_factory=set)
    count: int = 0
    size: int = 0

    def place(self, name: str) -> str | None:
        """Return where the member goes, relative to the folder; None if it is not taken."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise _HostileError(f"{name!r} leads outside")
        depth = len(self.inside)
        top, rest = path.parts[:depth], path.parts[depth:]
        if not rest or path.parts[0] == "__MACOSX" or not fnmatchcase(path.name, self.files):
            return None
        if not all(fnmatchcase(*pair) for pair in zip(top, self.inside, strict=True)):
            return None
        self.tops.add(top)
        if len(self.tops) > 1:
            both = " and ".join("/".join(top) for top in sorted(self.tops))
            raise _HostileError(f"it holds {both}, where one folder is expected")
        return "/".join(rest)

    def take(self, size: int, allowed: int) -> None:
        """Count a member of `size` bytes."""
        self.count += 1
        self.size += size
        if self.size > allowed:
            raise _HostileError("it would grow to more than a hundred times its size")


class _HostileError(Exception):
    """A member that no data set has."""


_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError),
    *(_HostileError, NotImplementedError, RuntimeError),  # the last two: zipfile's own refusals
)


def _unpack(archive: Path, working: Path, folder: Path, chosen: _Chosen) -> None:
    try:
        allowed = max(LARGEST_RATIO * archive.stat().st_size, ALWAYS_ALLOWED)
        with open(archive, "rb") as file:
            zipped = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
        working.mkdir()
        with Meter(f"unpacking {archive.name}", "files") as meter:
            (_unpack_zip if zipped else _unpack_tar)(archive, working, chosen, allowed, meter)
        if not chosen.count:
            raise _HostileError(f"it holds no {'/'.join([*chosen.inside, chosen.files])}")
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno and archive.is_file():
            raise storage_error(error, folder, ANOTHER_FOLDER) from error
        raise BrokenArchiveError(
            f"{archive} cannot be unpacked ({reason_of(error)}): delete it and download it again"
        ) from error


def _unpack_tar(archive: Path, working: Path, chosen: _Chosen, allowed: int, meter: Meter) -> None:
    def members() -> Iterator[tarfile.TarInfo]:
        for member in tar:
            place = chosen.place(member.name)
            if place is None or member.isdir():
                continue
            if not member.isreg():
                raise _HostileError(f"{member.name!r} is a link or a device")
            chosen.take(member.size, allowed)
            yield member.replace(name=place, deep=False)
            meter.add(1)

    with tarfile.open(archive) as tar:
        tar.extractall(working, members(), filter=_inside)
        while tar.fileobj and tar.fileobj.read(BLOCK):
            pass  # gzip's checksum, at the end, is checked only by reading up to it
    _refuse_cut_tar(archive)


def _refuse_cut_tar(archive: Path) -> None:
    """Raise if an uncompressed tar lacks its end mark: tarfile would take a cut one for whole."""
    with open(archive, "rb") as file:
        if file.read(512)[257:262] != b"ustar":
            return
        file.seek(-512, os.SEEK_END)
        if file.read().strip(b"\0"):
            raise _HostileError("it ends too early")


def _unpack_zip(archive: Path, working: Path, chosen: _Chosen, allowed: int, meter: Meter) -> None:
    with zipfile.ZipFile(archive) as whole:
        for member in whole.infolist():
            place = chosen.place(member.filename)
            if place is None or member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):  # 0: made where files have no Unix modes
                raise _HostileError(f"{member.filename!r} is a link or a device")
            chosen.take(member.file_size, allowed)
            target = working / place
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole.open(member) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file, BLOCK)
            meter.add(1)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Return the member if it stays inside `folder`; raises tarfile.FilterError if not."""
    if member.name.startswith(("/", "\\")):  # which the standard filter would quietly move inside
        raise tarfile.AbsolutePathError(member)
    return tarfile.data_filter(member, folder)
