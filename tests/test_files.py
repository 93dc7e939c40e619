"""Files appear whole, and locks exclude other processes."""

import errno
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import bvg.files
from bvg.errors import UserError
from bvg.files import locked, make_folder, sha256_of, write_text, written_atomically

CODE = str(Path(bvg.files.__file__).parents[1])


def test_a_file_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written_atomically(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_changes_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), written_atomically(path) as file:
        file.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_refusing_disk_is_a_sentence_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="no space"), written_atomically(tmp_path / "a") as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"cannot write /proc/a\.txt"):
        write_text(Path("/proc/a.txt"), "x")


def test_text_is_written_as_utf8(tmp_path):
    write_text(tmp_path / "a.txt", "L∞ ε")
    assert (tmp_path / "a.txt").read_bytes() == "L∞ ε".encode()


def test_a_folder_is_made_with_its_parents_or_refused(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/below")):
        with pytest.raises(UserError, match="choose another folder"):
            make_folder(path)


def test_sha256_is_the_standards(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # the example in FIPS 180-4
    assert sha256_of(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


TAKE = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {CODE!r})
from bvg.files import locked
try:
    with locked(Path(sys.argv[1])):
        print("got it", flush=True)
        time.sleep(float(sys.argv[2]))
except BlockingIOError as error:
    print("held by", error.strerror)
"""


def taking(lock: Path, seconds: float = 0) -> subprocess.Popen:
    """Start a process that takes the lock, says so, and holds it for some seconds."""
    words = [sys.executable, "-c", TAKE, str(lock), str(seconds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_another_process_is_locked_out_until_the_block_ends_and_told_by_whom(tmp_path):
    lock = tmp_path / "lock"
    with locked(lock):
        assert taking(lock).communicate()[0].startswith(f"held by {os.getpid()} on ")
    assert taking(lock).communicate()[0] == "got it\n"
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_an_error_in_the_block_releases_the_lock(tmp_path):
    lock = tmp_path / "lock"
    with pytest.raises(KeyboardInterrupt), locked(lock):
        raise KeyboardInterrupt
    assert taking(lock).communicate()[0] == "got it\n"


def test_a_killed_process_holds_no_lock_and_its_name_is_forgotten(tmp_path):
    lock = tmp_path / "lock"
    process = taking(lock, 600)
    assert process.stdout.readline() == "got it\n"
    with pytest.raises(BlockingIOError, match=f"{process.pid} on "), locked(lock):
        pass
    process.kill()
    process.wait()
    with locked(lock):
        assert taking(lock).communicate()[0].startswith(f"held by {os.getpid()} on ")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_whoever_waits_gets_the_lock_when_it_is_released(tmp_path):
    lock, order = tmp_path / "lock", []

    def waiting():
        with locked(lock, wait=True):
            order.append("second")

    thread = threading.Thread(target=waiting)
    with locked(lock):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_lock_may_be_released_by_another_thread(tmp_path):
    lock, held = tmp_path / "lock", ExitStack()
    held.enter_context(locked(lock))
    thread = threading.Thread(target=held.close)
    thread.start()
    thread.join()
    with locked(lock):
        pass


def test_a_place_without_locks_is_refused_at_once():
    for wait in (False, True):
        with pytest.raises(OSError), locked(Path("/proc/lock"), wait):
            pass
