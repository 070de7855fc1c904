"""One file from its portal to the disk: resumed where it stopped, checked, and there whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import requests

from megabase.errors import InputError
from megabase.portals.http import Login, Refused, Slow, Temporary, Web

logger = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 10.0
_PIECE = 1 << 24
_SLOWEST = 5_000
"""Bytes a second below which a connection is given up for a new one."""


@dataclasses.dataclass(frozen=True)
class Promise:
    """What a file must be; what is empty is not known."""

    bytes: int | None = None
    md5: str = ""
    sha256: str = ""
    etag: str = ""
    origin: str = "the manifest"
    """Who promises, for messages."""


@dataclasses.dataclass(frozen=True)
class Arrived:
    """What a file is."""

    bytes: int
    md5: str
    sha256: str
    etag: str = ""


class Differs(InputError):
    """A file is not the one promised."""


def download(
    web: Web, places: Sequence[tuple[str, Login | None]], out: Path, promise: Promise, where: object
) -> Arrived:
    """Writes the file to `out`, from the first of `places` that has it; `{out}.part` is what an earlier try got.

    Raises InputError where no place has it, where it is, twice, not the file that was promised, and where the disk
    does not take it.
    """
    with on_disk(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        for number, (url, login) in enumerate(places):
            try:
                with web.slot(url):
                    return _download(web, url, login, out, promise, where)
            except Refused as error:
                if number + 1 == len(places):
                    raise
                logger.info("%s: %s; trying %s", url, error.what, places[number + 1][0])
    raise ValueError("no place to fetch from")


@contextlib.contextmanager
def on_disk(folder: Path) -> Iterator[None]:
    """Says in one line what the disk refused: no room, no permission."""
    try:
        yield
    except OSError as error:
        remedy = "make room, or put the dataset elsewhere (`data`); what has arrived is kept"
        raise InputError(f"cannot write: {error.strerror or error}", where=folder, remedy=remedy) from None


def examined(path: Path) -> Arrived:
    """Size and checksums of a file, in one pass."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            md5.update(piece)
            sha256.update(piece)
            size += len(piece)
    return Arrived(size, md5.hexdigest(), sha256.hexdigest())


def published_md5(web: Web, url: str) -> str:
    """The MD5 of a file by the list `MD5SUMS` in its folder, as GENCODE has it (data reference 1.5), or nothing."""
    folder, _, name = url.rpartition("/")
    try:
        listed = web.content(f"{folder}/MD5SUMS").decode(errors="replace")
    except Refused:
        return ""
    for line in listed.splitlines():
        if (found := re.fullmatch(r"([0-9a-f]{32})[ *]+(.+)", line.strip())) and found[2] == unquote(name):
            return found[1]
    return ""


def check(arrived: Arrived, promise: Promise, name: object, where: object) -> None:
    """Raises Differs where the file is not the one promised."""
    remedy = _remedy(promise)
    if promise.bytes is not None and arrived.bytes != promise.bytes:
        what = f"size mismatch: {name} has {arrived.bytes} bytes, {promise.bytes} are pinned"
        raise Differs(what, where=where, remedy=remedy)
    for kind in ("md5", "sha256"):
        found, pinned = getattr(arrived, kind), getattr(promise, kind).lower()
        if pinned and found != pinned:
            what = f"checksum mismatch: {name} has {kind} {found}, {pinned} is pinned"
            raise Differs(what, where=where, remedy=remedy)


def _download(web: Web, url: str, login: Login | None, out: Path, promise: Promise, where: object) -> Arrived:
    part = out.with_name(f"{out.name}.part")
    failed, wrong, etag = 0, 0, ""
    while True:
        before = _size(part)
        try:
            if before != promise.bytes or not part.exists():
                etag, promise = _receive(web, url, login, part, promise)
            arrived = _checked(part, promise, url, where)
            break
        except Temporary as error:
            # A connection that is lost again and again still gets there, as long as each brings something.
            failed = 0 if _size(part) > before and not isinstance(error, Slow) else failed
            web.pause(url, failed, error)
            failed += 1
        except Differs as error:
            wrong += 1
            if wrong > 1:
                raise
            logger.info("%s: %s; fetching it anew", url, error.what)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part, out)
    _forget(part)
    return dataclasses.replace(arrived, etag=etag or promise.etag)


def _receive(web: Web, url: str, login: Login | None, part: Path, promise: Promise) -> tuple[str, Promise]:
    """One request for what is missing of `part`; the file's tag, and the promise with what the server adds to it."""
    noted = _noted(part)
    have, validator = _size(part), noted.read_text() if noted.exists() else ""
    if have and (not validator or (promise.bytes is not None and have > promise.bytes)):
        _forget(part)
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with web.answer(url, headers=headers, login=login, allowed=(200, 206, 416)) as response:
        etag, total = response.headers.get("ETag", ""), _total(response, have)
        if response.status_code == 200:
            have = 0
        elif etag and validator.startswith('"') and etag != validator:
            # Not every server minds If-Range.
            _forget(part)
            raise Temporary("the file has changed since its first part arrived", 0.0)
        elif total is None:
            _forget(part)
            raise Temporary("the server sent another piece than was asked for", 0.0)
        if total is not None and promise.bytes is not None and total != promise.bytes:
            what = f"size mismatch: {total} bytes are served, {promise.bytes} are pinned"
            raise Differs(what, where=url, remedy=_remedy(promise))
        published = re.search(r"md5=([A-Za-z0-9+/=]+)", response.headers.get("x-goog-hash", ""))
        if published and not promise.md5:
            promise = dataclasses.replace(promise, md5=base64.b64decode(published[1]).hex())
        if response.status_code == 416:
            return etag.strip('"'), promise
        expected = promise.bytes if total is None else total
        _check_room(part, (expected or 0) - have)
        if not have:
            # The old bytes go before the new tag comes: a tag never vouches for bytes of another file. Only a strong
            # tag, or a date, may say that the rest is of the same file (RFC 9110, 13.1.5).
            part.unlink(missing_ok=True)
            strong = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
            noted.write_text(strong)
        arrived = _write(web, web.pieces(response), part, have, expected)
        if expected is not None and arrived < expected:
            raise Temporary(f"{arrived} of {expected} bytes arrived", 0.0 if arrived > have else None)
        return etag.strip('"'), promise


def _total(response: requests.Response, have: int) -> int | None:
    """The size of the whole file as an answer to a request from byte `have` on states it; None where it does not, or
    where the answer is of another piece."""
    headers = response.headers
    if response.status_code == 200:
        return int(headers["Content-Length"]) if "Content-Length" in headers else None
    place = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", headers.get("Content-Range", ""))
    if place is None:
        return None
    # There is no piece after the last byte (416): then everything is here already.
    first = int(place[2]) if place[1] is None else int(place[1])
    return int(place[2]) if first == have else None


def _checked(part: Path, promise: Promise, name: object, where: object) -> Arrived:
    """What has arrived, once it is what was promised; else it is forgotten."""
    arrived = examined(part)
    try:
        check(arrived, promise, name, where)
    except Differs:
        _forget(part)
        raise
    return arrived


def _write(web: Web, pieces: Iterable[bytes], part: Path, have: int, total: int | None) -> int:
    """Appends to what is there and says, now and then, how far it is; returns the size of the file."""
    began = said = looked = web.clock()
    first = before = have
    with open(part, "ab" if have else "wb") as file:
        for piece in pieces:
            file.write(piece)
            have += len(piece)
            now = web.clock()
            if now - said >= _SECONDS_BETWEEN_LINES:
                said = now
                whole = f" of {total / 1e6:,.1f}" if total else ""
                rate = (have - first) / 1e6 / (now - began)
                logger.info("%s: %.1f%s MB, %.1f MB/s", part.name.removesuffix(".part"), have / 1e6, whole, rate)
            if now - looked >= web.portals.timeout:
                if have - before < _SLOWEST * (now - looked):
                    raise Slow(f"less than {_SLOWEST / 1e3:g} kB a second arrived")
                looked, before = now, have
    return have


def _remedy(promise: Promise) -> str:
    return f"fetch later or, to accept what the portal has now, ask it again and delete {promise.origin}"


def _check_room(part: Path, bytes: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if bytes > free:
        what = f"{bytes / 1e9:.1f} GB are to come and {free / 1e9:.1f} GB are free"
        raise InputError(what, where=part.parent, remedy="make room, or put the dataset elsewhere (`data`)")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _noted(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _noted(part).unlink(missing_ok=True)
