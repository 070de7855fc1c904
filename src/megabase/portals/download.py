"""One file from its portal to the disk: resumed where it stopped, checked, and there whole or not at all."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from megabase.errors import InputError
from megabase.portals.http import Login, Refused, Temporary, Web

logger = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 10.0
_PIECE = 1 << 24


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

    Raises InputError where no place has it, or where it is, twice, not the file that was promised.
    """
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
            if before != promise.bytes:
                etag, promise = _receive(web, url, login, part, promise)
            arrived = examined(part)
            check(arrived, promise, url, where)
            break
        except Temporary as error:
            # A connection that is lost again and again still gets there, as long as each brings something.
            failed = 0 if _size(part) > before else failed
            web.pause(url, failed, error)
            failed += 1
        except Differs as error:
            _forget(part)
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
        length = int(response.headers.get("Content-Length") or -1)
        total = length if length >= 0 else None
        if response.status_code == 206:
            place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if place is None or int(place[1]) != have:
                _forget(part)
                raise Temporary("the server sent another piece than was asked for", 0.0)
            total = None if place[2] == "*" else int(place[2])
        elif response.status_code == 416:
            _forget(part)
            raise Temporary("there is no such piece of the file", 0.0)
        else:
            have = 0
        if total is not None and promise.bytes is not None and total != promise.bytes:
            what = f"size mismatch: {total} bytes are served, {promise.bytes} are pinned"
            raise Differs(
                what, where=url, remedy=f"to accept what the portal has now, ask it again and delete {promise.origin}"
            )
        _check_room(part, (total or promise.bytes or 0) - have)
        etag = response.headers.get("ETag", "")
        # Only a strong tag, or a date, may say that the rest is of the same file (RFC 9110, 13.1.5).
        noted.write_text(etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", ""))
        arrived = _write(web, web.pieces(response), part, have, total or promise.bytes)
        if total is not None and arrived != total:
            raise Temporary(f"{arrived} of {total} bytes arrived", 0.0 if arrived > have else None)
        published = re.search(r"md5=([A-Za-z0-9+/=]+)", response.headers.get("x-goog-hash", ""))
        if published and not promise.md5:
            promise = dataclasses.replace(promise, md5=base64.b64decode(published[1]).hex())
        return etag.strip('"'), promise


def _write(web: Web, pieces: Iterable[bytes], part: Path, have: int, total: int | None) -> int:
    """Appends to what is there and says, now and then, how far it is; returns the size of the file."""
    began = said = web.clock()
    first = have
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
