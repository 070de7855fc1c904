"""Text files as they are found: plain, gzipped or bgzipped, told apart by their first bytes and not by their names."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from megabase.errors import InputError

_GZIP = b"\x1f\x8b"


def read_lines(path: str | Path, what: str, remedy: str) -> Iterator[bytes]:
    """The lines of a file, with their ends.

    Raises InputError where it is absent (`what` it is and the `remedy` are the caller's words) or cannot be read.
    """
    try:
        with open(path, "rb") as start:
            packed = start.read(2) == _GZIP
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            yield from file
    except FileNotFoundError:
        raise InputError(f"no such {what}", where=path, remedy=remedy) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy="fetch the file again") from None
