"""The process of a cell: its output, its log, and what an earlier driver has left."""

import fcntl
import os
import signal
import threading
import time
from pathlib import Path

from study.running import Processes, run_cell


def _script(folder, text: str) -> list[str]:
    path = folder / "script.py"
    path.write_text(text)
    return [str(path), str(folder)]


def test_a_log_keeps_its_end(tmp_path):
    log = tmp_path / "log"
    script = _script(tmp_path, "print('word ' * 2000)")
    for _ in range(3):
        assert run_cell(script, log, Processes()).is_done
    assert 10_000 < log.stat().st_size < 15_000


def test_what_a_killed_driver_left_is_waited_for(tmp_path):
    log, mark = tmp_path / "log", tmp_path / "mark"
    script = _script(tmp_path, "import pathlib, sys; pathlib.Path(sys.argv[1], 'mark').touch()")
    with open(log, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=run_cell, args=(script, log, Processes()))
        thread.start()
        time.sleep(1)
        assert not mark.exists()
    thread.join(60)
    assert mark.exists()


def test_a_closed_driver_waits_for_nothing(tmp_path):
    log, processes = tmp_path / "log", Processes()
    with open(log, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        threading.Timer(0.5, processes.end).start()
        ending = run_cell(_script(tmp_path, ""), log, processes)
    assert (ending.code, ending.reason) == (130, "interrupted")


def test_a_process_left_behind_by_a_script_does_not_hold_up_the_study(tmp_path):
    script = _script(tmp_path, "import pathlib, subprocess, sys\n"
                     "print('error: no way', flush=True)\n"
                     "words = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
                     "left = subprocess.Popen(words)\n"
                     "pathlib.Path(sys.argv[1], 'pid').write_text(str(left.pid))\n"
                     "sys.exit(2)")  # fmt: skip
    ending = run_cell(script, tmp_path / "log", Processes())
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # is still there
    assert (ending.code, ending.reason) == (2, "no way")


def test_a_log_that_cannot_be_written_hides_no_reason(tmp_path):
    script = _script(tmp_path, "import sys; sys.exit('error: no room: make some')")
    for log in (tmp_path / "away" / "log", Path("/dev/full")):
        assert run_cell(script, log, Processes()).reason == "no room: make some"
