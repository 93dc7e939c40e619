"""Libraries' downloads without their patience: a server that is not there is noticed in seconds.

Without internet, huggingface_hub asks for each file six times and sleeps in between (47 s for one
model), and torch.hub waits for a silent server without any limit.
"""

import queue
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from urllib.error import HTTPError
from urllib.parse import urlsplit

from basics.errors import reason_of

PATIENCE = 5  # seconds for a server's first answer
STALL = 15  # seconds without a byte


@contextmanager
def hub_or_its_cache() -> Iterator[str]:
    """Yield why the Hugging Face hub cannot be reached, or "" where it can.

    Inside the block an unreachable hub is not asked: only the files in its cache are used.
    """
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    problem = "HF_HUB_OFFLINE is set" if offline else unreachable(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = offline or bool(problem)
    try:
        with library_download():
            yield problem
    finally:
        constants.HF_HUB_OFFLINE = offline


@contextmanager
def library_download() -> Iterator[None]:
    """Give connections that are opened inside the block a time limit, unless they have one.

    What the library prints goes to stderr: stdout is for results.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(before or STALL)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)


def unreachable(url: str) -> str:
    """Return why the server of `url` does not answer, or "" where it does.

    Takes PATIENCE seconds at most, also where the name server is silent, which no timeout of
    urllib's covers: the question is asked in a thread that may be left behind.
    """
    answers: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: answers.put(_problem(url)), daemon=True).start()
    try:
        problem = answers.get(timeout=PATIENCE)
    except queue.Empty:
        problem = f"no answer within {PATIENCE} seconds"
    return f"{urlsplit(url).hostname}: {problem}" if problem else ""


def _problem(url: str) -> str:
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "bvg"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return ""
    except HTTPError as error:
        busy = error.code == 429 or error.code >= 500  # what the libraries would keep asking
        return reason_of(error) if busy else ""
    except Exception as error:  # whatever it is, it is the answer
        return reason_of(error)
