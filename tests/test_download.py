"""download.py against a local server that misbehaves in all the ways that real ones do."""

import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

import download
from download_helpers import A_TAR, NOISE, archives, contents, sha256, tar_of, zip_of

pytest_plugins = ["download_fixtures"]
pytestmark = pytest.mark.usefixtures("once")

CODE = Path(download.__file__).parent
A_FILES = {"set-a/n01/1.JPEG", "set-a/n02/2.JPEG"}
MAIN = "import sys; from pathlib import Path; import download; "
MAIN += "sys.exit(download.main(sys.argv[2:], Path(sys.argv[1])))"


@pytest.fixture
def run(catalogue, to, capsys):
    """Return a function that runs the script and returns its exit code and what it printed."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = download.main([*words, "--to", str(to)], catalogue)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return (code, *capsys.readouterr())

    return run


def in_process(catalogue, to, *names: str, before: str = "") -> subprocess.Popen:
    words = [sys.executable, "-c", before + MAIN, str(catalogue), *names, "--to", str(to)]
    return subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": str(CODE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def one_error(err: str) -> str:
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in err
    return line


# What it says and does


def test_one_is_fetched_and_its_use_is_said(run, to):
    code, out, _ = run("set-a")
    assert code == 0
    assert contents(to) == A_FILES
    assert (to / "set-a" / "n01" / "1.JPEG").read_bytes() == NOISE
    assert f"set-a is in {to}/set-a" in out
    assert f"python code/eval_x.py --a {to}/set-a" in out
    assert "licence: its own" in out
    assert archives(to) == set()


def test_a_group_is_fetched_and_its_use_said_once(run, to):
    code, out, _ = run("people")
    assert code == 0
    assert {"people/edge/cat/1.png", "people/contrast/cat/1.png"} <= contents(to)
    assert out.count("eval_x.py") == 1


def test_all_is_everything_that_may_be_fetched(run, to):
    code, _, _ = run("all")
    assert code == 0
    assert {name.partition("/")[0] for name in contents(to)} == {
        *("people", "set-a", "sketches", "labels", "tables")
    }


def test_what_may_not_be_fetched_is_explained(run, to, site):
    code, _, err = run("registered")
    assert code == 2
    assert "not downloaded: register at https://example.org first; then: python" in one_error(err)
    assert site.requests == []


def test_the_table_says_what_is_there(run, site):
    site.statuses["/edge.tar.gz"] = 404
    run("people", "set-a")
    code, out, _ = run()
    assert code == 0
    lines = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    assert ["people/edge", "-", "missing", "two sets of one kind"] in lines
    assert ["people/contrast", "-", "downloaded"] in lines
    assert ["set-a", "72 kB", "downloaded", "a tar"] in lines
    assert ["sketches", "-", "missing", "a zip"] in lines
    assert ["registered", "-", "manual", "one that may not be fetched"] in lines


def test_the_table_says_that_some_has_arrived(run, site, small_blocks):
    site.cut_at = 30_000
    site.statuses["/mirror/a.tar"] = 404
    assert run("set-a")[0] == 2
    assert "partial" in run()[1]


def test_the_second_call_asks_nobody(run, to, site):
    run("set-a")
    code, out, _ = run("set-a")
    assert code == 0
    assert f"set-a is in {to}/set-a" in out
    assert len(site.requests) == 1


def test_a_name_that_is_none_is_one_sentence(run, site):
    code, _, err = run("set-b")
    assert code == 2
    assert "no data set 'set-b': choose from people, set-a, sketches, labels" in one_error(err)
    assert site.requests == []


def test_one_that_fails_does_not_keep_others_from_coming(run, to, site):
    site.statuses["/edge.tar.gz"] = 403
    code, _, err = run("people", "labels")
    assert code == 2
    assert {"people/contrast/cat/1.png", "labels/real.json"} <= contents(to)
    assert "error: 1 of 3 failed (people/edge): the same command retries them" in err


def test_a_folder_that_cannot_be_written_is_one_sentence(run, catalogue, capsys):
    code = download.main(["set-a", "--to", "/proc/nowhere"], catalogue)
    assert code == 2
    assert "cannot write /proc/nowhere" in one_error(capsys.readouterr().err)


def test_the_script_starts_in_no_time_and_needs_no_torch():
    script = "import sys; sys.path.insert(0, sys.argv[1]); import download; "
    script += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, CODE], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "bvg.data.downloads" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "PIL", "timm"}


def test_help_is_the_docstring(capsys):
    with pytest.raises(SystemExit) as caught:
        download.main(["--help"])
    assert caught.value.code == 0
    assert "python code/download.py all" in capsys.readouterr().out


# Servers


def test_a_slow_server_is_waited_for(run, to, site, monkeypatch):
    monkeypatch.setattr("bvg.data.fetch.TIMEOUT", 0.4)
    site.piece, site.pause = len(A_TAR) // 8, 0.07
    assert run("set-a")[0] == 0
    assert contents(to) == A_FILES


def test_a_truncated_transfer_is_resumed_in_the_same_call(run, to, site, retries, small_blocks):
    site.break_after = 30_000
    assert run("set-a")[0] == 0
    assert contents(to) == A_FILES
    assert site.ranges_asked() == [None, "bytes=30000-"]


def test_a_transfer_that_stays_truncated_is_no_data_set_and_the_next_call_resumes(
    run, to, site, small_blocks
):
    site.statuses["/mirror/a.tar"] = 404
    site.break_after = 30_000
    code, _, err = run("set-a")
    assert code == 2
    assert "the connection broke" in one_error(err)
    assert contents(to) == set()
    assert run("set-a")[0] == 0
    assert site.ranges_asked()[-1] == "bytes=30000-"
    assert contents(to) == A_FILES


@pytest.mark.parametrize("name", ["sketches", "people/edge"])
def test_a_truncation_that_the_server_hides_is_seen_when_unpacking(run, to, site, name):
    site.length, site.cut_at = False, 100
    code, _, err = run(name)
    assert code == 2
    sentence = one_error(err)
    assert "cannot be unpacked" in sentence
    (archive,) = archives(to)
    assert f"delete it and {archive}.sha256, and download it again" in sentence
    assert contents(to) == set()
    for file in (archive, f"{archive}.sha256"):
        (to / "archives" / file).unlink()
    site.cut_at = None
    assert run(name)[0] == 0
    assert contents(to)


def test_a_wrong_hash_leaves_nothing_under_a_final_name(run, to, site):
    site.files["/a.tar"] = site.files["/mirror/a.tar"] = tar_of({"x/1": b"other"}, "w")
    code, _, err = run("set-a")
    assert code == 2
    assert sha256(A_TAR) in one_error(err)
    assert contents(to) == set()
    assert archives(to) == set()


def test_a_file_that_changes_at_the_publishers_is_refused_until_its_pin_is_deleted(run, to, site):
    assert run("sketches")[0] == 0
    for path in sorted((to / "sketches").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (to / "sketches").rmdir()
    site.files["/Sketch.zip"] = zip_of({"sketch/n01/other.JPEG": b"another"})
    code, _, err = run("sketches")
    assert code == 2
    assert "delete Sketch.zip.sha256" in one_error(err)
    assert contents(to) == set()
    (to / "archives" / "Sketch.zip.sha256").unlink()
    assert run("sketches")[0] == 0


@pytest.mark.parametrize("name", ["set-a", "sketches", "labels"])
def test_a_web_page_instead_of_the_file_is_refused(run, to, site, name):
    page = b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>"
    site.files = dict.fromkeys(site.files, page)
    code, _, err = run(name)
    assert code == 2
    assert "a web page instead of the file" in one_error(err)
    assert contents(to) == set()
    assert archives(to) == set()


def test_a_403_says_what_to_do(run, to, site):
    site.statuses["/Sketch.zip"] = 403
    sentence = one_error(run("sketches")[2])
    assert "the server answered 403 Forbidden" in sentence
    assert "try again in a few hours, or download the file with a browser" in sentence
    assert "see https://example.org/sketches" in sentence
    assert sentence.endswith(f"at {to}/archives/Sketch.zip")
    assert len(site.requests) == 1


def test_mirrors_are_tried_in_order(run, to, site):
    site.statuses["/a.tar"] = 503
    assert run("set-a")[0] == 0
    assert [path for path, _ in site.requests] == ["/a.tar", "/mirror/a.tar"]
    assert contents(to) == A_FILES


def test_the_first_mirror_is_enough_where_it_works(run, site):
    run("set-a")
    assert [path for path, _ in site.requests] == ["/a.tar"]


# Archives


def test_a_zip_that_leads_outside_is_refused(run, to, site):
    site.files["/Sketch.zip"] = zip_of({"sketch/1.JPEG": b"1", "../../../escaped": b"x"})
    code, _, err = run("sketches")
    assert code == 2
    assert "'../../../escaped' leads outside" in one_error(err)
    assert contents(to) == set()
    assert not list(to.parent.rglob("escaped"))


def test_a_tar_with_a_link_out_is_refused(run, to, site):
    link = tarfile.TarInfo()
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    site.files["/edge.tar.gz"] = tar_of({"edge/1.png": b"1", "edge/2.png": link})
    code, _, err = run("people/edge")
    assert code == 2
    assert "edge/2.png' is a link to an absolute path" in one_error(err)
    assert contents(to) == set()


@pytest.mark.parametrize("top", ["edge/", "whatever-1.2/", ""])
def test_the_top_folder_may_have_any_name(run, to, site, top):
    site.files["/edge.tar.gz"] = tar_of({f"{top}cat/1.png": b"1", f"{top}dog/2.png": b"2"})
    assert run("people/edge")[0] == 0
    assert contents(to / "people" / "edge") == {"cat/1.png", "dog/2.png"}


# Processes


def test_a_process_killed_while_unpacking_leaves_no_data_set_and_the_next_completes(
    run, catalogue, to, site
):
    slow = "import tarfile, time; extract = tarfile.TarFile.extract; "
    slow += "tarfile.TarFile.extract = lambda *a, **k: (extract(*a, **k), time.sleep(600)); "
    process = in_process(catalogue, to, "set-a", before=slow)
    working = to / "archives" / "a.tar.unpacking"
    until((working / "anything" / "n01" / "1.JPEG").exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(to) == set()
    assert working.exists()
    assert run("set-a")[0] == 0
    assert contents(to) == A_FILES
    assert archives(to) == set()
    assert len(site.requests) == 1  # the archive had been complete


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_process_says_that_the_same_command_goes_on(run, catalogue, to, site, how):
    site.piece, site.pause = 2_000, 0.05
    # A shell's background job, as which these tests may run, begins with SIGINT ignored.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    process = in_process(catalogue, to, "set-a", before=heeding)
    until(lambda: list(to.glob("archives/a.tar.partial/*.part")))
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("interrupted: the same command resumes")
    assert contents(to) == set()
    site.pause = 0.0
    assert run("set-a")[0] == 0
    assert contents(to) == A_FILES


def test_of_two_processes_one_downloads_and_both_are_content(catalogue, to, site):
    site.piece, site.pause = len(A_TAR) // 10, 0.05
    processes = [in_process(catalogue, to, "set-a") for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert f"set-a is in {to}/set-a" in out
    assert len(site.requests) == 1
    assert contents(to) == A_FILES
    assert archives(to) == set()


def test_whoever_reads_the_output_may_go(catalogue, to):
    process = in_process(catalogue, to, "set-a")
    process.stdout.close()
    process.stderr.read()
    assert process.wait(timeout=60) == 128 + signal.SIGPIPE


def test_the_contents_are_those_of_the_archive(run, to):
    run("people/contrast")
    (path,) = (to / "people" / "contrast" / "cat").iterdir()
    assert path.read_bytes() == b"contrast"
