"""Files appear whole, and locks exclude other processes."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

import basics.files
from basics.errors import UserError
from basics.files import locked, make_folder, sha256_of, write_text, written_atomically

CODE = str(Path(basics.files.__file__).parents[1])


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


def test_another_process_is_locked_out_until_the_block_ends(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {CODE!r})\nfrom pathlib import Path\n"
        "from basics.files import locked\n"
        "try:\n    with locked(Path(sys.argv[1])): print('got it')\n"
        "except BlockingIOError: print('locked out')"
    )

    def other() -> str:
        words = [sys.executable, "-c", code, str(tmp_path / "lock")]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    with locked(tmp_path / "lock"):
        assert other() == "locked out"
    assert other() == "got it"
