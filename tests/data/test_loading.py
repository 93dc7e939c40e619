"""Decoding: equal to Pillow and torchvision, in every colour mode, and honest about bad files."""

import cv2
import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from bvg.data.image_set import ImageSet
from bvg.data.loading import decode, decoded_batches
from bvg.data.preprocessing import READY_224, SQUASHED_224, STUDY, Preprocessing
from conftest import draw


def _set(folder, files) -> ImageSet:
    zeros = np.zeros(len(files), dtype=np.int64)
    return ImageSet(folder, tuple(files), tuple(files), zeros, ("x",))


def _batches(folder, files, views=(STUDY,), start=0, size=2, workers=0):
    return list(decoded_batches(_set(folder, files), views, start, size, workers, False))


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (224, 224), (64, 900), (301, 257)])
def test_crops_equal_torchvisions(tmp_path, size):
    path = draw(tmp_path / "a.jpg", 3, size=size, quality=90)
    reference = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    expected = np.asarray(reference(Image.open(path).convert("RGB")))
    (batch,) = _batches(tmp_path, ["a.jpg"])
    assert batch.views[0].shape == (1, 224, 224, 3)
    np.testing.assert_array_equal(batch.views[0][0].numpy(), expected)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (97, 133), (10, 300), (223, 224)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest", "box"])
@pytest.mark.parametrize("resize", [224, 235, 199])
@pytest.mark.parametrize("square_first", [False, True])
def test_every_preprocessing_equals_torchvisions(size, interpolation, resize, square_first):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    mode = transforms.InterpolationMode(interpolation)
    steps = [transforms.Resize(resize, mode), transforms.CenterCrop(224)]
    steps = [transforms.CenterCrop(min(size))] * square_first + steps
    view = Preprocessing(resize, 224, interpolation, square_first=square_first)
    np.testing.assert_array_equal(view(image), np.asarray(transforms.Compose(steps)(image)))


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    image = Image.open(draw(tmp_path / "rgb.png", 5))
    suffix = "jpg" if mode == "CMYK" else "png"
    image.convert(mode).save(tmp_path / f"a.{suffix}")
    rgb = decode(tmp_path / f"a.{suffix}")
    assert rgb.mode == "RGB"
    np.testing.assert_array_equal(
        np.asarray(rgb), np.asarray(Image.open(tmp_path / f"a.{suffix}").convert("RGB"))
    )


def test_sixteen_bits_look_like_eight(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (300, 260), dtype=np.uint16)
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "eight.png")
    Image.fromarray(grey * 257).save(tmp_path / "sixteen.png")
    (batch,) = _batches(tmp_path, ["eight.png", "sixteen.png"])
    np.testing.assert_array_equal(batch.views[0][1].numpy(), batch.views[0][0].numpy())


def test_bad_files_are_reported_and_the_rest_is_delivered(tmp_path):
    draw(tmp_path / "good.jpg", 1, size=(80, 60))
    whole = draw(tmp_path / "whole.jpg", 2, size=(300, 300)).read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.JPEG").write_text("this is no image")
    (tmp_path / "empty.png").write_bytes(b"")
    draw(tmp_path / "dot.png", 1, size=(1, 1))
    (tmp_path / "link.png").symlink_to("/nowhere/MD5E-s1.png")  # as git-annex leaves them
    (tmp_path / "folder.png").mkdir()
    files = ["truncated.jpg", "text.JPEG", "good.jpg", "empty.png", "dot.png", "gone.png"]
    files += ["link.png", "folder.png"]
    (batch,) = _batches(tmp_path, files, size=8)
    assert batch.indices.tolist() == [2]
    reasons = dict(batch.failures)
    assert "truncated" in reasons[0]
    assert reasons[1] == reasons[3] == "it is not an image"
    assert reasons[4] == "it is only 1 x 1 pixels"
    assert reasons[5] == "it no longer exists"
    assert "link" in reasons[6]
    assert 7 in reasons


def test_order_start_and_batches_do_not_depend_on_workers(tmp_path):
    files = [draw(tmp_path / f"{n}.png", n).name for n in range(7)]
    alone = _batches(tmp_path, files, start=2, size=2)
    helped = _batches(tmp_path, files, start=2, size=2, workers=2)
    assert [b.indices.tolist() for b in alone] == [[2, 3], [4, 5], [6]]
    for one, other in zip(alone, helped, strict=True):
        np.testing.assert_array_equal(one.views[0].numpy(), other.views[0].numpy())
        assert one.indices.tolist() == other.indices.tolist()


def test_ready_stimuli_are_left_alone_and_others_counted(tmp_path):
    ready = draw(tmp_path / "ready.png", 1, size=(224, 224))
    draw(tmp_path / "other.png", 2, size=(300, 260))
    (batch,) = _batches(tmp_path, ["ready.png", "other.png"], views=(READY_224,))
    np.testing.assert_array_equal(batch.views[0][0].numpy(), np.asarray(Image.open(ready)))
    assert batch.resized == [1]


def test_several_views_are_cut_from_one_decode(tmp_path, monkeypatch):
    from bvg.data import loading

    draw(tmp_path / "a.png", 1, size=(300, 200))
    calls = []
    monkeypatch.setattr(
        loading, "decode", lambda path, decode=loading.decode: (calls.append(path), decode(path))[1]
    )
    small = Preprocessing(resize=64, crop=48, interpolation="bicubic")
    (batch,) = _batches(tmp_path, ["a.png"], views=(STUDY, small))
    assert [view.shape[1] for view in batch.views] == [224, 48]
    assert len(calls) == 1


def test_the_central_square_first_then_its_resize():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    square = Preprocessing(resize=60, crop=60, interpolation="bicubic", square_first=True)
    expected = Image.fromarray(pixels[:, 30:120]).resize((60, 60), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(square(Image.fromarray(pixels)), np.asarray(expected))
    assert square.describe()["square_first"] is True
    assert not {"square_first", "squash"} & set(STUDY.describe())  # as before there was a choice


def test_squashed_photographs_keep_all_of_the_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    photo = Image.fromarray(pixels)
    opencv, pillow = SQUASHED_224["opencv"], SQUASHED_224["pillow"]
    assert np.array_equal(opencv(photo), cv2.resize(pixels, (224, 224)))
    shape = (224, 224)
    assert np.array_equal(pillow(photo), np.asarray(photo.resize(shape, Image.Resampling.BILINEAR)))
    large = Image.fromarray(np.repeat(np.repeat(pixels, 8, axis=0), 8, axis=1))
    assert np.std(pillow(large)) < np.std(opencv(large)) - 5  # only the former averages
    assert opencv.describe() == STUDY.describe() | {"resize": 224, "squash": "opencv"}
    assert pillow.describe()["squash"] == "pillow"
