"""Sequences for tests: frames that change a little, as mp4 files and as folders."""

from pathlib import Path

import numpy as np
from PIL import Image


def moving(seed: int, count: int, size: int = 224) -> list[np.ndarray]:
    """Return `count` frames (size, size, 3) uint8: a window that moves over smooth colours."""
    rough = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    big = Image.fromarray(rough).resize((size + 4 * count, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(big)
    return [pixels[:, 4 * k : 4 * k + size].copy() for k in range(count)]


def write_mp4(path: Path, frames: list[np.ndarray], lossless: bool = False) -> Path:
    """Return `path`, an H.264 video of the frames; lossless in RGB, else as published."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    codec, pixels, quality = "libx264", "yuv420p", {"crf": "20"}
    if lossless:
        codec, pixels, quality = "libx264rgb", "rgb24", {"qp": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1, options=quality)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_frames(folder: Path, frames: list[np.ndarray], pattern: str = "img{}.png") -> Path:
    """Return `folder` with the frames as images in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / pattern.format(number), compress_level=1)
    return folder
