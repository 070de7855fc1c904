"""A source file as it was pinned, or an error that says how it differs."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path

from megabase.errors import InputError

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
