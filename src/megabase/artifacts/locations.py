"""Folders on the disk, or in an object store by a `gs://` or `s3://` URL: what reads one reads the other."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import posixpath
from pathlib import Path, PurePosixPath
from typing import Any

from megabase.errors import InputError

_SCHEMES = ("gs", "s3")


@dataclasses.dataclass(frozen=True)
class Url:
    """An object, or a folder of objects, with the part of `pathlib.Path` that readers need.

    Credentials come from the environment: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, without which S3 is asked
    as anybody, and `GOOGLE_APPLICATION_CREDENTIALS` or the machine's own account. `AWS_ENDPOINT_URL` (and
    `AWS_REGION`) lead to any store that speaks S3's language.
    """

    scheme: str
    bucket: str
    key: str
    """Path inside the bucket, without slashes at its ends."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"

    def __truediv__(self, part: str | os.PathLike[str]) -> Url:
        joined = posixpath.normpath(posixpath.join("/", self.key, os.fspath(part)))
        return dataclasses.replace(self, key=joined.strip("/"))

    @property
    def parts(self) -> tuple[str, ...]:
        """As of a path: bucket, folders, name."""
        return (self.bucket, *PurePosixPath(self.key).parts)

    @property
    def stem(self) -> str:
        """Name without its last suffix."""
        return PurePosixPath(self.key).stem

    def resolve(self) -> Url:
        """Itself."""
        return self

    def exists(self) -> bool:
        """Whether there is an object of this name."""
        return bool(self._asked("read").state == "value")

    def read_bytes(self) -> bytes:
        """All bytes of the object. Raises FileNotFoundError where there is none."""
        found = self._asked("read")
        if found.state != "value":
            raise FileNotFoundError(str(self))
        return bytes(found.value)

    def read_text(self) -> str:
        """The object's text."""
        return self.read_bytes().decode()

    def write_bytes(self, content: bytes) -> None:
        """Replaces the object, whole."""
        self._asked("write", content)

    def unlink(self) -> None:
        """Removes the object, if there is one."""
        self._asked("write", None)

    @property
    def kvstore(self) -> dict[str, Any]:
        """Of the folder, in tensorstore's terms."""
        return self._bucket | {"path": f"{self.key}/"}

    @property
    def _bucket(self) -> dict[str, Any]:
        if self.scheme == "gs":
            return {"driver": "gcs", "bucket": self.bucket}
        given = "environment" if os.environ.get("AWS_ACCESS_KEY_ID") else "anonymous"
        spec: dict[str, Any] = {"driver": "s3", "bucket": self.bucket, "aws_credentials": {"type": given}}
        named = {
            "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
            "aws_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        }
        for name, variables in named.items():
            if value := next(filter(None, map(os.environ.get, variables)), None):
                spec[name] = value.rstrip("/")
        return spec

    def _asked(self, what: str, *given: Any) -> Any:
        try:
            return getattr(_opened(json.dumps(self._bucket)), what)(self.key, *given).result()
        except (ValueError, OSError, RuntimeError) as error:
            what = " ".join(str(error).partition(" [")[0].split())
            remedy = "check the address, and the credentials in the environment (docs/store.md)"
            raise InputError(what, where=self, remedy=remedy) from None


Location = Path | Url


def location(address: str | Path | Url) -> Location:
    """A path, or a URL where the address is one. Raises InputError for a URL of another kind."""
    if isinstance(address, Path | Url) or "://" not in address:
        return Path(address) if isinstance(address, str) else address
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in _SCHEMES or not bucket:
        raise InputError("not a place for objects", where=address, remedy="write gs://bucket/path or s3://bucket/path")
    return Url(scheme, bucket, key.strip("/"))


@functools.cache
def _opened(bucket: str) -> Any:
    import tensorstore as ts

    return ts.KvStore.open(json.loads(bucket)).result()


def kvstore(place: Location) -> dict[str, Any]:
    """A folder in tensorstore's terms."""
    return place.kvstore if isinstance(place, Url) else {"driver": "file", "path": f"{place.resolve()}/"}
