"""Downloads: resumed, checked, and never half a file under the final name."""

import contextlib
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import basics.fetch
from basics.fetch import cache_folder, fetch
from conftest import refusal
from local_server import serve

DATA = bytes(range(256)) * 400
OTHER = DATA[::-1]
CODE = Path(basics.fetch.__file__).parents[1]
FETCH = "import sys; from pathlib import Path; from basics.fetch import fetch; "
FETCH += "fetch((sys.argv[1],), Path(sys.argv[2]))"


@pytest.fixture
def site():
    with serve() as site:
        site.files["/w.pth"] = DATA
        yield site


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "weights" / "m--w.pth"


def names(target: Path) -> set[str]:
    return {path.name.removeprefix(target.name) for path in target.parent.iterdir()}


def parts(target: Path) -> list[Path]:
    return [path for path in target.parent.iterdir() if path.name.endswith(".part")]


def in_process(site, target) -> subprocess.Popen:
    words = [sys.executable, "-c", FETCH, f"{site.url}/w.pth", str(target)]
    return subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(CODE)})


def test_a_download_leaves_the_file_its_pin_and_its_lock(site, target):
    assert fetch((f"{site.url}/w.pth",), target) == target
    assert target.read_bytes() == DATA
    assert names(target) == {"", ".sha256", ".lock"}
    assert target.with_name("m--w.pth.sha256").read_text().strip() == (
        hashlib.sha256(DATA).hexdigest()
    )


def test_a_file_that_is_there_is_not_asked_for_again(site, target):
    fetch((f"{site.url}/w.pth",), target)
    fetch((f"{site.url}/w.pth",), target)
    assert len(site.requests) == 1


@pytest.mark.parametrize("etag", ["", '"v1"'])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_resumed(site, target, ranges, etag):
    site.ranges, site.etag, site.break_after = ranges, etag, 40_000
    sentence = refusal(fetch, (f"{site.url}/w.pth",), target)
    assert f"the connection broke after 40000 of {len(DATA)} bytes" in sentence
    assert "run the same command again" in sentence
    assert not target.exists()
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked() == [None, "bytes=40000-"]
    assert names(target) == {"", ".sha256", ".lock"}


def test_a_file_that_changed_during_the_interruption_is_not_mixed_with_its_old_self(site, target):
    site.etag, site.break_after = '"v1"', 40_000
    refusal(fetch, (f"{site.url}/w.pth",), target)
    site.etag, site.files["/w.pth"] = '"v2"', OTHER
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == OTHER


def test_a_mirror_does_not_continue_another_sources_part(site, target):
    site.files["/mirror.pth"] = OTHER
    site.break_after = 40_000
    fetch((f"{site.url}/w.pth", f"{site.url}/mirror.pth"), target)
    assert target.read_bytes() == OTHER
    assert names(target) == {"", ".sha256", ".lock"}


def test_a_part_that_is_complete_is_not_downloaded_again(site, target):
    site.break_after = 40_000
    refusal(fetch, (f"{site.url}/w.pth",), target)
    (part,) = parts(target)
    part.write_bytes(DATA)
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked() == [None, f"bytes={len(DATA)}-"]


def test_a_part_that_is_longer_than_the_file_is_begun_again(site, target):
    site.break_after = 40_000
    refusal(fetch, (f"{site.url}/w.pth",), target)
    (part,) = parts(target)
    part.write_bytes(DATA + b"more")
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked() == [None, f"bytes={len(DATA) + 4}-", None]


def test_a_server_that_always_answers_416_is_given_up(site, target):
    site.statuses["/w.pth"] = 416
    assert "the server answered 416" in refusal(fetch, (f"{site.url}/w.pth",), target)
    assert len(site.requests) == 1


def test_a_server_that_resumes_elsewhere_is_refused_and_the_part_dropped(site, target):
    site.break_after, site.range_offset = 40_000, -7
    refusal(fetch, (f"{site.url}/w.pth",), target)
    assert "resumed at another byte" in refusal(fetch, (f"{site.url}/w.pth",), target)
    assert names(target) == {".lock"}


def test_a_slow_server_may_take_longer_than_the_time_limit_between_bytes(site, target, monkeypatch):
    monkeypatch.setattr("basics.fetch.TIMEOUT", 0.5)
    site.piece, site.pause = len(DATA) // 8, 0.1
    start = time.monotonic()
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert time.monotonic() - start > 0.5


def test_a_server_that_falls_silent_is_given_up_and_what_arrived_is_kept(site, target, monkeypatch):
    monkeypatch.setattr("basics.fetch.TIMEOUT", 0.3)
    site.piece, site.pause = 30_000, 0.0
    send = site.files["/w.pth"]
    fetching = (f"{site.url}/w.pth",)
    site.pause = 0.2  # the first piece arrives in time …
    original = time.sleep
    calls = []

    def slower(seconds):
        calls.append(seconds)
        original(seconds if len(calls) == 1 else 1.0)  # … and the second does not

    monkeypatch.setattr("local_server.time", SimpleNamespace(sleep=slower))
    assert "timed out" in refusal(fetch, fetching, target)
    assert parts(target)[0].read_bytes() == send[:30_000]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_server_that_refuses_is_named_with_its_answer(site, target, status):
    site.statuses["/w.pth"] = status
    sentence = refusal(fetch, (f"{site.url}/w.pth",), target)
    assert f"{site.url}/w.pth: the server answered {status}" in sentence
    assert f"put the file at {target}" in sentence
    assert names(target) == {".lock"}


def test_every_source_is_tried_and_every_reason_named(site, target):
    site.statuses["/a"] = 403
    sources = (f"{site.url}/a", "http://127.0.0.1:9/b", f"{site.url}/c")
    sentence = refusal(fetch, sources, target)
    assert "/a: the server answered 403" in sentence
    assert "http://127.0.0.1:9/b: Connection refused" in sentence
    assert "/c: the server answered 404" in sentence
    fetch((*sources, f"{site.url}/w.pth"), target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\n <!DOCTYPE html><p>Quota exceeded", "a web page instead of the file"),
        (b"<HTML><p>Sign in", "a web page instead of the file"),
        (b"", "an empty file"),
    ],
)
def test_a_page_or_nothing_instead_of_the_file_is_refused(site, target, body, words):
    site.files["/w.pth"] = body
    assert words in refusal(fetch, (f"{site.url}/w.pth",), target)
    assert names(target) == {".lock"}


def test_the_published_hash_or_its_beginning_is_demanded(site, target):
    published = hashlib.sha256(DATA).hexdigest()
    sentence = refusal(fetch, (f"{site.url}/w.pth",), target, "00000000")
    assert f"its SHA-256 is {published[:16]}…, but 00000000… was published" in sentence
    assert names(target) == {".lock"}
    fetch((f"{site.url}/w.pth",), target, published[:8])
    assert names(target) == {"", ".lock"}  # a published hash needs no pin
    target.write_bytes(OTHER)
    assert "is not the file that is expected" in refusal(fetch, (), target, published[:8])


def test_a_file_that_is_changed_after_its_first_use_is_refused(site, target):
    fetch((f"{site.url}/w.pth",), target)
    target.write_bytes(OTHER)
    sentence = refusal(fetch, (f"{site.url}/w.pth",), target)
    assert "was pinned at the first download" in sentence
    assert "delete it (with m--w.pth.sha256, to accept another)" in sentence


def test_a_new_download_must_have_the_pinned_hash_until_the_pin_is_deleted(site, target):
    fetch((f"{site.url}/w.pth",), target)
    target.unlink()
    site.files["/w.pth"] = OTHER
    assert "was pinned at the first download" in refusal(fetch, (f"{site.url}/w.pth",), target)
    assert not target.exists()
    target.with_name("m--w.pth.sha256").unlink()
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == OTHER


def test_a_file_that_the_user_put_there_is_pinned(target):
    target.parent.mkdir()
    target.write_bytes(DATA)
    fetch((), target)
    target.write_bytes(OTHER)
    assert "was pinned" in refusal(fetch, (), target)


def test_two_processes_share_one_download(site, target):
    site.piece, site.pause = len(DATA) // 10, 0.1
    processes = [in_process(site, target) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert target.read_bytes() == DATA
    assert len(site.requests) == 1
    assert names(target) == {"", ".sha256", ".lock"}


def test_a_killed_process_leaves_a_part_that_the_next_one_resumes(site, target):
    site.piece, site.pause = 5_000, 0.05
    process = in_process(site, target)
    deadline = time.monotonic() + 60
    while not (target.parent.is_dir() and any(p.stat().st_size for p in parts(target))):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    site.pause = 0.0
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked()[0] is None
    assert int(site.ranges_asked()[1].removeprefix("bytes=").removesuffix("-")) > 0
    assert names(target) == {"", ".sha256", ".lock"}


def test_a_folder_that_cannot_be_made_is_one_sentence(site, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        sentence = refusal(fetch, (f"{site.url}/w.pth",), folder / "w.pth")
        assert sentence.startswith(f"cannot write {folder}: ")
        assert "choose another folder with BVG_CACHE" in sentence
    assert not site.requests


def test_a_folder_under_the_files_name_is_one_sentence(target):
    target.mkdir(parents=True)
    assert f"{target} is a folder where a file should be" in refusal(fetch, (), target)


def test_a_read_only_folder_that_holds_the_file_is_good_enough():
    version = Path("/proc/version")
    assert fetch((), version) == version
    found = hashlib.sha256(version.read_bytes()).hexdigest()
    assert fetch((), version, found[:8]) == version
    assert "is not the file that is expected" in refusal(fetch, (), version, "00000000")


def test_a_full_disk_is_one_sentence_and_the_next_call_resumes(site, target, monkeypatch):
    opened = basics.fetch._opened

    @contextlib.contextmanager
    def full(path, mode):
        with opened(path, mode) as file:

            def write(block):
                file.write(block[:1000])
                raise OSError(errno.ENOSPC, "No space left on device")

            yield SimpleNamespace(write=write)

    with monkeypatch.context() as patch:
        patch.setattr("basics.fetch._opened", full)
        assert "no space is left on the disk" in refusal(fetch, (f"{site.url}/w.pth",), target)
    assert not target.exists()
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked() == [None, "bytes=1000-"]


def google_drive(content: bytes | Exception):
    def download(id, output, resume, timeout, quiet):
        assert (id, resume) == ("1x", True)
        assert timeout
        if isinstance(content, Exception):
            Path(output + "abcd1234.part").write_bytes(DATA[:10])  # as gdown names its own part
            raise content
        Path(output).write_bytes(content)

    return SimpleNamespace(download=download)


def test_google_drive_files_are_downloaded_by_gdown(target, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", google_drive(ValueError("")))
    assert "gdrive:1x: ValueError" in refusal(fetch, ("gdrive:1x",), target)
    assert not target.exists()
    monkeypatch.setitem(sys.modules, "gdown", google_drive(b"<!doctype html>quota"))
    assert "a web page instead of the file" in refusal(fetch, ("gdrive:1x",), target)
    assert names(target) == {".lock"}
    monkeypatch.setitem(sys.modules, "gdown", google_drive(DATA))
    fetch(("gdrive:1x",), target)
    assert target.read_bytes() == DATA


def test_a_missing_gdown_is_named_with_the_command_that_installs_it(target, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    assert "pip install gdown" in refusal(fetch, ("gdrive:1x",), target)


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("BVG_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert cache_folder() == tmp_path / "me" / ".cache" / "bvg"
