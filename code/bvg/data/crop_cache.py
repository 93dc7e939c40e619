"""Crops on disk, so that the next benchmark on the same images does not decode them again.

A folder of the cache holds the crops of one image folder, one preprocessing and one version of the
decoder, each in a file of its own: a line with the image's size and time, whether it was resized,
and the CRC-32 of the crop; then the crop. A file appears once it is complete, so that several
processes can add crops at a time. A crop is used only if its image is as it was then and the
checksum is right; otherwise the image is decoded, so that a run that was killed, a full disk or
damaged bytes cost time, and never change an answer.
"""

import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import PIL
from PIL import features

from bvg.data import preprocessing
from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError, reason_of
from bvg.files import make_folder, sha256_of, written_atomically

ROOM = 0.9  # share of the free space that the crops of a run may take


class Crop(NamedTuple):
    """A crop, (H, W, 3) uint8, and whether a ready-made stimulus was resized for it."""

    pixels: np.ndarray
    resized: bool


class Crops:
    """The crops of an image folder on disk.

    folder: of the cache. root: the image folder. side: of a crop, in pixels. grows: whether crops
    are added, which ends when the disk refuses one.
    """

    def __init__(self, folder: Path, root: Path, side: int) -> None:
        self.folder, self.root, self.side = folder, root, side
        self.grows = True

    def path(self, file: str) -> Path:
        """Return where the crop of a file, relative to the image folder, is kept."""
        name = sha256(os.fsencode(file)).hexdigest()[:32]
        return self.folder / name[:2] / name[2:]

    def get(self, file: str) -> Crop | None:
        """Return the crop of a file; None if there is none, or it is not to be trusted."""
        try:
            line, _, pixels = self.path(file).read_bytes().partition(b"\n")
            *state, resized, checksum = json.loads(line)
        except (OSError, ValueError, TypeError):
            return None
        if stamp(self.root / file) != tuple(state) or len(pixels) != self.side**2 * 3:
            return None
        if zlib.crc32(pixels) != checksum:
            return None
        return Crop(np.frombuffer(pixels, np.uint8).reshape(self.side, self.side, 3), resized)

    def add(self, file: str, state: tuple[int, int] | None, crop: Crop) -> None:
        """Keep a file's crop; `state` is the file's stamp from before it was read."""
        if not self.grows or state is None:
            return
        pixels = crop.pixels.tobytes()
        line = json.dumps([*state, crop.resized, zlib.crc32(pixels)]) + "\n"
        path = self.path(file)
        try:
            make_folder(path.parent, "--cache_crops")
            with written_atomically(path, "--cache_crops", durable=False) as output:
                output.write(line.encode() + pixels)
        except UserError as error:
            self.grows = False
            print(f"no more crops are kept: {error}", file=sys.stderr, flush=True)


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


def cached_crops(
    cache: Path | None, images: ImageSet, views: Iterable[Preprocessing]
) -> list[Crops]:
    """Return, for each view, the crops on disk, to which others are added.

    There are none without a cache, and for files that need a reader of their own. Says how many
    crops there are and how much space the others take; none is added if that is too much.
    """
    if cache is None or images.reader:
        return []
    return [_opened(cache, images, view) for view in views]


def _opened(cache: Path, images: ImageSet, view: Preprocessing) -> Crops:
    crops = Crops(folder_of(cache, images.root, view), images.root, view.crop)
    found = sum(stamp(crops.path(file)) is not None for file in images.files)
    need = (len(images) - found) * view.crop**2 * 3
    rest = f"the others take {need / 1e9:.2f} GB"
    try:
        crops.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(crops.folder).free
        if need > ROOM * free:
            crops.grows = False
            rest += f", of which none is kept: {free / 1e9:.1f} GB are free"
    except OSError as error:
        crops.grows = False
        rest = f"the others are not kept: {crops.folder} cannot be written ({reason_of(error)})"
    said = f"crops on disk: {found:,} of {len(images):,} in {crops.folder}"
    print(f"{said}; {rest}" if need else said)
    return crops
