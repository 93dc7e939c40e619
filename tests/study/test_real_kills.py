"""A study of real scripts in which a script, and then run_study.py, is killed by SIGKILL.

Its table must be that of a study that nothing has disturbed, byte for byte, and nothing may be
measured twice but what was not yet on disk.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import run_study
from real_study_helpers import PROBED, PROBED_AFTER, begin, go_on, held, hold, kill, seen, tables


@dataclass(frozen=True)
class Story:
    """A disturbed study: what was done when the driver was killed, and how the next one ended."""

    folder: Path
    outlived: bool
    done: dict[Path, int]  # summaries, and when they were written
    code: int
    said: str


@pytest.fixture(scope="module", params=[True, False], ids=["outlived", "killed with it"])
def story(request, tmp_path_factory, miniature) -> Story:
    """Return a study that was disturbed in the last chunks of `imagenet`.

    The first model's script was killed there. The driver was killed while the second model's script
    was there, which outlived it, so that the next driver met it, or was killed as well.
    """
    folder = tmp_path_factory.mktemp("story")
    for model in ("first", "second"):
        hold(folder, model)
    driver = begin(folder, miniature, folder / "killed", "--no_report")
    kill(folder, "first")
    pid = held(folder, "second")
    driver.kill()
    driver.join()
    if not request.param:
        kill(folder, "second")
    done = {path: path.stat().st_mtime_ns for path in folder.glob("r/*/*/summary.json")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_study, "RETRY_SECONDS", 0.5)
        driver = begin(folder, miniature, folder / "said", "--no_report")
    said = folder / "said.out"
    while request.param and (not said.exists() or "another process" not in said.read_text()):
        assert driver.is_alive()
        time.sleep(0.05)
    if request.param:
        os.kill(pid, 0)  # it is still there
        go_on(folder, "second")
    driver.join()
    return Story(folder, request.param, done, driver.exitcode, said.read_text())


def test_the_same_command_finishes_the_study(story):
    assert story.code == 0
    assert not story.done
    assert "3 cells, 0 already done" in story.said and "3 cells completed, 0 failed" in story.said


def test_the_table_is_that_of_an_undisturbed_study(story, undisturbed):
    collected = tables(story.folder)
    assert collected == tables(undisturbed)
    assert collected["benchmark.csv"].count(b"\n") == 4


def test_only_what_was_not_on_disk_is_measured_again(story, undisturbed):
    for model in ("first", "second"):
        before, now = seen(undisturbed, model), seen(story.folder, model)
        assert before.total() == PROBED + 320 + PROBED_AFTER
        assert before - now == {}
        again = now - before
        if model == "second" and story.outlived:
            assert len(again) == 5  # nothing but the probe's pictures, in each attempt
        else:
            assert again.total() == PROBED + 48
