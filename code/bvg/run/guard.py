"""Error handling of scripts: a sentence and an exit code instead of a traceback."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable

from bvg.errors import UserError, reason_of, storage_error


def tolerate_output() -> None:
    """Let standard output show what its encoding has not (ASCII, Latin-1, cp1252) in escapes.

    Otherwise an ε, or a file name that is not UTF-8, would end a run with a UnicodeEncodeError.
    Lines are written at once, also to a log.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook has others
            stream.reconfigure(errors="backslashreplace", line_buffering=True)


tolerate_output()  # on import, since --help is printed before any work is guarded

BUSY = 75  # exit code where another process holds what is needed (EX_TEMPFAIL: try again later)


def guarded(work: Callable[[], int], option: str = "--results") -> int:
    """Return work()'s exit code; 2 after a sentence about what the user can fix, 130 interrupted.

    75 (BUSY) where that was raised from a BlockingIOError: another process holds a lock.

    option: what chooses another folder to write to. BVG_DEBUG=1 shows the traceback as well.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)  # what schedulers send before they kill
    try:
        return work()
    except BrokenPipeError:  # whoever read the output has gone, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13  # as if by SIGPIPE, a name that Windows does not have
    except (UserError, OSError) as error:
        say(error, option)
        return BUSY if isinstance(error.__cause__, BlockingIOError) else 2
    except UnicodeError as error:
        say(
            UserError(
                f"a text is not UTF-8 ({reason_of(error)}): save the file as UTF-8 (BVG_DEBUG=1 "
                "shows where it is read)"
            )
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command resumes", file=sys.stderr)
        return 130


def say(error: UserError | OSError, option: str = "--results") -> None:
    """Print the error as one sentence."""
    if os.environ.get("BVG_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, FileNotFoundError):
        error = UserError(f"{error.filename} no longer exists: restore it, or start again")
    elif isinstance(error, OSError):
        error = storage_error(error, error.filename or "a file", option)
    print(f"error: {error}", file=sys.stderr, flush=True)


def _as_interrupt(signum: int, frame: object) -> None:
    """Interrupt the work once: a second SIGTERM would keep it from writing what it has.

    Schedulers repeat theirs, and a cell gets one for each thread of its driver that dies.
    """
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt
