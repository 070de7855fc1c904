"""The manifest: every source file pinned with size and checksum, in one slice per block."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from megabase.artifacts import write_text
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals.fetch import checksum
from megabase.portals.sources import COLUMNS, METADATA, SourceFile, block_tracks

logger = logging.getLogger(__name__)

_KEPT = tuple(column for column in COLUMNS if column not in ("file", "pair", "control", "sha256"))
SLICE_COLUMNS = (
    *("index", "track_id", *_KEPT, "path", "bytes", "sha256"),
    *("pair_path", "pair_bytes", "pair_sha256", "control_path", "control_bytes", "control_sha256"),
)
TRACK_COLUMNS = ("bundle", "index", "track", "strand", "track_id", "files", *METADATA)


def pin_block(organism: Organism, bundle: str, block: int, size: int, out: Path) -> None:
    """Writes the slice of one block of `size` tracks: its source files as they are now.

    Raises InputError for a file that is absent, of another assembly, or not the one the source table promises.
    """
    pinned: dict[str, tuple[int, str]] = {}
    rows = []
    for position, track in enumerate(block_tracks(organism, bundle, block, size)):
        for source in track.files:
            if source.assembly and source.assembly != organism.assembly:
                raise InputError(
                    f"wrong assembly: {source.file} is {source.assembly}, the organism is {organism.assembly}",
                    where=source.where,
                    remedy="use a file of this assembly",
                )
            row = {column: getattr(source, column) for column in _KEPT}
            row |= {"index": str(block * size + position), "track_id": track.track_id}
            for prefix, name in (("", source.file), ("pair_", source.pair), ("control_", source.control)):
                if name:
                    row |= _pinned(source, name, prefix, pinned)
            rows.append(row)
    write_text(out, _table(SLICE_COLUMNS, rows), only_if_changed=True)
    logger.info("%s: %s files pinned", out.name, len(pinned))


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest table, as text."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def assemble_manifest(slices: Sequence[Path], files: Path, tracks: Path) -> None:
    """Writes all source files and all tracks of an organism, in the order of the slices."""
    rows = [row for path in slices for row in read_table(path)]
    named: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        track = named.setdefault((row["bundle"], row["track_id"]), dict(row) | {"files": "0"})
        track["files"] = str(int(track["files"]) + 1)
    write_text(files, _table(SLICE_COLUMNS, rows), only_if_changed=True)
    write_text(tracks, _table(TRACK_COLUMNS, named.values()), only_if_changed=True)


def _pinned(source: SourceFile, name: str, prefix: str, pinned: dict[str, tuple[int, str]]) -> dict[str, str]:
    path = source.path(name)
    if path not in pinned:
        if not Path(source.root).is_dir():
            raise InputError(f"no folder {source.root}", where=source.where, remedy="correct source_root in the config")
        if not Path(path).is_file():
            raise InputError(f"{path} does not exist", where=source.where, remedy="correct the row or source_root")
        pinned[path] = (Path(path).stat().st_size, checksum(path))
    size, sha256 = pinned[path]
    if not prefix and source.sha256 and source.sha256.lower() != sha256:
        raise InputError(
            f"checksum mismatch: {path} has {sha256}, the source table says {source.sha256}",
            where=source.where,
            remedy="fetch the file again, or correct the table",
        )
    return {f"{prefix}path": path, f"{prefix}bytes": str(size), f"{prefix}sha256": sha256}


def _table(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), delimiter="\t", lineterminator="\n", extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
