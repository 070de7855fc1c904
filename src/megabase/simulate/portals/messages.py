"""Requests and responses, and files with what HTTP says about parts of them."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Request:
    """What a portal is asked."""

    path: str
    """Below the portal's prefix, percent-decoded once, starting with `/`."""
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    """Looked up in lower case."""
    origin: str
    """Scheme, host and port of this server."""

    def first(self, name: str) -> str | None:
        """The first value of a query key."""
        return next((value for key, value in self.query if key == name), None)


@dataclasses.dataclass(frozen=True)
class Response:
    """What it answers: bytes, or a piece of a file."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    file: Path | None = None
    """Sent instead of `body`, without being read into memory."""
    start: int = 0
    length: int = 0
    """Piece of `file`, in bytes."""


def as_json(value: Any, status: int = 200) -> Response:
    """A JSON document."""
    body = (json.dumps(value, indent=1) + "\n").encode()
    return Response(status, body, {"Content-Type": "application/json; charset=UTF-8"})


def text(value: str, kind: str = "text/plain", status: int = 200) -> Response:
    """Text of a media type."""
    return Response(status, value.encode(), {"Content-Type": f"{kind}; charset=UTF-8"})


def not_found(path: str) -> Response:
    """The plain 404 of a static server."""
    return text(f"<html><head><title>404 Not Found</title></head><body>{path}</body></html>\n", "text/html", 404)


def redirect(location: str, status: int = 307) -> Response:
    """Elsewhere."""
    return Response(status, b"", {"Location": location, "Content-Type": "text/html; charset=UTF-8"})


def http_date(day: str) -> str:
    """An ISO date as HTTP writes moments: midnight of that day."""
    moment = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC)
    return email.utils.format_datetime(moment, usegmt=True)


def file_response(request: Request, path: Path, etag: str, day: str, extra: Mapping[str, str]) -> Response:
    """A file or the range of it that was asked for (RFC 9110 section 14): 200, 206, 304 or 416.

    Several ranges at once are answered by the whole file, which is allowed. `day`: ISO date of the last change.
    """
    size, modified = path.stat().st_size, http_date(day)
    headers = {"ETag": etag, "Last-Modified": modified, "Accept-Ranges": "bytes", **extra}
    headers.setdefault("Content-Type", "application/octet-stream")
    if etag in request.headers.get("if-none-match", ""):
        return Response(304, b"", headers)
    whole = Response(200, b"", headers, path, 0, size)
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", "").strip())
    if asked is None or asked.group(0) == "bytes=-" or request.headers.get("if-range", etag) not in (etag, modified):
        return whole
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        return Response(416, b"", {**headers, "Content-Range": f"bytes */{size}"})
    return Response(
        206, b"", {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}, path, start, stop - start
    )
