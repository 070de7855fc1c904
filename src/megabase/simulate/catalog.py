"""The catalogue of the world's portals: which source files there are and what their portals say about them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from megabase.artifacts import write_text

Entry = Mapping[str, Any]
"""One file: `portal`, `path` (below portals/files) and that portal's own words about it."""


class Catalogue:
    """The files below `<root>/portals`, with the checksums that portals state."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "portals" / "files"
        self.entries: list[Entry] = json.loads((root / "portals" / "catalog.json").read_text())["files"]
        self._md5: dict[tuple[str, int, int], str] = {}
        self._lock = threading.Lock()

    def of(self, portal: str) -> list[Entry]:
        """The entries of one portal, in the order of the catalogue."""
        return [entry for entry in self.entries if entry["portal"] == portal]

    def path(self, entry: Entry) -> Path:
        """Where the bytes of an entry are."""
        return self.folder / str(entry["path"])

    def size(self, entry: Entry) -> int:
        """Bytes of an entry."""
        return self.path(entry).stat().st_size

    def md5(self, path: Path) -> str:
        """MD5 of a file in hex, taken once for each state that the file is in."""
        state = path.stat()
        key = (str(path), state.st_size, state.st_mtime_ns)
        with self._lock:
            if key not in self._md5:
                with open(path, "rb") as file:
                    self._md5[key] = hashlib.file_digest(file, "md5").hexdigest()
            return self._md5[key]


def write_catalogue(root: Path, entries: Iterable[Entry]) -> None:
    """Writes `<root>/portals/catalog.json`, sorted by path; it appears when every file that it names is there."""
    ordered = sorted(entries, key=lambda entry: (str(entry["portal"]), str(entry["path"])))
    write_text(root / "portals" / "catalog.json", json.dumps({"files": ordered}, indent=1, sort_keys=True) + "\n")
