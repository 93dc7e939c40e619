"""The web server of an experiment: sends the page and its pictures, and writes what comes back.

It names files itself: a client gives numbers, and asks for what a fixed table lists.
"""

import io
import json
import re
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from bvg.errors import UserError
from lab.icons import icon
from lab.mask import mask
from lab.stimuli import Stimulus, in_order, pixels_of
from lab.tables import MOST_SUBJECTS, RefusedError, Study

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
MOST_BYTES = 16_384  # of a request's body
SECONDS = 20  # until a silent connection is closed
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OWN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")
_SCRIPTS = "text/javascript; charset=utf-8"
_KINDS = {
    ".js": _SCRIPTS,
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}
PLUGINS = (
    "call-function",
    "fullscreen",
    "html-button-response",
    "instructions",
    "virtual-chinrest",
)
LIBRARIES = {
    "/lib/jspsych.js": MODULES / "jspsych/dist/index.browser.min.js",
    "/lib/jspsych.css": MODULES / "jspsych/css/jspsych.css",
    **{
        f"/lib/{name}.js": MODULES / f"@jspsych/plugin-{name}/dist/index.browser.min.js"
        for name in PLUGINS
    },
}
Content = tuple[bytes, str]  # and its media type


class Server(ThreadingHTTPServer):
    """The server of one study. Requests are answered in threads, and written one at a time."""

    daemon_threads = True

    # identity: of the folder of tables; in all addresses, so that a window that is still open never
    # gets another study's pictures.
    def __init__(self, address: tuple[str, int], study: Study, identity: str) -> None:
        super().__init__(address, _Handler)
        self.study, self.identity = study, identity
        self.open_to_all = address[0] not in LOOPBACK
        self.writing = threading.Lock()
        self.owners: dict[int, str] = {}  # the window that each subject sits at
        pages = {f"/page/{path.name}": path for path in (HERE / "page").iterdir()}
        self.files = {**pages, "/": HERE / "page" / "index.html", **LIBRARIES}
        self.pictures = {
            "image": study.stimuli,
            "practice": study.practice,
            "catch": study.catch,
        }
        self.urls = {
            stimulus: f"/{kind}/{identity}/{number}"
            for kind, pictures in self.pictures.items()
            for number, stimulus in enumerate(pictures)
        }
        self.icons = {name: icon(name) for name in study.categories}
        self.drawings = [Stimulus(HERE, "icon", name) for name in study.categories]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of browsers that hang up, as when a page is closed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def content(self, path: str) -> Content | None:
        """Return what a path of the page refers to, or None for an unknown one."""
        if path in self.files:
            return self.files[path].read_bytes(), _KINDS[self.files[path].suffix]
        kind, *words = path.strip("/").split("/")
        if kind == "icon" and len(words) == 1 and words[0] in self.icons:
            return self.icons[words[0]].encode(), _KINDS[".svg"]
        study, *words = words or [""]
        if study != self.identity:
            return None
        numbers = [int(word) for word in words if re.fullmatch("[0-9]{1,6}", word)]
        pictures = self.pictures.get(kind, [])
        if len(numbers) == len(words) == 1 and numbers[0] < len(pictures):
            shown = pixels_of(pictures[numbers[0]])
            return _png(shown) if shown else None
        if kind == "mask" and len(numbers) == len(words) == 2:
            return _png(Image.fromarray(mask(self.study.seed, *numbers)))
        return None

    def begin(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return what the page needs for a subject, whose window becomes the only one."""
        subject, study = _subject(message), self.study
        self.owners[subject] = _token(message)

        def shown(stimulus: Stimulus) -> dict[str, Any]:
            right = stimulus.right(study.instruction, study.categories)
            return {"url": self.urls[stimulus], "right": right}

        return {
            "id": self.identity,
            "texts": study.settings["instructions"][study.instruction],
            "settings": study.settings,
            "distance_cm": study.distance,
            "grid": study.grid,
            "done": sorted(study.saved(subject)),
            "trials": [
                {"trial": trial, "block": block, "catch": stimulus.is_catch, **shown(stimulus)}
                for trial, (stimulus, block) in enumerate(study.blocks(subject), start=1)
            ],
            "practice": [
                shown(stimulus) for stimulus in in_order(study.practice, study.seed, subject)
            ]
            or [
                {"url": f"/icon/{stimulus.category}", "right": stimulus.category}
                for stimulus in in_order(self.drawings, study.seed, subject)
            ],
        }

    def save(self, message: dict[str, Any], browser: str) -> dict[str, Any]:
        """Save a trial, and return how many of the subject's are saved."""
        subject = _subject(message)
        if message.get("study") != self.identity:
            raise RefusedError(
                "the server now runs another experiment than this window: stop it, and start this "
                "one's again with the same command"
            )
        # After a restart of the server, the first window to send a trial is the subject's.
        if self.owners.setdefault(subject, _token(message)) != message["token"]:
            raise _AnotherWindowError
        self.study.save(subject, message, browser)
        saved = len(self.study.saved(subject))
        if saved == len(self.study.order(subject)) and (score := self.study.catch_score(subject)):
            print(f"finished: {catch_in_words(score)}", flush=True)
        return {"saved": saved}


def catch_in_words(score: list[str]) -> str:
    """Return a line about a row of CATCH_SCORES."""
    subject, trials, correct, missed, percent = score
    return f"{subject}: {correct} of {trials} catch trials correct ({percent} %), {missed} missed"


class _AnotherWindowError(Exception):
    pass


def _subject(message: dict[str, Any]) -> int:
    subject = message.get("subject")
    if type(subject) is not int or not 1 <= subject <= MOST_SUBJECTS:
        raise RefusedError(f"subject: a number from 1 to {MOST_SUBJECTS} is expected")
    return subject


def _token(message: dict[str, Any]) -> str:
    token = message.get("token")
    if not isinstance(token, str) or not 8 <= len(token) <= 64:
        raise RefusedError("token: a text of 8 to 64 characters is expected")
    return token


def _png(image: Image.Image) -> Content:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue(), "image/png"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = SECONDS
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits for 40 ms
    server_version, sys_version = "lab", ""

    def log_message(self, *_: object) -> None:
        """Write nothing: addresses of subjects are not kept."""

    def do_GET(self) -> None:
        """Send the page, a picture, a mask or an icon."""
        try:
            content = self.server.content(self.path.partition("?")[0]) if self._is_own() else None
        except OSError:  # a picture that was removed since the start
            content = None
        if content is None:
            self._answer(404, {"error": "there is nothing here"})
        else:
            self._send(200, *content)

    def do_POST(self) -> None:
        """Begin or resume a subject's session, or save a trial."""
        actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/begin": self.server.begin,
            "/trial": partial(self.server.save, browser=self.headers.get("User-Agent", "")),
        }
        try:
            message = self._message()
            if self.path not in actions:
                raise RefusedError("there is nothing here")
            with self.server.writing:
                answer = actions[self.path](message)
        except RefusedError as error:
            self._answer(400, {"error": str(error)})
        except _AnotherWindowError:
            self._answer(409, {"error": "this subject's session goes on in another window"})
        except UserError as error:
            self._answer(507, {"error": str(error)})
        else:
            self._answer(200, answer)

    def _message(self) -> dict[str, Any]:
        """Return the request's body; raises RefusedError if it is too long, or not the page's."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MOST_BYTES:
            self.close_connection = True  # the body is not read
            raise RefusedError(f"a body of at most {MOST_BYTES} bytes is expected")
        body = self.rfile.read(int(length))
        # Other sites' pages cannot send this type without asking first.
        if not self._is_own() or self.headers.get_content_type() != "application/json":
            raise RefusedError("JSON from the experiment's own page is expected")
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RefusedError("JSON is expected") from error
        if not isinstance(message, dict):
            raise RefusedError("an object is expected")
        return message

    def _is_own(self) -> bool:
        """Return whether the request is to this machine by its own name, from its own page.

        Otherwise a web page whose name leads to 127.0.0.1 could read and write.
        """
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        named = self.server.open_to_all or _OWN_HOST.fullmatch(host)
        return bool(named) and origin in (None, f"http://{host}")

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)
