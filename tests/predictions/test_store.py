"""The result folder: chunks, completion, refusal, and disks that say no."""

import errno
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bvg import files
from bvg.errors import UserError
from bvg.predictions import store as module
from bvg.predictions.store import ResultFolder
from bvg.predictions.table import read_predictions, schema

LAYOUT = schema("bench", ("a", "b"), ["texture"])
IDENTITY = {"protocol": {"seed": 0}, "images": {"count": 6}}


def _columns(start: int, stop: int) -> dict[str, np.ndarray]:
    numbers = np.arange(start, stop)
    return {
        "image": np.array([f"i{n}" for n in numbers], dtype=object),
        "condition": np.array(["clean"] * len(numbers), dtype=object),
        "label": numbers % 2,
        "answers": np.stack([numbers % 2, 1 - numbers % 2], axis=1),
        "confidence": (numbers / 10).astype(np.float32),
        "texture": numbers % 3,
    }


def _opened(folder: Path, identity=IDENTITY, overwrite=False) -> ResultFolder:
    store = ResultFolder(folder, LAYOUT)
    store.open(identity, overwrite)
    return store


def _filled(folder: Path, cuts: tuple[int, ...]) -> ResultFolder:
    store = _opened(folder)
    for start, stop in zip((0, *cuts), (*cuts, 6), strict=True):
        store.append(stop, _columns(start, stop), {"skipped": [], "resized": [], "seconds": {}})
    return store


def test_a_run_that_lacks_a_column_is_resumed_without_it(tmp_path):
    """As one that was begun before the column was recorded; its bytes are those of that version."""
    whole = _filled(tmp_path / "old", (2,))
    whole.consolidate()
    begun = _opened(tmp_path / "begun")
    begun.append(2, _columns(0, 2), {"skipped": [], "resized": [], "seconds": {}})
    begun.close()
    layout = schema("bench", ("a", "b"), ["texture"], ["label_probability"])
    resumed = ResultFolder(tmp_path / "begun", layout)
    resumed.open(IDENTITY, overwrite=False)
    assert resumed.done == 2
    rest = {**_columns(2, 6), "label_probability": np.ones(4, np.float32)}
    resumed.append(6, rest, {"skipped": [], "resized": [], "seconds": {}})
    resumed.consolidate()
    assert resumed.predictions.read_bytes() == whole.predictions.read_bytes()
    assert "label_probability" not in read_predictions(resumed.predictions).columns


def test_chunks_come_back_as_one_table(tmp_path):
    store = _filled(tmp_path, (2, 5))
    assert store.done == 6
    store.consolidate()
    predictions = read_predictions(store.predictions)
    assert list(predictions.images) == [f"i{n}" for n in range(6)]
    assert predictions.answers.tolist() == [[n % 2, 1 - n % 2] for n in range(6)]
    assert predictions.columns["texture"].tolist() == [0, 1, 2, 0, 1, 2]
    assert predictions.classes == ("a", "b")
    assert predictions.labels.dtype == np.int16
    assert predictions.confidence.dtype == np.float32


@pytest.mark.parametrize("cuts", [(), (1,), (1, 2, 3, 4, 5), (4,)])
def test_the_bytes_do_not_depend_on_the_chunks(tmp_path, cuts, monkeypatch):
    monkeypatch.setattr(module, "ROW_GROUP", 4)
    written = []
    for number, those in enumerate(((3,), cuts)):
        store = _filled(tmp_path / str(number), those)
        store.consolidate()
        written.append(store.predictions.read_bytes())
        assert pq.ParquetFile(store.predictions).num_row_groups == 2
    assert written[0] == written[1]


def test_a_result_is_complete_when_its_summary_is_there(tmp_path):
    store = _filled(tmp_path, ())
    assert not store.is_complete()
    store.consolidate()
    assert not store.is_complete()
    store.finish({"identity": IDENTITY, "metrics": {}})
    assert store.is_complete()
    assert not store.partial.exists()
    store.close()
    again = _opened(tmp_path)
    assert again.is_complete()


def test_an_open_result_goes_on_after_its_last_chunk(tmp_path):
    store = _opened(tmp_path)
    store.append(4, _columns(0, 4), {})
    store.close()
    (store.partial / ".chunk-00000004-00000006.parquet.0123abcd.tmp").write_bytes(b"PAR1 half")
    again = _opened(tmp_path)
    assert again.done == 4
    assert [(c.start, c.stop) for c in again.chunks()] == [(0, 4)]


def test_what_a_killed_run_was_writing_is_gone_in_the_end(tmp_path):
    left = tmp_path / ".predictions.parquet.0123abcd.tmp"
    left.write_bytes(b"PAR1 half")
    store = _filled(tmp_path, ())
    store.consolidate()
    store.finish({"identity": IDENTITY, "metrics": {}})
    store.close()
    assert not left.exists()


@pytest.mark.parametrize("finished", [False, True])
def test_another_protocol_is_refused_with_what_differs(tmp_path, finished):
    store = _filled(tmp_path, ())
    if finished:
        store.consolidate()
        store.finish({"identity": IDENTITY, "metrics": {}})
    store.close()
    other = {"protocol": {"seed": 1}, "images": {"count": 7}}
    with pytest.raises(UserError) as error:
        _opened(tmp_path, other)
    assert (
        "the number of images was 6 and is now 7; seed was 0 and is now 1. Choose another folder "
        "with --results, or re-run and replace it with --overwrite" in str(error.value)
    )
    assert _opened(tmp_path, other, overwrite=True).done == 0


def test_overwrite_keeps_the_old_result_until_the_new_one_is_there(tmp_path):
    store = _filled(tmp_path, ())
    store.consolidate()
    store.finish({"identity": IDENTITY, "metrics": {"old": 1}})
    store.close()
    again = _opened(tmp_path, overwrite=True)
    again.append(3, _columns(0, 3), {})
    again.close()
    assert json.loads(store.summary.read_text())["metrics"] == {"old": 1}
    resumed = _opened(tmp_path)  # without --overwrite: the new measurement goes on
    assert not resumed.is_complete()
    assert resumed.done == 3


def test_two_at_once_are_not_allowed(tmp_path):
    first = _opened(tmp_path)
    with pytest.raises(UserError, match=rf"being written by another process \({os.getpid()} on"):
        _opened(tmp_path)
    first.close()
    _opened(tmp_path).close()


def test_a_start_that_died_before_it_began_is_no_hindrance(tmp_path):
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / ".run.json.tmp").write_text("{")
    assert _opened(tmp_path).done == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission is denied"),
    ],
)
def test_what_the_disk_says_becomes_a_sentence_and_no_file(tmp_path, monkeypatch, code, words):
    store = _opened(tmp_path)
    store.append(3, _columns(0, 3), {})

    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(UserError, match=words):
        store.append(6, _columns(3, 6), {})
    with pytest.raises(UserError, match=words):
        store.consolidate()
    monkeypatch.undo()
    names = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert names == [
        ".lock",
        ".lock.holder",
        "chunk-00000000-00000003.parquet",
        "run.json",
    ]
    assert store.done == 3


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of 256 KiB, or skip where one cannot be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system needs the right to mount one (root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    store = _opened(small_disk / "result")
    store.append(3, _columns(0, 3), {})
    (small_disk / "ballast").write_bytes(b"0" * 200 * 1024)
    long = {**_columns(3, 4003), "image": np.array([os.urandom(40).hex() for _ in range(4000)])}
    with pytest.raises(UserError, match="no space is left on the disk"):
        store.append(4003, long, {})
    assert store.done == 3
    (small_disk / "ballast").unlink()
    store.append(6, _columns(3, 6), {})
    store.consolidate()
    assert len(read_predictions(store.predictions)) == 6


def test_a_disk_that_is_really_read_only(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UserError, match=r"read-only; choose another folder with --results"):
        _opened(small_disk / "result")


def test_columns_that_are_not_whole_numbers(tmp_path):
    layout = schema("bench", ("a", "b"), ["first"], ["size"])
    store = ResultFolder(tmp_path / "m", layout)
    store.open({"benchmark": "bench"}, False)
    columns = {
        **_columns(0, 2),
        "first": np.array([3, -1], np.int16),
        "size": np.array([0.25, 0.1], np.float32),
    }
    store.append(2, columns, {"skipped": [], "resized": [], "seconds": {}})
    store.consolidate()
    read = read_predictions(store.predictions)
    assert read.columns["size"].dtype == np.float32
    assert read.columns["size"].tolist() == columns["size"].tolist()
    assert read.columns["first"].tolist() == [3, -1]
    store.close()
