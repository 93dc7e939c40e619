"""A web server on 127.0.0.1 that misbehaves on request."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server has and how it behaves; tests change it while it runs.

    statuses: an HTTP status by path, instead of a file.
    ranges: whether it honours Range; range_offset: how far beside the asked byte it resumes.
    break_after: how many bytes it sends before it hangs up, once. cut_at: the same, always.
    answers: by path, what it answers first, in order: a status and headers.
    length: whether it says how long a file is.
    etag: what it calls the present version of every file. headers: more of its answers to GET,
    head: to HEAD.
    piece, pause: bytes per write, and the seconds before each.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    range_offset: int = 0
    break_after: int | None = None
    cut_at: int | None = None
    answers: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    length: bool = True
    etag: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)
    piece: int = 1 << 20
    pause: float = 0.0
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def ranges_asked(self) -> list[str | None]:
        return [asked for _, asked in self.requests]


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        site, data = self.site, self.site.files.get(self.path)
        self.send_response(site.statuses.get(self.path, 404 if data is None else 200))
        for name, value in {"ETag": site.etag, "Content-Length": len(data or b"")}.items():
            self.send_header(name, str(value))
        for name, value in site.head.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self):
        site, asked = self.site, self.headers.get("Range")
        site.requests.append((self.path, asked))
        data = site.files.get(self.path.partition("?")[0])
        if site.answers.get(self.path):
            self._answer(*site.answers[self.path].pop(0))
            return
        status = site.statuses.get(self.path, 200 if data is not None else 404)
        if status != 200:
            self.send_error(status)
            return
        condition = self.headers.get("If-Range")
        start = 0
        if asked and site.ranges and condition in (None, site.etag):
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + site.range_offset
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        for name, value in site.headers.items():
            self.send_header(name, value)
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.length:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self._send(data[start:])

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, data: bytes) -> None:
        site, sent = self.site, 0
        limit, site.break_after = site.break_after, None
        data = data[: site.cut_at if limit is None else limit]
        try:
            while sent < len(data):
                time.sleep(site.pause)
                self.wfile.write(data[sent : sent + site.piece])
                sent += site.piece
        except OSError:
            pass  # the client has gone


@contextmanager
def serve() -> Iterator[Site]:
    """Yield the site of a server that runs inside the block."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
