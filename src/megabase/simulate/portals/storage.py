"""Object storage as S3 serves it: public objects by their plain URL, all others by a signed URL that expires."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path

from megabase.simulate.catalog import Catalogue, Entry
from megabase.simulate.portals.messages import Request, Response, file_response, text

LIFETIME = 36 * 60 * 60.0
"""Seconds for which ENCODE and 4DN sign a URL (data reference 1.1 and 1.4)."""
_DAY = "2021-03-04"


def identity(entry: Entry) -> str:
    """The uuid of an entry."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{entry['portal']}/{entry['path']}"))


class Storage:
    """Buckets below `/storage/<bucket>/<key>`."""

    def __init__(self, catalogue: Catalogue, lifetime: float, clock: Callable[[], float]) -> None:
        self.catalogue, self.lifetime, self.clock = catalogue, lifetime, clock
        self._secret = secrets.token_bytes(16)
        self._objects: dict[str, tuple[Path, bool, str]] = {}

    def add(self, bucket: str, key: str, entry: Entry, public: bool) -> str:
        """Stores an entry; its path below the origin. Only a `public` object has a URL that works unsigned."""
        path = f"/storage/{bucket}/{key}"
        day = str(entry.get("date_created", _DAY))
        self._objects[path] = (self.catalogue.path(entry), public, day)
        return path

    def sign(self, path: str) -> tuple[str, int]:
        """`path` with a signature, and the second at which that expires."""
        expires = int(self.clock() + self.lifetime)
        quoted = urllib.parse.urlencode({"Expires": expires, "Signature": self._signature(path, expires)})
        return f"{path}?{quoted}", expires

    def __call__(self, request: Request) -> Response:
        path = f"/storage{request.path}"
        signature, expires = request.first("Signature"), request.first("Expires")
        if path not in self._objects:
            # As S3 answers who may not list the bucket.
            return _denied("Access Denied")
        file, public, day = self._objects[path]
        if signature is not None or not public:
            if signature is None or expires is None or not expires.isdigit():
                return _denied("Access Denied")
            if not hmac.compare_digest(signature, self._signature(path, int(expires))):
                return _denied("The request signature we calculated does not match", "SignatureDoesNotMatch")
            if self.clock() >= int(expires):
                return _denied("Request has expired")
        return file_response(request, file, f'"{self.catalogue.md5(file)}"', day, {"Server": "AmazonS3"})

    def _signature(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


def _denied(message: str, code: str = "AccessDenied") -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return text(body, "application/xml", 403)
