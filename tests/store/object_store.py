"""An object store on loopback, in the languages of S3 and of Google's: as much of them as a reader and a writer use."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "AKIDOFTHETESTS"


class Bucket:
    """Objects by key, and what was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.url = ""

    def asked(self, method: str) -> list[str]:
        """Keys of all requests of a kind."""
        return [key for kind, key in self.requests if kind == method]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bucket: Bucket

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        google = split.path.startswith(("/storage/", "/upload/"))
        key = unquote(re.sub(r"^(/upload)?/storage/v1/b/bucket/o/?|^/bucket/", "", split.path))
        if split.path.startswith("/upload/"):
            key = parse_qs(split.query)["name"][0]
        method = {"POST": "PUT"}.get(self.command, self.command)
        self.bucket.requests.append((method, key))
        login = self.headers.get("authorization", "")
        if not (login.startswith("Bearer ") if google else f"Credential={KEY}/" in login):
            return self.reply(403, b"<Error><Code>AccessDenied</Code></Error>")
        if not google and self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return self.reply(400, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>")
        objects = self.bucket.objects
        if method == "PUT":
            objects[key] = body
            return self.reply(200, self.described(key), self.tag(body))
        if method == "DELETE":
            objects.pop(key, None)
            return self.reply(204, b"")
        if key not in objects:
            return self.reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
        content, headers = objects[key], self.tag(objects[key])
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            size = len(content)
            first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
            last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
            return self.reply(206, content[first : last + 1], headers)
        return self.reply(200, content, headers)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def described(self, key: str) -> bytes:
        size, made = str(len(self.bucket.objects[key])), "2026-01-01T00:00:00.000Z"
        return json.dumps(
            {"name": key, "bucket": "bucket", "size": size, "generation": "1", "metageneration": "1"}
            | {"timeCreated": made, "updated": made, "timeStorageClassUpdated": made}
        ).encode()

    def tag(self, content: bytes) -> dict[str, str]:
        return {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "x-goog-generation": "1"}

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None: ...


@contextlib.contextmanager
def object_store() -> Iterator[Bucket]:
    """The bucket `bucket`, on a free port for as long as the block runs."""
    bucket = Bucket()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (_Handler,), {"bucket": bucket}))
    server.daemon_threads = True
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
