"""A source file as it was pinned, or an error that says how it differs."""

from __future__ import annotations

from pathlib import Path

from megabase.artifacts import file_sha256
from megabase.errors import InputError


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
    found = file_sha256(path)
    if found != sha256:
        raise InputError(f"checksum mismatch: {path} has {found}, {sha256} is pinned", where=where, remedy=remedy)
    return path
