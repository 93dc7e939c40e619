"""Data sets that can be downloaded: the catalogue, their state, and how to get one.

Below the folder for data, each has a folder of its name, which appears only when complete.
`archives/` holds what is on its way, pins (`.sha256`) and locks.
"""

import os
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bvg.data.archives import unpack
from bvg.data.fetch import cache_folder, fetch, partial_folder
from bvg.errors import UserError
from bvg.files import ANOTHER_FOLDER, beside, locked_beside
from bvg.progress import size

CATALOGUE = Path(__file__).with_name("downloads.toml")
ROOM = 2.2  # archive and unpacked files, in multiples of the archive's size


@dataclass(frozen=True)
class DataSet:
    """A data set of the catalogue, or (with `members`) a group of them in one folder.

    title: for sentences. flag, variable: give its path on the command line and in the environment
    (by default --<name> and BVG_<FLAG>). members: of a group; where the fields of one differ from
    the group's, they are in its table [<group>.of.<member>].
    sources: in the order in which they are tried. file: the archive's name on disk (by default as
    in the first source). sha256, bytes: of the archive, where published. kind: "archive", or "file"
    for one that is used as it is (the members of a group then are files of its folder, by their
    names). inside, files: see archives.unpack. use: the command that takes it, with {folder} and
    {to}. explain: how to get what must not be fetched. alternative: what else its scripts can use.
    checked: where addresses and hashes are from.
    """

    name: str
    what: str
    use: str = ""
    about: str = ""
    licence: str = ""
    title: str = ""
    flag: str = ""
    variable: str = ""
    sources: tuple[str, ...] = ()
    file: str = ""
    sha256: str = ""
    bytes: int = 0
    kind: str = "archive"
    inside: str = "*"
    files: str = "*"
    explain: str = ""
    alternative: str = ""
    checked: str = ""
    members: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Return what scripts use, relative to the folder of all data sets."""
        alone = self.kind == "file" and not self.members and not group_of(self.name)
        return f"{self.name}/{self.file}" if alone else self.name

    @property
    def remedy(self) -> str:
        """Return how to get it, for sentences that go on with "or ..."."""
        command = f"python code/download.py {self.name}"
        how = f"get it as explained by: {command}" if self.explain else f"run: {command}"
        return f"{self.alternative}, or {how}" if self.alternative else how


def data_folder() -> Path:
    """Return the default folder for data sets."""
    return cache_folder() / "data"


def read_catalogue(path: Path = CATALOGUE) -> dict[str, DataSet]:
    """Return the data sets by name; the members of a group are called group/member."""
    return {name: entry for name, entry in _entries(path).items() if not entry.members}


@cache
def data_sets() -> dict[str, DataSet]:
    """Return what scripts look for, by name: data sets, groups, and members with a variable."""
    entries = _entries(CATALOGUE)
    of_groups = {name: entries[group_of(name)] for name in entries if group_of(name)}
    return {
        name: entry
        for name, entry in entries.items()
        if name not in of_groups or entry.variable != of_groups[name].variable
    }


def _entries(path: Path) -> dict[str, DataSet]:
    with open(path, "rb") as file:
        tables = tomllib.load(file)
    found = {}
    for name, fields in tables.items():
        differing = fields.pop("of", {})  # fields of members that are not the group's
        found[name] = _entry(name, fields)
        for member in found[name].members:
            inherited = {key: value for key, value in fields.items() if key != "members"}
            sources = [source.replace("{member}", member) for source in fields["sources"]]
            own = {"sources": sources, **differing.get(member, {})}
            found[f"{name}/{member}"] = _entry(f"{name}/{member}", inherited | own)
    return found


def _entry(name: str, fields: dict[str, Any]) -> DataSet:
    """Return the data set of a table's fields, with defaults for those that can be derived."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    entry = DataSet(name, **values)
    flag = entry.flag or "--" + name.replace("-", "_")
    address = urlsplit(entry.sources[0]).path if entry.sources else ""
    return replace(
        entry,
        title=entry.title or name,
        flag=flag,
        variable=entry.variable or "BVG_" + flag.removeprefix("--").upper(),
        file=entry.file or Path(address).name,
        explain=entry.explain or ("" if entry.sources else "the catalogue has no address of it"),
    )


def group_of(name: str) -> str:
    """Return the group that a data set belongs to, or "" if to none."""
    return name.partition("/")[0] if "/" in name else ""


def select(names: Iterable[str], catalogue: dict[str, DataSet]) -> list[DataSet]:
    """Return the data sets named, each once; a group's name stands for all of it.

    "all" stands for all that may be downloaded.

    Raises UserError for a name that is not in the catalogue.
    """
    found: dict[str, DataSet] = {}
    for name in names:
        every = (d for d in catalogue.values() if d.sources or name != "all")
        chosen = [d for d in every if name in ("all", d.name, group_of(d.name))]
        if not chosen:
            known = dict.fromkeys(group_of(name) or name for name in catalogue)
            raise UserError(f"there is no data set {name!r}: choose from {', '.join(known)} or all")
        found |= {data_set.name: data_set for data_set in chosen}
    return list(found.values())


def usage(data_set: DataSet, to: Path) -> str:
    """Return the command that uses the data set."""
    return data_set.use.replace("{folder}", str(to / data_set.name)).replace("{to}", str(to))


def state(data_set: DataSet, to: Path) -> str:
    """Return the state of the data set in a word."""
    if (to / data_set.path).exists():
        return "downloaded"
    if data_set.explain:
        return "manual"
    return "partial" if _has_begun(_download_of(data_set, to)) else "missing"


def _download_of(data_set: DataSet, to: Path) -> Path:
    """Return where the file goes that is downloaded."""
    return to / "archives" / (data_set.file if data_set.kind == "archive" else data_set.path)


def _has_begun(file: Path) -> bool:
    return file.exists() or partial_folder(file).exists()


def get(data_set: DataSet, to: Path) -> Path:
    """Return the data set's folder or file below `to`, downloading and unpacking it if necessary.

    A call that was interrupted is continued; of two processes, the second waits and then finds it.
    Raises UserError when it may not be fetched, when all sources fail, when the archive is not what
    it should be, when the disk refuses or lacks the room.
    """
    if data_set.explain:
        how = f"{data_set.explain}; then: {usage(data_set, to)}"
        raise UserError(f"{data_set.name} is not downloaded: {how}")
    place, file = to / data_set.path, _download_of(data_set, to)
    if place.exists():
        return place
    with locked_beside(beside(file, "set")):
        if place.exists():  # another process has just finished it
            return place
        if not _has_begun(file):
            _require_space(data_set, to)
        fetch(data_set.sources, file, data_set.sha256, about=data_set.about)
        if data_set.kind == "archive":
            unpack(file, place, data_set.inside, data_set.files)
            file.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)
    return place


def _require_space(data_set: DataSet, to: Path) -> None:
    """Raise UserError unless the disk has room for the data set, where its size is known."""
    needed = data_set.bytes * (ROOM if data_set.kind == "archive" else 1)
    free = shutil.disk_usage(to).free
    if needed > free:
        raise UserError(
            f"{data_set.name} needs {size(needed)} of free disk space, but {to} has {size(free)}: "
            f"free some space, or choose another folder with {ANOTHER_FOLDER}"
        )
