"""Archives, unpacked completely or not at all, and never outside their folder."""

import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from bvg.errors import UserError, reason_of, storage_error
from bvg.files import ANOTHER_FOLDER, beside
from bvg.progress import Meter

BLOCK = 1 << 20  # bytes per read
RECEIPT = ".complete"  # hidden, as readers of image folders skip hidden files
# Name, whether it is a folder, whether it is a plain file, and how to write it below a folder.
_Member = tuple[str, bool, bool, Callable[[str, Path], object]]


class BrokenArchiveError(UserError):
    """The archive itself is damaged or unsafe, so downloading it again may help."""


def unpack(
    archive: Path, folder: Path, inside: str = "", files: str = "*", receipt: str = ""
) -> Path:
    """Return `folder`, made of the files of an archive (.zip, or .tar however compressed).

    It appears only when complete; until then its files are in `<archive>.unpacking`. The caller
    sees to it that no other process unpacks the same archive. Members that lead outside, absolute
    paths, links and devices are refused, whatever they point to.
    inside: the folder in the archive that becomes `folder` ("*/raw-data"; a "*" stands for one
    folder, whatever its name); "*" alone for the top folder if that is all there is, else for
    everything; "" for everything. files: a pattern of the file names to extract. receipt: text
    for RECEIPT in `folder`.
    Raises BrokenArchiveError when the archive is broken or unsafe, UserError when the disk refuses.
    """
    working = beside(archive, "unpacking")
    shutil.rmtree(working, ignore_errors=True)  # what a killed process left
    try:
        working.mkdir()
        _extract(archive, working, () if inside == "*" else PurePosixPath(inside).parts, files)
        top, *others = working.iterdir()
        if inside != "*" or others or not top.is_dir():
            top = working
        (top / RECEIPT).write_text(receipt, encoding="utf-8")
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(top, folder)
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # bz2's and gzip's own have no number
            raise storage_error(error, folder, ANOTHER_FOLDER) from error
        raise BrokenArchiveError(
            f"{archive} cannot be unpacked ({reason_of(error)}): delete it and download it again"
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return folder


class _UnsafeError(Exception):
    """A member, or the lack of one, that no data set has."""


_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, _UnsafeError),
    *(NotImplementedError, RuntimeError),  # zipfile's, of what it cannot read
)


def _extract(archive: Path, working: Path, inside: tuple[str, ...], files: str) -> None:
    """Extract what is chosen; raises OSError, or what is in _BROKEN."""
    with open(archive, "rb") as file:
        zipped = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    tops = set()
    with Meter(f"unpacking {archive.name}", "files") as meter:
        for name, is_folder, is_plain, write in (_in_zip if zipped else _in_tar)(archive):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise _UnsafeError(f"{name!r} leads outside")
            top, rest = path.parts[: len(inside)], path.parts[len(inside) :]
            wanted = rest and fnmatchcase(path.name, files) and path.parts[0] != "__MACOSX"
            if is_folder or not wanted or not all(map(fnmatchcase, top, inside)):
                continue
            if not is_plain:
                raise _UnsafeError(f"{name!r} is a link or a device")
            tops.add("/".join(top))
            if len(tops) > 1:
                raise _UnsafeError(f"it holds {' and '.join(sorted(tops))}, not a single folder")
            write("/".join(rest), working)
            meter.add(1)
    if not tops:
        raise _UnsafeError(f"it holds no {'/'.join([*inside, files])}")


def _in_tar(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as tar:
        while member := tar.next():
            tar.members.clear()  # type: ignore[attr-defined]  # millions would fill the memory

            def write(place: str, folder: Path, member: tarfile.TarInfo = member) -> None:
                tar.extract(member.replace(name=place, deep=False), folder, filter="data")

            yield member.name, member.isdir(), member.isreg(), write
        while tar.fileobj and tar.fileobj.read(BLOCK):
            pass  # gzip's checksum, at the end, is checked only by reading up to it
    with open(archive, "rb") as file:  # tarfile takes an uncompressed one that was cut for whole
        if file.read(512)[257:262] == b"ustar":
            file.seek(-512, os.SEEK_END)
            if file.read().strip(b"\0"):
                raise _UnsafeError("it is truncated")


def _in_zip(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as whole:
        for member in whole.infolist():

            def write(place: str, folder: Path, member: zipfile.ZipInfo = member) -> None:
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                with whole.open(member) as source, open(target, "wb") as file:
                    shutil.copyfileobj(source, file, BLOCK)

            kind = stat.S_IFMT(member.external_attr >> 16)
            plain = kind in (0, stat.S_IFREG)  # 0: made where files have no Unix modes
            yield member.filename, member.is_dir(), plain, write
