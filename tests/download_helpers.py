"""A small catalogue of data sets on a local server, for the tests of downloads."""

import hashlib
import io
import random
import tarfile
import zipfile
from pathlib import Path

NOISE = random.Random(0).randbytes(60_000)  # an "image" that does not shrink


def tar_of(members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> bytes:
    """Return a tar archive of files, or of the entries given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    """Return a zip archive of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


A_TAR = tar_of({"anything/n01/1.JPEG": NOISE, "anything/n02/2.JPEG": b"two"}, "w")
EDGE, CONTRAST = (tar_of({f"{name}/cat/1.png": name.encode()}) for name in ("edge", "contrast"))
SKETCH = zip_of({"sketch/n01/sketch_1.JPEG": b"one"})
LABELS = b"[[1], [], [2, 3]]"
TABLES = {"c.csv": b"model,c", "more/p.csv": b"model,p"}

CATALOGUE = f"""
["people"]
what = "two sets of one kind"
members = ["edge", "contrast"]
sources = ["URL/{{member}}.tar.gz"]
inside = "*"
use = "python code/eval_x.py --stimuli {{to}}/people"
about = "https://example.org/people"
licence = "none"

["set-a"]
what = "a tar"
sources = ["URL/a.tar", "URL/mirror/a.tar"]
sha256 = "{sha256(A_TAR)}"
bytes = {len(A_TAR)}
inside = "*"
use = "python code/eval_x.py --a {{folder}}"
about = "https://example.org/a"
licence = "its own"

["sketches"]
what = "a zip"
sources = ["URL/Sketch.zip"]
inside = "*"
use = "python code/eval_x.py --sketch {{folder}}"
about = "https://example.org/sketches"
licence = "none"

["labels"]
what = "a file"
sources = ["URL/real.json"]
kind = "file"
use = "python code/eval_x.py --real {{folder}}/real.json"
about = "https://example.org/labels"
licence = "none"

["tables"]
what = "several files"
members = ["c.csv", "more/p.csv"]
sources = ["URL/repository/0123abcd/{{member}}"]
kind = "file"
use = "python code/collect.py --external {{to}}/tables"
about = "https://example.org/tables"
licence = "none"

["tables".of."c.csv"]
sha256 = "{sha256(TABLES["c.csv"])}"

["registered"]
what = "one that may not be fetched"
explain = "register at https://example.org first"
use = "python code/eval_x.py --registered DIR"
about = "https://example.org"
licence = "its own"
"""


def contents(folder: Path) -> set[str]:
    """Return the files below a folder, but those of `archives`."""
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in files if not name.startswith("archives/")}


def archives(to: Path) -> set[str]:
    """Return what is in `archives`, but pins and locks."""
    names = {path.name for path in (to / "archives").rglob("*") if path.is_file()}
    return {name for name in names if not name.endswith((".lock", ".sha256"))}
