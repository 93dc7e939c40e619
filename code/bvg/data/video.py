"""The frames of an mp4 file, decoded by PyAV (the package `av`), which is needed only for these.

PyAV, because its wheels (Linux, macOS, Windows) include FFmpeg, it is maintained, has no
dependencies, reports errors, and gives the pixels of the published evaluation, which used OpenCV
and hence the same FFmpeg library. torchcodec needs FFmpeg to be installed, imageio-ffmpeg starts a
process per file, and OpenCV silently truncates damaged files.

RGB values depend on the decoder: luma and chroma are defined by H.264, but their conversion to RGB
is not. With FFmpeg's defaults, used here, all pixels equal OpenCV's (compared on x86); with
FFmpeg's accurate rounding, which other decoders and processors may use, single pixels differ by up
to 28 of 255 and the mean by about 1.
"""

from io import BytesIO
from pathlib import Path
from types import ModuleType

from PIL import Image

from bvg.errors import UserError, reason_of

INSTALL = "pip install 'av>=18'"


def video_library() -> ModuleType:
    """Return the module `av`; raises UserError with the install command if it is missing."""
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"mp4 files cannot be read ({reason_of(error)}): install PyAV with {INSTALL}, or give "
            "each sequence as a folder of frames"
        ) from error
    return av


def video_frames(path: Path) -> list[Image.Image]:
    """Return all frames of the file's first video stream, in the order of display, as RGB.

    A single thread decodes, since the caller's threads or processes decode several files in
    parallel. Raises ValueError or OSError for a file that is no video, is damaged, or has fewer
    frames than declared; FFmpeg itself would conceal damage and continue.
    """
    av = video_library()
    content = path.read_bytes()  # FFmpeg may interpret file names as protocols or patterns
    if not content:
        raise ValueError("it is empty")
    try:
        with av.open(BytesIO(content)) as container:
            return _decoded(av, container)
    except av.error.FFmpegError as error:
        raise ValueError(f"it is not a complete video: {error.strerror}") from error


def _decoded(av: ModuleType, container) -> list[Image.Image]:
    streams = container.streams.video
    if not streams or streams[0].codec_context is None:  # decoding would crash
        raise ValueError("it contains no video stream that can be decoded")
    stream = streams[0]
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    converter = av.video.reformatter.VideoReformatter()  # reused, since it caches its tables
    frames: list[Image.Image] = []
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise ValueError(f"its frame {len(frames) + 1} is damaged")
        rgb = converter.reformat(frame, format="rgb24", threads=1)
        frames.append(Image.fromarray(rgb.to_ndarray()))
    if not frames or len(frames) < stream.frames:
        raise ValueError(f"only {len(frames)} of its {stream.frames} frames can be decoded")
    return frames
