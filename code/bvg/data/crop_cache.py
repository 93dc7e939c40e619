"""Crops on disk, so that the next benchmark on the same images does not decode them again.

A folder of the cache holds the crops of one image folder, one preprocessing and one version of the
decoder: crops.bin has the crops one after the other, index.jsonl a line for each, in the same
order, with its file's path, size and time, and the crop's CRC-32. A line is written after its crop.
A crop is used only if its file is as it was then and the checksum is right; otherwise the file is
decoded, so that a run that was killed, a full disk or damaged bytes cost time, and never change an
answer. One process at a time adds crops; the others read those that were there when they began.
"""

import json
import shutil
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
import PIL
from PIL import features

from bvg.data import preprocessing
from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import Preprocessing
from bvg.errors import reason_of
from bvg.files import locked, sha256_of

ROOM = 0.9  # share of the free space that the crops of a run may take


class Entry(NamedTuple):
    """A line of the index.

    file: relative to the image folder. size: of the file, in bytes. time: of its last change, in
    nanoseconds. crc: of the crop's bytes. resized: whether a ready-made stimulus was resized.
    """

    file: str
    size: int
    time: int
    crc: int
    resized: bool


class Crop(NamedTuple):
    """A crop, (H, W, 3) uint8, and whether a ready-made stimulus was resized for it."""

    pixels: np.ndarray
    resized: bool


@dataclass(frozen=True)
class Crops:
    """The crops of an image folder on disk.

    folder: of the cache. root: the image folder. side: of a crop, in pixels. rows: where a file's
    crop lies, and its entry.
    """

    folder: Path
    root: Path
    side: int
    rows: dict[str, tuple[int, Entry]]

    def get(self, file: str) -> Crop | None:
        """Return the crop of a file; None if there is none, or it is not to be trusted."""
        row, entry = self.rows.get(file, (0, None))
        if entry is None or stamp(self.root / file) != (entry.size, entry.time):
            return None
        count = self.side * self.side * 3
        try:
            # Opened each time: worker processes need no state, and 20 µs are little beside a file.
            data = np.fromfile(self.folder / "crops.bin", np.uint8, count, offset=row * count)
        except OSError:
            return None
        if len(data) < count or zlib.crc32(data.data) != entry.crc:
            return None
        return Crop(data.reshape(self.side, self.side, 3), entry.resized)


class Writer:
    """Adds crops to those on disk, until the disk refuses.

    Raises OSError if the cache cannot be written at all.
    """

    def __init__(self, crops: Crops, index_bytes: int) -> None:
        """Drop what a killed run left behind, and continue there."""
        self.crops = crops
        self.files: list[BinaryIO] = []
        ends = {"crops.bin": len(crops.rows) * crops.side**2 * 3, "index.jsonl": index_bytes}
        for name, end in ends.items():
            file = open(crops.folder / name, "ab")  # noqa: SIM115 (closed by close)
            self.files.append(file)
            file.truncate(end)

    def add(self, file: str, changed: tuple[int, int], crop: Crop) -> None:
        """Add a file's crop, unless it is there already; `changed` is the file's stamp."""
        if not self.files or file in self.crops.rows:
            return
        pixels = crop.pixels.tobytes()
        entry = Entry(file, *changed, zlib.crc32(pixels), crop.resized)
        line = json.dumps(entry) + "\n"  # in ASCII, with any file name as escapes
        try:
            for output, data in zip(self.files, (pixels, line.encode()), strict=True):
                output.write(data)
                output.flush()
        except OSError as error:
            self.close()
            print(f"no more crops are kept: {reason_of(error)}", file=sys.stderr, flush=True)
            return
        self.crops.rows[file] = len(self.crops.rows), entry

    def close(self) -> None:
        """Close the files; nothing is added afterwards."""
        files, self.files = self.files, []
        for file in files:
            try:
                file.close()
            except OSError:  # what a full disk kept from being written, which has been said
                continue


def stamp(file: Path) -> tuple[int, int] | None:
    """Return a file's size in bytes and the time of its last change; None if it is not there."""
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def folder_of(cache: Path, root: Path, view: Preprocessing) -> Path:
    """Return the folder of the cache for the crops that this version of the decoder makes."""
    decoder = {
        "pillow": PIL.__version__,
        "libjpeg": features.version("jpg"),
        "turbo": features.version("libjpeg_turbo"),
        "opencv": cv2.__version__,
        "rules": sha256_of(Path(preprocessing.__file__)),
    }
    key = json.dumps([str(root.resolve()), view.describe(), decoder], sort_keys=True)
    return cache / sha256(key.encode(errors="backslashreplace")).hexdigest()[:16]


def read_crops(folder: Path, root: Path, side: int) -> tuple[Crops, int]:
    """Return the crops on disk, and the bytes of the index that are about them."""
    crops = Crops(folder, root, side, {})
    try:
        lines = (folder / "index.jsonl").read_bytes().splitlines(keepends=True)
        whole = (folder / "crops.bin").stat().st_size // (side * side * 3)
    except OSError:
        return crops, 0
    used = 0
    for row, line in enumerate(lines[:whole]):
        try:
            entry = Entry(*json.loads(line))
        except (ValueError, TypeError):  # the line that a killed run was writing
            break
        if not line.endswith(b"\n"):
            break
        crops.rows[entry.file] = row, entry
        used += len(line)
    return crops, used


@contextmanager
def cached_crops(
    cache: Path | None, images: ImageSet, views: Iterable[Preprocessing]
) -> Iterator[list[tuple[Crops, Writer | None]]]:
    """Yield, for each view, the crops on disk and what adds to them (None: nothing is added).

    Yields an empty list without a cache, and for files that need a reader of their own. Says how
    many crops there are and how much space the others take. Nothing is added while another process
    adds crops of the same images, or if there is too little room on the disk.
    """
    with ExitStack() as held:
        if cache and not images.reader:
            yield [_opened(cache, images, view, held) for view in views]
        else:
            yield []


def _opened(
    cache: Path, images: ImageSet, view: Preprocessing, held: ExitStack
) -> tuple[Crops, Writer | None]:
    folder = folder_of(cache, images.root, view)
    refusal = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.enter_context(locked(folder / ".lock"))
    except BlockingIOError:
        refusal = "another process is adding crops"
    except OSError as error:
        refusal = f"{folder} cannot be written ({reason_of(error)})"
    crops, used = read_crops(folder, images.root, view.crop)  # after the last writer has ended
    lacking = len(images) - sum(file in crops.rows for file in images.files)
    need = lacking * view.crop**2 * 3
    if lacking and not refusal and need > ROOM * (free := shutil.disk_usage(folder).free):
        refusal = f"they would take {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
    writer = None
    if not refusal:
        try:
            writer = Writer(crops, used)
            held.callback(writer.close)
        except OSError as error:
            refusal = f"{folder} cannot be written ({reason_of(error)})"
    rest = (
        f"the others are not kept: {refusal}" if refusal else f"the others take {need / 1e9:.2f} GB"
    )
    found = len(images) - lacking
    print(f"crops on disk: {found:,} of {len(images):,} in {folder}" + f"; {rest}" * bool(lacking))
    return crops, writer
