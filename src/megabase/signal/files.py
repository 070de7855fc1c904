"""How the files of a manifest row are opened: as they lie on disk here, or as a portal serves them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from megabase.portals.fetch import verified_file

Row = Mapping[str, str]
"""A row of a manifest slice."""
Opened = Callable[[Row, str], AbstractContextManager[Path]]
"""The verified file of a row and a role (`""`, `pair_` or `control_`), on disk until the context ends."""
ROLES = ("", "pair_", "control_")


@contextlib.contextmanager
def local_file(row: Row, prefix: str) -> Iterator[Path]:
    """A file that is on disk already. Raises InputError where it is not the one that the manifest pins."""
    where = f"manifest row of {row['track_id']}"
    yield verified_file(row[f"{prefix}path"], int(row[f"{prefix}bytes"]), row[f"{prefix}sha256"], where)


def sources(rows: Sequence[Row]) -> list[dict[str, str]]:
    """What decides whether the files of a track have changed: role and path of each, and its checksums, or else all
    that its portal says of it."""
    return [
        {"role": prefix.rstrip("_") or "file", "path": row[f"{prefix}path"]} | _identity(row, prefix)
        for row in rows
        for prefix in ROLES
        if row[f"{prefix}path"]
    ]


def _identity(row: Row, prefix: str) -> dict[str, str]:
    for names in (("sha256",), ("md5",), ("url", "bytes", "etag")):
        known = {name: row[f"{prefix}{name}"] for name in names if row.get(f"{prefix}{name}")}
        if known:
            break
    return known
