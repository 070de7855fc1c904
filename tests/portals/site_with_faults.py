"""A small web server with faults, for tests of the client."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = Callable[["Handler"], None]


class Site:
    """Files by path as they stand in the request (still encoded), faults to serve first, answers that always hold, what
    was asked, and what was wrong with that."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self.files: dict[str, bytes] = {}
        self.pages: dict[str, Callable[[list[tuple[str, str]]], tuple[int, Any]]] = {}
        self.faults: dict[str, list[Answer]] = {}
        self.answers: dict[str, Answer] = {}
        self.complaints: list[str] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def asked(self, path: str) -> list[dict[str, str]]:
        """Headers of all requests for a path."""
        return [headers for asked, headers in self.requests if asked == path]

    def start(self) -> None:
        """Listens: at first on a free port, afterwards on the same one again."""
        if self._server is None:
            port = int(self.url.rpartition(":")[2]) if self.url else 0
            self._server = _Server(("127.0.0.1", port), type("Own", (Handler,), {"site": self}))
            self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
            self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
            self._thread.start()

    def stop(self) -> None:
        """Refuses connections until it is started again."""
        if self._server is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: Site

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        self.site.requests.append((split.path, dict(self.headers)))
        if faults := self.site.faults.get(split.path):
            faults.pop(0)(self)
        elif split.path in self.site.answers:
            self.site.answers[split.path](self)
        elif split.path in self.site.pages:
            status, value = self.site.pages[split.path](parse_qsl(split.query))
            self.reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
        elif split.path in self.site.files:
            self.serve(self.site.files[split.path])
        else:
            self.reply(404, b"no")

    do_HEAD = do_GET

    def serve(self, content: bytes) -> None:
        """As static servers do: ranges, and If-Range by a strong tag."""
        self.reply(*self.asked_for(content))

    def asked_for(self, content: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer to this request."""
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        headers = {"ETag": tag, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked and self.headers.get("If-Range", tag) == tag:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                return 416, b"", headers | {"Content-Range": f"bytes */{len(content)}"}
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            return 206, content[first:], headers
        return 200, content, headers

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if length is not None:
            self.close_connection = True

    def log_message(self, *arguments: object) -> None: ...


def status(code: int, **headers: str) -> Answer:
    """A fault: only a status."""
    return lambda handler: handler.reply(code, b"", {name.replace("_", "-"): text for name, text in headers.items()})


def cut(content: bytes, after: int) -> Answer:
    """A fault: the connection ends after some bytes."""
    tag = f'"{hashlib.md5(content).hexdigest()}"'
    return lambda handler: handler.reply(200, content[:after], {"ETag": tag}, len(content))


def leads_to(url: str) -> Answer:
    """A redirect."""
    return lambda handler: handler.reply(307, b"", {"Location": url})


def wrong(content: bytes) -> Answer:
    """A fault: other bytes of the same length."""
    return lambda handler: handler.reply(200, bytes(len(content)), {"ETag": '"other"'})


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        # A client that goes away in the middle is no error of the server.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*arguments)


@contextlib.contextmanager
def served() -> Iterator[Site]:
    """The site, on a free port for as long as the block runs."""
    site = Site()
    site.start()
    try:
        yield site
    finally:
        site.stop()
