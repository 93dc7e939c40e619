"""Crops on disk: the same pixels as decoding gives, whatever happened to the cache before."""

import json
import os
import shutil

import numpy as np
import pytest

from bvg.data import crop_cache, loading
from bvg.data.crop_cache import folder_of
from bvg.data.image_set import ImageSet
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import READY_224, STUDY
from bvg.files import locked
from conftest import draw

FILES = ("a.jpg", "b.jpg", "c\n\udcff.jpg", "d.jpg", "e.jpg")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number, name in enumerate(FILES):
        draw(folder / name, number, size=(260 + number, 240), quality=90)
    return folder


@pytest.fixture
def images(photographs, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(photographs, folder)
    zeros = np.zeros(len(FILES), dtype=np.int64)
    return ImageSet(folder, FILES, tuple("abcde"), zeros, ("x",))


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded from here on."""
    names = []
    decode = loading.decode
    monkeypatch.setattr(loading, "decode", lambda path: (names.append(path.name), decode(path))[1])
    return names


def _pixels(images, cache, views=(STUDY,), size=2, workers=0):
    batches = list(decoded_batches(images, views, 0, size, workers, False, cache))
    return [np.concatenate([b.views[k].numpy() for b in batches]) for k in range(len(views))]


def _folder(cache, images, view=STUDY):
    return folder_of(cache, images.root, view)


def test_second_pass_reads_the_same_crops_without_decoding(images, tmp_path, decoded):
    (plain,) = _pixels(images, None)
    del decoded[:]
    (first,) = _pixels(images, tmp_path / "cache")
    assert sorted(decoded) == sorted(FILES)
    del decoded[:]
    (second,) = _pixels(images, tmp_path / "cache", size=3)
    assert decoded == []
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(second, plain)


def test_worker_processes_read_and_the_main_process_writes(images, tmp_path, decoded):
    (plain,) = _pixels(images, None)
    (first,) = _pixels(images, tmp_path / "cache", workers=1)
    del decoded[:]
    (second,) = _pixels(images, tmp_path / "cache")
    assert decoded == []
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(second, plain)


def test_each_preprocessing_has_crops_of_its_own(images, tmp_path, decoded):
    views = (STUDY, READY_224)
    plain = _pixels(images, None, views)
    _pixels(images, tmp_path / "cache", (STUDY,))
    both = _pixels(images, tmp_path / "cache", views)
    del decoded[:]
    again = _pixels(images, tmp_path / "cache", views)
    assert decoded == []
    for k in range(2):
        np.testing.assert_array_equal(both[k], plain[k])
        np.testing.assert_array_equal(again[k], plain[k])


def test_images_that_were_resized_are_reported_from_the_cache_as_well(images, tmp_path):
    for _ in range(2):
        batches = list(decoded_batches(images, (READY_224,), 0, 5, 0, False, tmp_path / "cache"))
        assert batches[0].resized == list(range(5))


def test_subset_uses_and_extends_the_crops_of_the_whole(images, tmp_path, decoded):
    _pixels(images.select(np.array([1, 3])), tmp_path / "cache")
    del decoded[:]
    (whole,) = _pixels(images, tmp_path / "cache")
    assert sorted(decoded) == sorted(FILES[k] for k in (0, 2, 4))
    np.testing.assert_array_equal(whole, _pixels(images, None)[0])


def test_replaced_file_is_decoded_again(images, tmp_path):
    _pixels(images, tmp_path / "cache")
    draw(images.path(1), 77, size=(300, 300), quality=90)
    np.testing.assert_array_equal(_pixels(images, tmp_path / "cache")[0], _pixels(images, None)[0])


@pytest.mark.parametrize("decoder", ["Pillow", "rules"])
def test_crops_of_another_decoder_are_not_used(images, tmp_path, decoded, monkeypatch, decoder):
    _pixels(images, tmp_path / "cache")
    if decoder == "Pillow":
        monkeypatch.setattr(crop_cache.PIL, "__version__", "0.0")
    else:
        monkeypatch.setattr(crop_cache, "sha256_of", lambda path: "another")
    del decoded[:]
    _pixels(images, tmp_path / "cache")
    assert len(decoded) == len(FILES)


CROP = 224 * 224 * 3
DAMAGE = {  # of crops.bin and index.jsonl: what a kill, a full disk or a bad disk leaves behind
    "crops cut": lambda crops, index: os.truncate(crops, 2 * CROP + 1000),
    "crops empty": lambda crops, index: os.truncate(crops, 0),
    "crops gone": lambda crops, index: crops.unlink(),
    "crop without a line": lambda crops, index: crops.write_bytes(crops.read_bytes() + b"x" * 999),
    "line cut": lambda crops, index: os.truncate(index, index.stat().st_size - 7),
    "line without its end": lambda crops, index: os.truncate(index, index.stat().st_size - 1),
    "index gone": lambda crops, index: index.unlink(),
    "lines of nonsense": lambda crops, index: index.write_bytes(b"{}\n[1]\nnull\n"),
    "crops zeroed": lambda crops, index: crops.write_bytes(bytes(5 * CROP)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_never_changes_a_pixel(images, tmp_path, damage):
    (plain,) = _pixels(images, None)
    _pixels(images, tmp_path / "cache")
    folder = _folder(tmp_path / "cache", images)
    DAMAGE[damage](folder / "crops.bin", folder / "index.jsonl")
    for _ in range(2):  # when the cache is mended, and when it is used afterwards
        np.testing.assert_array_equal(_pixels(images, tmp_path / "cache")[0], plain)


@pytest.mark.parametrize("damage", ["crops cut", "line cut", "crop without a line"])
def test_what_a_killed_run_left_is_mended(images, tmp_path, decoded, damage):
    _pixels(images, tmp_path / "cache")
    folder = _folder(tmp_path / "cache", images)
    DAMAGE[damage](folder / "crops.bin", folder / "index.jsonl")
    _pixels(images, tmp_path / "cache")
    del decoded[:]
    _pixels(images, tmp_path / "cache")
    assert decoded == []
    assert (folder / "crops.bin").stat().st_size == 5 * CROP
    assert len((folder / "index.jsonl").read_bytes().splitlines()) == 5


def test_second_writer_reads_and_adds_nothing(images, tmp_path, decoded):
    _pixels(images.select(np.array([0, 1])), tmp_path / "cache")
    folder = _folder(tmp_path / "cache", images)
    del decoded[:]
    with locked(folder / ".lock"):
        (pixels,) = _pixels(images, tmp_path / "cache")
    assert sorted(decoded) == sorted(FILES[2:])
    np.testing.assert_array_equal(pixels, _pixels(images, None)[0])
    assert len((folder / "index.jsonl").read_bytes().splitlines()) == 2


def test_full_disk_ends_the_writing_only(images, tmp_path, monkeypatch, capsys):
    write = crop_cache.Writer.add

    def full_after_two(self, file, changed, crop):
        if len(self.crops.rows) == 2 and self.files:
            self.files[0].close()
            self.files[0] = open("/dev/full", "ab")  # noqa: SIM115
        write(self, file, changed, crop)

    monkeypatch.setattr(crop_cache.Writer, "add", full_after_two)
    (pixels,) = _pixels(images, tmp_path / "cache")
    monkeypatch.undo()
    assert "No space left" in capsys.readouterr().err
    np.testing.assert_array_equal(pixels, _pixels(images, None)[0])
    np.testing.assert_array_equal(_pixels(images, tmp_path / "cache")[0], pixels)


def test_too_little_room_is_said_and_nothing_is_written(images, tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)._replace(free=5 * CROP)
    monkeypatch.setattr(crop_cache.shutil, "disk_usage", lambda folder: usage)
    (pixels,) = _pixels(images, tmp_path / "cache")
    assert "free" in capsys.readouterr().out
    np.testing.assert_array_equal(pixels, _pixels(images, None)[0])
    assert not (_folder(tmp_path / "cache", images) / "crops.bin").exists()


def test_unusable_folder_is_said_and_images_are_decoded(images, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file")
    (pixels,) = _pixels(images, tmp_path / "cache")
    assert "cannot be written" in capsys.readouterr().out
    np.testing.assert_array_equal(pixels, _pixels(images, None)[0])


def test_file_names_are_kept_exactly(images, tmp_path):
    _pixels(images, tmp_path / "cache")
    lines = (_folder(tmp_path / "cache", images) / "index.jsonl").read_text("ascii").splitlines()
    assert [json.loads(line)[0] for line in lines] == list(FILES)
