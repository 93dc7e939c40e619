"""mp4 files: every frame, in order, its pixels; and no damaged file passes for a whole one."""

import sys

import numpy as np
import pytest
from PIL import Image

from bvg.data.video import video_frames, video_library
from conftest import refusal
from sequence_helpers import moving, write_mp4

pytest.importorskip("av", reason="PyAV is not installed: pip install av")


def _pixels(frames: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in frames]).astype(int)


@pytest.mark.parametrize("count", [1, 2, 31])
def test_a_lossless_video_gives_the_frames_back_to_the_last_bit(tmp_path, count):
    frames = moving(1, count)
    found = video_frames(write_mp4(tmp_path / "a.mp4", frames, lossless=True))
    assert all(frame.mode == "RGB" and frame.size == (224, 224) for frame in found)
    np.testing.assert_array_equal(_pixels(found), np.stack(frames))


def test_a_video_as_published_gives_the_frames_up_to_the_codecs_loss(tmp_path):
    frames = moving(2, 31)
    found = _pixels(video_frames(write_mp4(tmp_path / "a.mp4", frames)))
    assert found.shape == (31, 224, 224, 3)
    loss = np.abs(found - np.stack(frames)).mean(axis=(1, 2, 3))
    assert loss.max() < 4
    few, same = found[:, ::16, ::4], np.stack(frames)[:, ::16, ::4]
    apart = np.abs(few[:, None] - same[None]).mean(axis=(2, 3, 4))
    assert (apart.argmin(axis=1) == np.arange(31)).all()  # none is missing, twice or out of order


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 200, 90)])
def test_colours_are_not_swapped_nor_their_range_narrowed(tmp_path, colour):
    frame = np.full((224, 224, 3), colour, np.uint8)
    found = _pixels(video_frames(write_mp4(tmp_path / "a.mp4", [frame, frame])))
    assert np.abs(found - frame).max() <= 4


def test_other_sizes_and_odd_names_are_read(tmp_path):
    frames = moving(3, 3, size=96)
    path = write_mp4(tmp_path / "a.mp4", frames, lossless=True)
    odd = path.rename(tmp_path / "concat:ü %03d.MP4")  # FFmpeg takes such for patterns, protocols
    np.testing.assert_array_equal(_pixels(video_frames(odd)), np.stack(frames))


def test_no_truncated_video_passes_for_a_whole_one(tmp_path):
    import av

    write_mp4(tmp_path / "plain.mp4", moving(4, 12))
    with (  # the index first: what is left of such a file can be decoded up to the cut
        av.open(str(tmp_path / "plain.mp4")) as source,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as target,
    ):
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    with av.open(str(tmp_path / "fast.mp4")) as source:  # also between frames, and in the index
        cuts = [packet.pos for packet in source.demux(video=0) if packet.pos is not None]
    cuts += range(40, 1000, 40)
    whole = {kind: (tmp_path / f"{kind}.mp4").read_bytes() for kind in ("plain", "fast")}
    expected = _pixels(video_frames(tmp_path / "fast.mp4"))
    assert len(expected) == 12
    refused = 0
    for content in whole.values():
        for length in [*cuts, *np.linspace(0, len(content) - 1, 25).astype(int)]:
            path = tmp_path / "cut.mp4"
            path.write_bytes(content[:length])
            try:  # what lacks a byte of the last remark is whole
                np.testing.assert_array_equal(_pixels(video_frames(path)), expected)
            except ValueError as error:
                refused += 1
                assert "/" not in str(error) and "\n" not in str(error)
    assert len(cuts) >= 36 and refused >= 2 * (len(cuts) + 25) - 2


def test_damage_is_not_concealed(tmp_path):
    content = bytearray(write_mp4(tmp_path / "a.mp4", moving(5, 12)).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ValueError):
        video_frames(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"this is no video" * 40, "not a complete video")]
)
def test_what_is_no_video_is_a_value_error(tmp_path, content, said):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        video_frames(tmp_path / "a.mp4")


def test_a_file_without_a_picture_is_a_value_error(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match="no video stream"):
        video_frames(tmp_path / "a.mp4")


def test_a_file_that_is_gone_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        video_frames(tmp_path / "gone.mp4")


def test_without_the_library_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install 'av" in refusal(video_library)
