"""One server for all portals: each answers below a path prefix of its own."""

from __future__ import annotations

import contextlib
import http.server
import logging
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

from megabase.simulate.catalog import Catalogue
from megabase.simulate.portals.encode import Encode
from megabase.simulate.portals.fantom5 import Fantom5
from megabase.simulate.portals.fdn import FourDN
from megabase.simulate.portals.messages import Request, Response, not_found
from megabase.simulate.portals.recount3 import Recount3
from megabase.simulate.portals.references import References
from megabase.simulate.portals.storage import LIFETIME, Storage

logger = logging.getLogger(__name__)
_PIECE = 1 << 18
PREFIXES = {"encode": "encode", "fdn": "4dn", "fantom5": "fantom5", "recount3": "recount3", "references": "references"}
"""Path prefix of each portal; object storage, which several of them point to, is below `storage`."""


@contextlib.contextmanager
def serve(
    root: Path, *, lifetime: float = LIFETIME, clock: Callable[[], float] = time.time
) -> Iterator[dict[str, str]]:
    """Serves the portals of the world at `root` on a free port of 127.0.0.1; yields the base URL of each.

    Signed storage URLs expire `lifetime` seconds of `clock` after they were given out.
    """
    catalogue = Catalogue(root)
    storage = Storage(catalogue, lifetime, clock)
    portals: dict[str, Callable[[Request], Response]] = {
        "encode": Encode(catalogue, storage),
        "4dn": FourDN(catalogue, storage),
        "fantom5": Fantom5(catalogue),
        "recount3": Recount3(catalogue),
        "references": References(catalogue),
        "storage": storage,
    }
    server = _Server(("127.0.0.1", 0), _Handler)
    server.portals, server.origin = portals, f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield {name: f"{server.origin}/{prefix}" for name, prefix in PREFIXES.items()}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Clients that keep a connection open would hold up the end of `serve` otherwise.
    block_on_close = False
    portals: dict[str, Callable[[Request], Response]]
    origin: str

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that goes away in the middle is no error of the server.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            logger.exception("a portal failed to answer %s", client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Headers and body are written one after the other; waiting to join them costs 40 ms on loopback.
    disable_nagle_algorithm = True
    server_version, sys_version = "Loopback", ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        parts = urllib.parse.urlsplit(self.path)
        _, prefix, *rest = f"{parts.path}/".split("/", 2)
        request = Request(
            # Decoded once: a name that is percent-encoded on disk must be asked for with its `%` encoded again.
            path="/"
            + urllib.parse.unquote("/".join(rest).removesuffix("/") + ("/" if parts.path.endswith("/") else "")),
            query=tuple(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            origin=self.server.origin,
        )
        portal = self.server.portals.get(prefix)
        response = portal(request) if portal else not_found(self.path)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(response.length if response.file else len(response.body)))
        self.end_headers()
        if not body:
            return
        if response.file is None:
            self.wfile.write(response.body)
            return
        with open(response.file, "rb") as file:
            file.seek(response.start)
            left = response.length
            while left and (piece := file.read(min(left, _PIECE))):
                self.wfile.write(piece)
                left -= len(piece)

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)
