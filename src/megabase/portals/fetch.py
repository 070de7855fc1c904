"""A source file as it was pinned, from the disk or from its portal, or an error that says how it differs."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from megabase.artifacts import write_json
from megabase.errors import InputError
from megabase.portals.config import PortalsConfig
from megabase.portals.download import Arrived, Promise, check, download, examined, on_disk, published_md5
from megabase.portals.http import Login, Web, base_url, fdn_login, resolved

logger = logging.getLogger(__name__)
_PIECE = 1 << 24
_SECONDS_BETWEEN_LINES = 10.0


def checksum(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hex; a file that takes long says how far it is."""
    hashed, size, done, said = hashlib.sha256(), os.path.getsize(path), 0, time.monotonic()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            hashed.update(piece)
            done += len(piece)
            if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                logger.info("%s: %.1f of %.1f GB hashed", path, done / 1e9, size / 1e9)
    return hashed.hexdigest()


def verified_file(path: str | Path, bytes: int, sha256: str, where: object) -> Path:
    """`path`, once its size and SHA-256 are those of the manifest; `where` is the manifest's row.

    Raises InputError where the file is absent or differs.
    """
    path = Path(path)
    remedy = f"restore the file, or pin the new one: delete {str(where).split(' row')[0]} and run again"
    if not path.is_file():
        raise InputError(f"{path} is absent", where=where, remedy="restore the file")
    size = path.stat().st_size
    if size != bytes:
        raise InputError(f"size mismatch: {path} has {size} bytes, {bytes} are pinned", where=where, remedy=remedy)
    found = checksum(path)
    if found != sha256:
        raise InputError(f"checksum mismatch: {path} has {found}, {sha256} is pinned", where=where, remedy=remedy)
    return path


@contextlib.contextmanager
def fetched_file(
    row: Mapping[str, str],
    prefix: str = "",
    base_urls: Mapping[str, str] | None = None,
    portals: PortalsConfig | None = None,
    *,
    where: object = "",
    web: Web | None = None,
) -> Iterator[Path]:
    """The file of one row of a slice (`prefix`: "", "pair_" or "control_"), verified, for as long as the block runs.

    A local file is verified where it is. A file of a portal is fetched unless it is there already, and deleted when its
    last user is done, unless `keep_raw`; one that was put there by other hands is verified and stays.
    Raises InputError for a file that is absent, refused, or not the one pinned.
    """
    path = Path(row[f"{prefix}path"])
    where = where or f"manifest row of {row.get('track_id', path)}"
    if not row.get(f"{prefix}url"):
        yield verified_file(path, int(row[f"{prefix}bytes"]), row[f"{prefix}sha256"], where)
        return
    portals = portals or PortalsConfig()
    web = web or Web(portals, shared=path.parent / ".hosts")
    bytes = row[f"{prefix}bytes"]
    promise = Promise(
        bytes=int(bytes) if bytes else None,
        md5=row[f"{prefix}md5"],
        sha256=row[f"{prefix}sha256"],
        etag=row[f"{prefix}etag"],
    )
    places = _places(row, prefix, portals, base_urls)
    with _in_use(
        path,
        portals.keep_raw,
        verify=lambda: check(examined(path), _expected(path, promise), path, where),
        fetch=lambda: _fetch(web, places, path, promise, where),
    ):
        yield path


def fetch_reference(
    url: str,
    out: Path,
    portals: PortalsConfig | None = None,
    base_urls: Mapping[str, str] | None = None,
    checksum: str = "",
    *,
    web: Web | None = None,
) -> Path:
    """Fetches a static file to `out`, unless it is there and as promised.

    `url` is absolute, or `references:` and a path on the portal of references; `checksum` is `md5:` or `sha256:` and
    the digits. Without one, that of a list `MD5SUMS` beside the file holds; without both, the file is trusted when
    it is first fetched, and locked.
    """
    portals = portals or PortalsConfig()
    web = web or Web(portals, shared=out.parent / ".hosts")
    kind, _, digits = checksum.partition(":")
    if checksum and kind not in ("md5", "sha256"):
        raise InputError(f"checksum `{checksum}`", where=url, remedy="write md5:... or sha256:...")
    promise = Promise(md5=digits if kind == "md5" else "", sha256=digits if kind == "sha256" else "")
    if url.startswith("references:"):
        base = base_url("references", portals, base_urls)
        url = resolved(url.removeprefix("references:").lstrip("/"), base)
    if not checksum and not out.exists():
        promise = dataclasses.replace(promise, md5=published_md5(web, url))
    with _in_use(
        out,
        keep=True,
        verify=lambda: check(examined(out), _expected(out, promise), out, url),
        fetch=lambda: _fetch(web, [(url, None)], out, promise, url),
    ):
        return out


def _places(
    row: Mapping[str, str], prefix: str, portals: PortalsConfig, base_urls: Mapping[str, str] | None
) -> list[tuple[str, Login | None]]:
    """Where a file can be had, the best first: what is pinned, else the portal's own address. 4DN's key is shown to
    4DN's own address only."""
    base = base_url(row["portal"], portals, base_urls)
    url, name = resolved(row[f"{prefix}url"], base), Path(row[f"{prefix}path"]).name
    if row["portal"] == "fdn":
        own = f"{base}/files-processed/{row['accession']}/@@download/{row['accession']}.mcool"
        return [(own, fdn_login())] if url == own else [(url, None), (own, fdn_login())]
    if row["portal"] == "encode" and not url.startswith(f"{base}/"):
        # Files in the public bucket are named as in the raw folder (data reference 1.1).
        return [(url, None), (f"{base}/files/{name.partition('.')[0]}/@@download/{name}", None)]
    return [(url, None)]


def _fetch(web: Web, places: list[tuple[str, Login | None]], path: Path, promise: Promise, where: object) -> None:
    """Downloads the file; without a published checksum it must be what it was when it was first fetched."""
    began = web.clock()
    arrived = download(web, places, path, _expected(path, promise), where)
    if promise.etag and arrived.etag and promise.etag != arrived.etag:
        logger.warning("%s: ETag %s, was %s when the portal was asked", path.name, arrived.etag, promise.etag)
    if _first(path) is None:
        today = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with on_disk(path.parent):
            write_json(_pin(path), {**vars(arrived), "first_fetched": today})
    logger.info("%s: %.1f MB in %.1f s", path.name, arrived.bytes / 1e6, web.clock() - began)


def _pin(path: Path) -> Path:
    """Where it is noted, beside the raw folder, what a file was when it was first fetched."""
    return path.parent.with_name(f"{path.parent.name}.locked") / f"{path.name}.json"


def _first(path: Path) -> Arrived | None:
    try:
        noted = json.loads(_pin(path).read_text())
        return Arrived(noted["bytes"], noted["md5"], noted["sha256"], noted["etag"])
    except (OSError, ValueError, KeyError):
        return None


def _expected(path: Path, promise: Promise) -> Promise:
    """The promise; where the portal publishes no checksum, with that of the first fetch."""
    first = None if promise.md5 or promise.sha256 else _first(path)
    if first is None:
        return promise
    return dataclasses.replace(promise, sha256=first.sha256, origin=f"what was first fetched: {_pin(path)}")


@contextlib.contextmanager
def _in_use(path: Path, keep: bool, verify: Callable[[], None], fetch: Callable[[], None]) -> Iterator[None]:
    """Fetches the file unless it is there, and holds it: it is not deleted while anybody is inside.

    Whoever fetches holds the file's lock alone, those who read share it. The lock file is not empty while the file is
    one that was fetched; the last user to leave deletes such a file, unless `keep`.
    """
    folder = path.parent / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / path.name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _make_present(path, lock, verify, fetch)
        try:
            yield
        finally:
            # To ask for the lock alone gives up the shared one: of users that leave together, the last gets it.
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not keep and _is_ours(lock):
                    for name in (path, Path(f"{path}.bai"), Path(f"{path}.csi")):
                        name.unlink(missing_ok=True)
                    os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _make_present(path: Path, lock: int, verify: Callable[[], None], fetch: Callable[[], None]) -> None:
    fetched = False
    while True:
        fcntl.flock(lock, fcntl.LOCK_SH)
        wrong = False
        # Between the two kinds of lock somebody else may have come, and gone with the file.
        if path.exists():
            try:
                if not fetched:
                    verify()
                return
            except InputError as error:
                if not _is_ours(lock):
                    raise
                wrong = True
                logger.info("%s; fetching it anew", error)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if wrong:
            path.unlink(missing_ok=True)
        if not path.exists():
            os.pwrite(lock, b"fetched\n", 0)
            fetch()
            fetched = True


def _is_ours(lock: int) -> bool:
    return os.fstat(lock).st_size > 0
