"""Archives, unpacked completely or not at all, and never outside their folder."""

import os
import shutil
import tarfile
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from bvg.errors import UserError, reason_of, storage_error
from bvg.files import ANOTHER_FOLDER, beside
from bvg.progress import Meter

BLOCK = 1 << 20  # bytes per read


def unpack(archive: Path, folder: Path, inside: str = "*", files: str = "*") -> Path:
    """Return `folder`, made of the files of an archive (.zip, or .tar however compressed).

    It appears only when complete; until then its files are in `<archive>.unpacking`. The caller
    sees to it that no other process unpacks the same archive. Members that lead outside are
    refused, and so are devices and links to what is outside.
    inside: the folder in the archive that becomes `folder` ("*/raw-data"; "*" for the top folder
    if that is all there is, else for everything). files: a pattern of the file names to extract.
    Raises UserError when the archive is broken or unsafe, or the disk refuses.
    """
    working = beside(archive, "unpacking")
    shutil.rmtree(working, ignore_errors=True)  # what a killed process left
    try:
        working.mkdir()
        _extract(archive, working, files)
        chosen = _choose(working, inside)
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(chosen, folder)
    except Exception as error:  # tarfile, zipfile and their compressions have kinds of their own
        if isinstance(error, OSError) and error.errno:  # bz2's and gzip's own have no number
            raise storage_error(error, folder, ANOTHER_FOLDER) from error
        raise UserError(
            f"{archive} cannot be unpacked ({reason_of(error)}): delete it and "
            f"{archive.name}.sha256, and download it again"
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return folder


def _extract(archive: Path, working: Path, files: str) -> None:
    with Meter(f"unpacking {archive.name}", "files") as meter:

        def wanted(name: str) -> bool:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise ValueError(f"{name!r} leads outside")
            meter.add(1)
            return path.parts[:1] != ("__MACOSX",) and fnmatchcase(path.name, files)

        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as whole:
                for name in filter(wanted, whole.namelist()):
                    whole.extract(name, working)  # a link becomes a plain file
            return
        with tarfile.open(archive) as tar:
            while member := tar.next():
                tar.members.clear()  # type: ignore[attr-defined]  # millions would fill the memory
                if wanted(member.name):
                    tar.extract(member, working, filter="data")
            while tar.fileobj and tar.fileobj.read(BLOCK):
                pass  # gzip's checksum, at the end, is checked only by reading up to it


def _choose(working: Path, inside: str) -> Path:
    """Return the folder of what was extracted that is asked for."""
    found = [path for path in working.glob(inside) if path.is_dir()]
    if inside == "*" and not len(found) == len([*working.iterdir()]) == 1:
        found = [working]
    if len(found) != 1 or not any(found[0].iterdir()):
        raise ValueError(f"it holds {len(found)} folders {inside} with files, not one")
    return found[0]
