"""What SIGTERM interrupts, and what it does not."""

import os
import signal

import pytest

from bvg.run.command_line import guarded


@pytest.fixture(autouse=True)
def own_handler():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_second_sigterm_does_not_keep_the_work_from_its_last_words(capsys):
    done = []

    def work() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("written")
        return 0

    assert guarded(work) == 130
    assert done == ["written"]
    assert "the same command resumes" in capsys.readouterr().err
    assert guarded(work) == 130  # and the next work can be interrupted again
