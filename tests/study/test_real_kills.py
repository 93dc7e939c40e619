"""A study of real scripts in which a cell's process, and then the driver, is killed by SIGKILL.

Its table must be that of a study that nothing has disturbed, byte for byte, and nothing may be
measured twice but what was not yet on disk.
"""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from real_study_helpers import PROBED, begin, go_on, held, hold, kill, run, seen, tables

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="cells end with their driver on Linux only"
)


@dataclass(frozen=True)
class Story:
    """A disturbed study: what was done when the driver was killed, and how it went on."""

    folder: Path
    done: dict[Path, int]  # summaries, and when they were written
    code: int
    said: str


@pytest.fixture(scope="module")
def story(tmp_path_factory, miniature) -> Story:
    """Return a study that was disturbed in the last chunks of `imagenet`.

    The first model's process was killed there, and the driver in the second one's.
    """
    folder = tmp_path_factory.mktemp("story")
    for model in ("first", "second"):
        hold(folder, model)
    driver = begin(folder, miniature, "--no_report")
    kill(folder, "first")
    held(folder, "second")
    driver.kill()
    driver.wait()
    go_on(folder, "second")
    done = {path: path.stat().st_mtime_ns for path in folder.glob("r/*/*/summary.json")}
    with redirect_stdout(StringIO()) as said:
        code = run(folder, miniature, "--no_report")
    return Story(folder, done, code, said.getvalue())


def test_the_same_command_finishes_the_study_and_does_nothing_again(story):
    assert story.code == 0
    assert [path.parent.name for path in story.done] == ["first"]
    assert "3 cells, 1 of them done" in story.said and "2 cells measured, 0 failed" in story.said
    assert {path: path.stat().st_mtime_ns for path in story.done} == story.done


def test_the_table_is_that_of_an_undisturbed_study(story, undisturbed):
    collected = tables(story.folder)
    assert collected == tables(undisturbed)
    assert collected["benchmark.csv"].count(b"\n") == 4


@pytest.mark.parametrize(("model", "chunk", "twice"), [("first", 256, 48), ("second", 272, 32)])
def test_only_what_was_not_on_disk_is_measured_again(story, undisturbed, model, chunk, twice):
    log = (story.folder / "r" / ".study" / f"imagenet_of_{model}.log").read_text()
    assert f"{model}: goes on after image {chunk} of 320" in log
    before, now = seen(undisturbed, model), seen(story.folder, model)
    assert before.total() == PROBED + 320
    assert before - now == {}
    assert (now - before).total() == PROBED + twice
