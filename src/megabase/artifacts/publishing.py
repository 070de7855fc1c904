"""A folder copied to an object store, file by file and by hash: what is there already is not sent again."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from megabase.artifacts.hashing import file_sha256
from megabase.artifacts.locations import Url
from megabase.errors import InputError

logger = logging.getLogger(__name__)

LISTING = "published.json"
"""Beside the files: the size and SHA-256 of each, or null while it may be there or not."""
_ROOT = "zarr.json"
"""Without it, nothing opens a folder of arrays."""
_AT_ONCE = 16
_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_LISTINGS = 60.0


class Published(NamedTuple):
    """What publishing came to."""

    files: int
    bytes: int
    sent: int
    """Files that were not there, or not the same."""
    sent_bytes: int
    removed: int
    """Files that an earlier version had."""


class _File(NamedTuple):
    bytes: int
    sha256: str


_Files = dict[str, _File | None]


def publish(folder: Path, url: Url, *, verify: bool = False) -> Published:
    """Makes the objects at `url` those of a folder: sends what differs from the listing there, removes what an earlier
    version had beyond it. While anything differs there is no `zarr.json` at the root, so that what can be opened is
    whole. Interrupted, it goes on with what is missing.

    With `verify` every object is read back and compared. Raises InputError for a folder without files, for an object
    that is not what was sent, and for what the store refuses.
    """
    names = sorted(str(path.relative_to(folder)) for path in _files(folder))
    if not names:
        raise InputError("no files here", where=folder, remedy="name the folder of a store, of shards or of a model")
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        here = dict(zip(names, pool.map(lambda name: _described(folder / name), names), strict=True))
        there = _listed(url)
        wanted = [name for name in names if there.get(name) != here[name]]
        gone = sorted(set(there) - set(here))
        if (wanted or gone) and _ROOT in here:
            wanted = [*(name for name in wanted if name != _ROOT), _ROOT]
        # What is about to be sent may be there or not, from now until it is: the listing never vouches for more than
        # is there, and never forgets what may have to be removed.
        listed = there | dict.fromkeys(wanted)
        if wanted or gone:
            _list(url, listed)
            if _ROOT in there:
                (url / _ROOT).unlink()
        progress = _Progress(url, listed, here, sum(here[name].bytes for name in wanted))
        tasks = {pool.submit(_send, folder / name, url / name, here[name]): name for name in wanted if name != _ROOT}
        try:
            for task in concurrent.futures.as_completed(tasks):
                task.result()
                progress.sent(tasks[task])
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            _list(url, listed)
            raise
        for name in gone:
            (url / name).unlink()
        if _ROOT in wanted:
            _send(folder / _ROOT, url / _ROOT, here[_ROOT])
        if wanted or gone:
            _list(url, here)
        if verify:
            checks = pool.map(lambda name: _is_there(url / name, here[name]), names)
            wrong = [name for name, same in zip(names, checks, strict=True) if not same]
            if wrong:
                _list(url, here | dict.fromkeys(wrong))
                raise InputError("is not what was sent", where=url / wrong[0], remedy="publish again")
    size = sum(file.bytes for file in here.values())
    return Published(len(here), size, len(wanted), sum(here[name].bytes for name in wanted), len(gone))


class _Progress:
    """Says how far it is, and lists what has been sent, now and then."""

    def __init__(self, url: Url, listed: _Files, here: Mapping[str, _File], total: int) -> None:
        self._url, self._names, self._here, self._total = url, listed, here, total
        self._began = self._said = self._listed = time.monotonic()
        self._bytes = 0

    def sent(self, name: str) -> None:
        self._names[name] = self._here[name]
        self._bytes += self._here[name].bytes
        now = time.monotonic()
        if now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said, rate = now, self._bytes / 1e6 / (now - self._began)
            logger.info("%s: %.1f of %.1f MB, %.1f MB/s", self._url, self._bytes / 1e6, self._total / 1e6, rate)
        if now - self._listed >= _SECONDS_BETWEEN_LISTINGS:
            self._listed = now
            _list(self._url, self._names)


def _files(folder: Path) -> Iterable[Path]:
    """All but what is hidden: leftovers of jobs that were killed."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _described(path: Path) -> _File:
    return _File(path.stat().st_size, file_sha256(path))


def _send(path: Path, url: Url, described: _File) -> None:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != described.sha256:
        raise InputError("changed while it was published", where=path, remedy="publish again when nothing writes to it")
    url.write_bytes(content)


def _is_there(url: Url, described: _File) -> bool:
    try:
        return hashlib.sha256(url.read_bytes()).hexdigest() == described.sha256
    except FileNotFoundError:
        return False


def _listed(url: Url) -> _Files:
    try:
        files = json.loads((url / LISTING).read_text())["files"]
        return {name: None if file is None else _File(*file) for name, file in files.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        raise InputError("not a listing", where=url / LISTING, remedy="remove it, and publish again") from None


def _list(url: Url, files: Mapping[str, _File | None]) -> None:
    listed = {name: files[name] for name in sorted(files)}
    (url / LISTING).write_bytes((json.dumps({"files": listed}, indent=1) + "\n").encode())
