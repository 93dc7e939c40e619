"""Downloads: resumed, checked, and never half a file under the final name."""

import builtins
import errno
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

import bvg.data.fetch
from bvg.data.fetch import cache_folder, fetch, weights_folder
from conftest import refusal
from local_server import serve

pytest_plugins = ["download_fixtures"]
pytestmark = pytest.mark.usefixtures("once")

DATA = bytes(range(256)) * 400
OTHER = DATA[::-1]
CODE = Path(bvg.data.fetch.__file__).parents[2]
FETCH = "import sys; from pathlib import Path; from bvg.data.fetch import fetch; import gdown; "
FETCH += "sys.modules['gdown.download'].CHUNK_SIZE = 1000; "
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
    return list(target.parent.glob(f"{target.name}.partial/*.part"))


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
def test_a_broken_download_is_resumed(site, target, small_blocks, ranges, etag):
    site.ranges, site.etag, site.break_after = ranges, etag, 40_000
    sentence = refusal(fetch, (f"{site.url}/w.pth",), target)
    assert "the connection broke" in sentence
    assert parts(target)[0].read_bytes() == DATA[:40_000]
    assert "re-run the same command" in sentence
    assert not target.exists()
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked()[:3] == [None, None, "bytes=40000-"]
    assert names(target) == {"", ".sha256", ".lock"}


def test_a_download_behind_a_redirect_is_resumed(site, target, small_blocks):
    site.answers["/hub"] = [(302, {"Location": "/w.pth"})] * 3
    site.break_after = 40_000
    refusal(fetch, (f"{site.url}/hub",), target)
    fetch((f"{site.url}/hub",), target)
    assert target.read_bytes() == DATA
    assert site.requests[-1] == ("/w.pth", "bytes=40000-")


def test_a_file_that_changed_during_the_interruption_is_not_mixed_with_its_old_self(
    site, target, small_blocks
):
    site.etag, site.break_after = '"v1"', 40_000
    refusal(fetch, (f"{site.url}/w.pth",), target)
    site.etag, site.files["/w.pth"] = '"v2"', OTHER
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == OTHER


def test_a_mirror_does_not_continue_another_sources_part(site, target, small_blocks):
    site.files["/mirror.pth"] = OTHER
    site.break_after = 40_000
    fetch((f"{site.url}/w.pth", f"{site.url}/mirror.pth"), target)
    assert target.read_bytes() == OTHER
    assert names(target) == {"", ".sha256", ".lock"}


@pytest.mark.parametrize("more", [b"", b"more"])
def test_a_part_that_is_as_long_as_the_file_or_longer_is_begun_again(site, target, more):
    site.break_after = 40_000
    refusal(fetch, (f"{site.url}/w.pth",), target)
    (part,) = parts(target)
    part.write_bytes(OTHER + more)
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked()[-2:] == [f"bytes={len(DATA + more)}-", None]


def test_a_server_that_resumes_elsewhere_is_asked_for_the_whole_file(site, target, small_blocks):
    site.break_after, site.range_offset = 40_000, -7
    refusal(fetch, (f"{site.url}/w.pth",), target)
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA


def test_a_server_that_falls_silent_is_given_up_and_what_arrived_is_kept(
    site, target, monkeypatch, small_blocks
):
    monkeypatch.setattr("bvg.data.fetch.TIMEOUT", 0.3)
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
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    ],
)
def test_a_page_or_nothing_instead_of_the_file_is_refused(site, target, body, words):
    site.files["/w.pth"] = body
    assert words in refusal(fetch, (f"{site.url}/w.pth",), target)
    assert names(target) == {".lock"}


def test_the_published_hash_or_its_beginning_is_demanded(site, target):
    published = hashlib.sha256(DATA).hexdigest()
    for wrong in ("00000000", "0" * 64):
        sentence = refusal(fetch, (f"{site.url}/w.pth",), target, wrong)
        assert published[:16] in sentence and wrong[:16] in sentence
        assert names(target) == {".lock"}
    for right in (published[:8], published):
        target.unlink(missing_ok=True)
        fetch((f"{site.url}/w.pth",), target, right)
        assert names(target) == {"", ".lock"}  # a published hash needs no pin
    target.write_bytes(OTHER)
    assert "delete it to download it again" in refusal(fetch, (), target, published[:8])
    assert target.read_bytes() == OTHER  # never replaced without being asked


def test_a_mirror_with_the_right_hash_is_taken_after_one_with_a_wrong_one(site, target):
    site.files["/mirror.pth"] = OTHER
    published = hashlib.sha256(OTHER).hexdigest()
    for right in (published[:8], published):
        target.unlink(missing_ok=True)
        fetch((f"{site.url}/w.pth", f"{site.url}/mirror.pth"), target, right)
        assert target.read_bytes() == OTHER
    assert len(site.requests) == 4  # a wrong file is not asked for again


def test_a_file_that_is_changed_after_its_first_use_is_refused(site, target):
    fetch((f"{site.url}/w.pth",), target)
    target.write_bytes(OTHER)
    sentence = refusal(fetch, (f"{site.url}/w.pth",), target)
    assert "was pinned at the first download" in sentence
    assert "delete m--w.pth.sha256" in sentence


def test_a_new_download_must_have_the_pinned_hash_until_the_pin_is_deleted(site, target):
    fetch((f"{site.url}/w.pth",), target)
    target.unlink()
    site.files["/w.pth"] = OTHER
    sentence = refusal(fetch, (f"{site.url}/w.pth",), target)
    assert hashlib.sha256(OTHER).hexdigest() in sentence
    assert "delete m--w.pth.sha256" in sentence
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


def test_a_killed_process_leaves_a_part_that_the_next_one_resumes(site, target):
    site.piece, site.pause = 5_000, 0.05
    process = in_process(site, target)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in parts(target)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    site.pause = 0.0
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked()[0] is None
    assert int(site.ranges_asked()[-1].removeprefix("bytes=").removesuffix("-")) > 0
    assert names(target) == {"", ".sha256", ".lock"}


def test_a_file_that_has_arrived_whole_is_not_downloaded_again(site, target):
    def killed(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch((f"{site.url}/w.pth",), target, refuse=killed)
    assert not target.exists()
    site.cut_at = 0  # it is only looked at
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA


def test_a_folder_that_cannot_be_made_is_one_sentence(site, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        sentence = refusal(fetch, (f"{site.url}/w.pth",), folder / "w.pth")
        assert sentence.startswith(f"cannot write {folder}: ")
        assert "choose another folder with BVG_CACHE" in sentence
    assert not site.requests


def test_a_read_only_folder_that_holds_the_file_is_good_enough():
    version = Path("/proc/version")
    assert fetch((), version) == version
    found = hashlib.sha256(version.read_bytes()).hexdigest()
    assert fetch((), version, found[:8]) == version
    assert "00000000… was published" in refusal(fetch, (), version, "00000000")


class FullDisk(io.BytesIO):
    def write(self, block):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_the_next_call_resumes(
    site, target, monkeypatch, small_blocks
):
    site.break_after = 40_000
    refusal(fetch, (f"{site.url}/w.pth",), target)

    def full(path, mode):
        return FullDisk() if mode == "ab" else builtins.open(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["gdown.download"], "open", full, raising=False)
        assert "no space is left on the disk" in refusal(fetch, (f"{site.url}/w.pth",), target)
    assert not target.exists()
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked()[-1] == "bytes=40000-"


@pytest.fixture
def drive(site, monkeypatch):
    """Let requests to Google Drive go to the local server."""
    send = requests.Session.request

    def request(self, method, url, **options):
        return send(self, method, url.replace("https://drive.google.com", site.url), **options)

    monkeypatch.setattr(requests.Session, "request", request)
    site.headers = {"Content-Disposition": 'attachment; filename="x"', "Content-Type": "a/b"}
    return site


def test_google_drive_files_are_downloaded_and_resumed(drive, target, small_blocks):
    drive.files["/uc"] = DATA
    drive.break_after = 40_000
    refusal(fetch, ("gdrive:1x",), target)
    fetch(("gdrive:1x",), target)
    assert target.read_bytes() == DATA
    assert drive.requests[-1] == ("/uc?id=1x", "bytes=40000-")
    assert names(target) == {"", ".sha256", ".lock"}


def test_google_drives_refusal_is_passed_on(drive, target):
    drive.headers = {"Content-Type": "text/html"}
    drive.files["/uc"] = b'<p class="uc-error-subcaption">Too many users have viewed it.</p>'
    assert "gdrive:1x: Too many users have viewed it" in refusal(fetch, ("gdrive:1x",), target)
    assert names(target) == {".lock"}


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("BVG_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert cache_folder() == tmp_path / "me" / ".cache" / "bvg"
    monkeypatch.setenv("BVG_CACHE", "~/c")
    monkeypatch.setenv("BVG_WEIGHTS", "~/w")  # as files of variables have it, which no shell reads
    assert cache_folder() == tmp_path / "me" / "c"
    assert weights_folder(None) == tmp_path / "me" / "w"
    monkeypatch.delenv("BVG_CACHE")

    def homeless():
        raise RuntimeError("Could not determine home directory.")  # of a user without a name

    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder().parent == Path(tempfile.gettempdir())


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_refusal_is_not_asked_for_again(site, target, retries, status):
    site.statuses["/w.pth"] = status
    refusal(lambda: fetch((f"{site.url}/w.pth",), target))
    assert len(site.requests) == 1


def test_a_broken_connection_is_taken_up_where_it_broke(site, target, retries, small_blocks):
    site.cut_at = 40_000  # the file has 102,400 bytes: three connections
    fetch((f"{site.url}/w.pth",), target)
    assert target.read_bytes() == DATA
    assert site.ranges_asked() == [None, "bytes=40000-", "bytes=80000-"]


def test_a_connection_that_always_breaks_is_given_up(site, target, retries):
    site.cut_at = 0
    assert "the connection broke" in refusal(lambda: fetch((f"{site.url}/w.pth",), target))
    assert len(site.requests) == 3


def test_a_log_gets_plain_lines(site, target, monkeypatch, capsys):
    monkeypatch.setattr("bvg.progress.LINE_SECONDS", 0.0)
    site.piece = 30_000
    fetch((f"{site.url}/w.pth",), target)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"m--w\.pth: \S+ of 102kB, \S+B/s, \S+ left", lines[1])
    assert lines[-1].startswith("m--w.pth: 102k of 102kB, ")


def test_what_the_caller_refuses_never_gets_the_final_name(site, target):
    site.files |= {"/pointer": b"version https://...", "/w.pth": DATA}
    sources = (f"{site.url}/pointer", f"{site.url}/w.pth")

    def refuse(path):
        return "" if path.read_bytes() == DATA else "a pointer"

    sentence = refusal(lambda: fetch(sources[:1], target, refuse=refuse))
    assert "the server sent a pointer" in sentence
    assert names(target) == {".lock"}
    fetch(sources, target, refuse=refuse)  # the mirror has it
    assert target.read_bytes() == DATA
